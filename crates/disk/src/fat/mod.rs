//! A tree → a FAT32 file system, as the EFI system partition is one (Microsoft's FAT specification 1.03).
//!
//! Files lie one after the other without gaps. Owners, modes and attributes are left out, for FAT has none; links and
//! devices are refused. Times are those of UTC, in steps of two seconds, from 1980 on.

mod layout;
mod name;
mod writer;

use std::io::{self, Seek, Write};

use calypte_base::{Epoch, TreePath};

use self::layout::{Geometry, Plan};
use crate::output::Area;
use crate::tree::Tree;

/// What a file system is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size of the disk's sectors in bytes: 512 or 4096.
    pub sector: u32,
    /// Where the file system starts on its disk, in bytes: it says so itself.
    pub start: u64,
    /// Its serial number.
    pub serial: u32,
    /// Its label: one to eleven characters of ASCII capitals, digits, `-`, `_` and spaces.
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
    tree: &Tree,
    options: &Options,
    area: &mut Area<'_, W>,
) -> Result<(), FatError> {
    let in_label = |c: u8| matches!(c, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b' ');
    if !(1..=11).contains(&options.label.len()) || !options.label.bytes().all(in_label) {
        return Err(FatError::Label(options.label.clone()));
    }
    let plan = Plan::new(tree)?;
    let geometry = Geometry::new(area.size(), options.sector)
        .filter(|geometry| plan.clusters(geometry) <= geometry.clusters);
    let Some(geometry) = geometry else {
        return Err(FatError::TooSmall { size: area.size(), needed: plan.least(options.sector, 0) });
    };
    writer::write(&plan, &geometry, options, area)
}

/// The size in bytes of the smallest FAT32 file system, in whole mebibytes, that holds the tree and leaves `free` bytes.
///
/// # Errors
/// When something in the tree does not fit into FAT at all.
pub fn minimal_size(tree: &Tree, sector: u32, free: u64) -> Result<u64, FatError> {
    Ok(Plan::new(tree)?.least(sector, free))
}
