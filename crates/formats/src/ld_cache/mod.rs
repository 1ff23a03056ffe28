//! `/etc/ld.so.cache`: the libraries of a tree come in, the file that glibc's loader looks them up in goes out, byte
//! for byte as `ldconfig` writes it; and back again.
//!
//! The format is `glibc-ld.so.cache1.1` (glibc 2.32 and later): header, entries, strings, and an extension section with
//! the generator's name and the names of the `glibc-hwcaps` subdirectories. Layout from glibc's
//! `sysdeps/generic/dl-cache.h`.

mod order;
mod reader;
mod strings;
mod writer;

use calypte_base::Architecture;

pub use reader::read;
pub use writer::write;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER_SIZE: usize = 48;
const ENTRY_SIZE: usize = 24;
/// `cache_file_new_flags_endian_little`.
const LITTLE_ENDIAN: u8 = 2;

const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const EXTENSION_HEADER_SIZE: usize = 8;
const SECTION_SIZE: usize = 16;
const SECTION_GENERATOR: u32 = 0;
const SECTION_HWCAPS: u32 = 1;

/// `DL_CACHE_HWCAP_EXTENSION`: the low 32 bits are an index into the names of the extension section.
const HWCAP_EXTENSION: u64 = 1 << 62;

/// Most entries: far above any distribution, and low enough that all offsets fit into 32 bits.
pub const ENTRY_LIMIT: usize = 1 << 20;

/// One library.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheEntry {
    /// The name by which programs need it (`DT_SONAME`).
    pub soname: String,
    /// Absolute path of the file or of a link to it.
    pub path: String,
    /// The kind of library, as [`flags`] gives it.
    pub flags: u32,
    /// Name of the `glibc-hwcaps` subdirectory that it lies in (`x86-64-v3`), if it does.
    pub hwcaps: Option<String>,
}

/// A cache file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdCache {
    /// The libraries in the file's order.
    pub entries: Vec<CacheEntry>,
    /// Who made the file (`ldconfig (Debian GLIBC …) …`).
    pub generator: String,
}

/// Why bytes are no cache file, or entries cannot be put into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LdCacheError {
    /// The first bytes are not those of the format.
    #[error("not an ld.so.cache of format 1.1 for a little-endian machine")]
    BadMagic,
    /// A part lies outside of the file.
    #[error("ld.so.cache is cut off: {0} lies outside of the file")]
    Truncated(&'static str),
    /// A part holds what it must not.
    #[error("ld.so.cache is malformed: {0}")]
    Malformed(&'static str),
    /// More than [`ENTRY_LIMIT`] entries, or strings of more than 4 GiB.
    #[error("too many libraries for an ld.so.cache")]
    TooMany,
    /// A name or path holds a NUL or is empty.
    #[error("`{0}` cannot be a name or path in an ld.so.cache")]
    BadString(String),
}

/// The flags of a library for this architecture: `FLAG_ELF_LIBC6` with `FLAG_X8664_LIB64` or `FLAG_AARCH64_LIB64`.
#[must_use]
pub const fn flags(architecture: Architecture) -> u32 {
    match architecture {
        Architecture::Amd64 => 0x0303,
        Architecture::Arm64 => 0x0a03,
    }
}
