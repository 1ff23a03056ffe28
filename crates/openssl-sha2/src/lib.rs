//! The part of the crate `openssl` that the crate `composefs` uses, over `sha2`: its SHA-2 hashers, and no more.
//!
//! `calypte-host` is one static binary that is also built for other architectures, and OpenSSL is a C library for which
//! every target needs a compiler and headers. composefs asks OpenSSL for nothing but digests, so this crate takes its
//! place by `[patch.crates-io]`. What else of OpenSSL a later composefs should ask for does not compile, and is thus
//! noticed.

pub mod hash;
