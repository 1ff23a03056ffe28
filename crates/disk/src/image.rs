//! An ESP's tree and a root's tree → a whole disk: partition table, FAT, ext4.

use std::io::{self, Seek, Write};

use calypte_base::{Architecture, Digest, Epoch};

use crate::output::Output;
use crate::tree::Tree;
use crate::{ext4, fat, gpt};

/// What a disk is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides the type of the root partition.
    pub architecture: Architecture,
    /// Every UUID comes from it.
    pub seed: Digest,
    /// Size of the disk in bytes; without it the smallest that suffices.
    pub size: Option<u64>,
    /// Size of the ESP in bytes; at least what its tree needs.
    pub esp_size: u64,
    /// Bytes that the root file system leaves free.
    pub root_free: u64,
    /// Whether the root takes all of the disk; otherwise it is as small as can be, and the rest of the disk is free.
    pub root_fills: bool,
    /// When it was made.
    pub time: Epoch,
}

/// A disk that was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its size in bytes: what a file must be set to.
    pub size: u64,
    /// Its partitions: the ESP, then the root.
    pub table: gpt::Table,
    /// What was found out about the root.
    pub root: ext4::Written,
}

/// Why a disk cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The ESP.
    #[error(transparent)]
    Fat(#[from] fat::FatError),
    /// The root.
    #[error(transparent)]
    Ext4(#[from] ext4::Ext4Error),
    /// The partition table.
    #[error(transparent)]
    Gpt(#[from] gpt::GptError),
    /// Not all of it fits onto the disk.
    #[error("a disk of {size} bytes is too small: {needed} bytes are needed")]
    TooSmall {
        /// The size asked for.
        size: u64,
        /// The least that suffices.
        needed: u64,
    },
    /// The target could not be written.
    #[error("disk: {0}")]
    Write(#[from] io::Error),
}

/// Writes a disk. The size of a file as target is for the caller to set ([`Written::size`]): holes at the end are not
/// written.
///
/// # Errors
/// When something does not fit, a content cannot be read, or the target cannot be written.
pub fn write<W: Write + Seek>(
    _esp: &Tree,
    _root: &Tree,
    _options: &Options,
    _output: &mut Output<W>,
) -> Result<Written, ImageError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}
