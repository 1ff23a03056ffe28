//! A tree → a complete, freshly made ext4 file system (kernel's `Documentation/filesystems/ext4/`).
//!
//! Everything is laid out first, from sizes alone: contents lie one after the other in the order of the paths, with no
//! hole between them, so that a block is in use when it is metadata or comes before the end of the data. Then it is
//! written in one pass over the tree. Metadata have checksums (`metadata_csum`), there is a journal, and the file system
//! can grow while it is mounted (`resize_inode`). Sealed files carry their Merkle tree as fs-verity expects it.

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};

use calypte_base::{Epoch, TreePath};

use crate::output::Area;
use crate::tree::Tree;
use crate::uuid::Uuid;
use crate::verity::VerityDigest;

/// What a file system is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its UUID; the seed of directory hashes comes from it too.
    pub uuid: Uuid,
    /// Its label, at most 16 bytes.
    pub label: String,
    /// When it was made.
    pub time: Epoch,
}

/// What was found out while writing.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The fs-verity digests of the sealed files.
    pub verity: BTreeMap<TreePath, VerityDigest>,
}

/// Why a tree cannot be written as ext4.
#[derive(Debug, thiserror::Error)]
pub enum Ext4Error {
    /// The tree does not fit.
    #[error("an ext4 file system of {size} bytes is too small: the tree needs {needed} bytes")]
    TooSmall {
        /// The size asked for.
        size: u64,
        /// The least that suffices.
        needed: u64,
    },
    /// A content is not as long as it said.
    #[error("{path}: its content has not {expected} bytes, as was said before")]
    WrongSize {
        /// The file.
        path: TreePath,
        /// What was said.
        expected: u64,
    },
    /// Something of a file does not fit into what ext4 has for it.
    #[error("{path}: {what}")]
    Unfit {
        /// The file.
        path: TreePath,
        /// What does not fit.
        what: String,
    },
    /// The label is too long.
    #[error("label `{0}` is longer than 16 bytes")]
    Label(String),
    /// A content could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        error: io::Error,
    },
    /// The target could not be written.
    #[error("ext4 file system: {0}")]
    Write(#[from] io::Error),
}

/// Writes a file system that fills the area (but for a last piece too small to be of use).
///
/// # Errors
/// When the tree does not fit, a content cannot be read, or the area cannot be written.
pub fn write<W: Write + Seek>(
    _tree: &Tree,
    _options: &Options,
    _area: &mut Area<'_, W>,
) -> Result<Written, Ext4Error> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// The size in bytes of the smallest file system, in whole mebibytes, that holds the tree and leaves `free` bytes.
///
/// # Errors
/// When something in the tree does not fit into ext4 at all.
pub fn minimal_size(_tree: &Tree, _free: u64) -> Result<u64, Ext4Error> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}
