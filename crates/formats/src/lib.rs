//! Codecs between bytes and types; no I/O, no clock, every parser bounded and fuzzed.

pub mod accounts;
pub mod ar;
pub mod changelog;
pub mod compression;
pub mod cpio;
pub mod deb;
pub mod deb822;
pub mod debian_release;
pub mod dpkg;
pub mod elf;
pub mod ld_cache;
pub mod oci;
pub mod p11_kit;
pub mod rpm;
pub mod rpm_dependency;
pub mod rpm_repository;
mod systemd_text;
pub mod systemd_unit;
pub mod sysusers;
pub mod tar;
pub mod tmpfiles;
pub mod xattr;
pub mod yaml;
pub mod zstd_chunked;
