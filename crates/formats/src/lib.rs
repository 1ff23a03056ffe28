//! Codecs between bytes and types; no I/O, no clock, every parser bounded and fuzzed.

pub mod ar;
pub mod compression;
pub mod deb;
pub mod deb822;
pub mod debian_release;
pub mod elf;
pub mod ld_cache;
pub mod oci;
pub mod tar;
pub mod xattr;
