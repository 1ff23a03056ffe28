//! A tree → a complete, freshly made ext4 file system (kernel's `Documentation/filesystems/ext4/`).
//!
//! Everything is laid out first, from sizes alone: contents lie one after the other in the order of the paths, with no
//! hole between them, so that a block is in use when it is metadata or comes before the end of the data. Then it is
//! written in one pass over the tree. Metadata have checksums (`metadata_csum`), there is a journal, and the file system
//! can grow while it is mounted (`resize_inode`). Sealed files carry their Merkle tree as fs-verity expects it.

mod checksum;
mod directory;
mod extents;
mod geometry;
mod hash;
mod plan;
mod record;
mod superblock;
mod writer;
mod xattr;

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};

use calypte_base::{Epoch, TreePath};

use self::geometry::{BLOCK, Geometry};
use self::plan::Plan;
use self::writer::Writer;
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
    tree: &Tree,
    options: &Options,
    area: &mut Area<'_, W>,
) -> Result<Written, Ext4Error> {
    if options.label.len() > 16 {
        return Err(Ext4Error::Label(options.label.clone()));
    }
    let own = plan::lost_and_found(options);
    let plan = Plan::new(tree, &own, options)?;
    let size = area.size();
    let geometry = Geometry::new(size, plan.inodes_wanted());
    let placed = match &geometry {
        Some(geometry) => plan.place(geometry)?.map(|placed| (geometry, placed)),
        None => None,
    };
    let Some((geometry, placed)) = placed else {
        return Err(Ext4Error::TooSmall { size, needed: minimal_size(tree, options, 0)? });
    };
    Writer::new(options, geometry, &plan, &placed, area).write()
}

/// The size in bytes of the smallest file system, in whole mebibytes, that holds the tree and leaves `free` bytes. It needs
/// the options because names are spread over a large directory by hashes, which have a seed.
///
/// # Errors
/// When something in the tree does not fit into ext4 at all.
pub fn minimal_size(tree: &Tree, options: &Options, free: u64) -> Result<u64, Ext4Error> {
    const STEP: u64 = 1024 * 1024;
    let own = plan::lost_and_found(options);
    let plan = Plan::new(tree, &own, options)?;
    let wanted = free.div_ceil(BLOCK) + geometry::reserved_for_root(plan.blocks() + free.div_ceil(BLOCK));
    let mut size = ((plan.blocks() + wanted) * BLOCK).next_multiple_of(STEP);
    loop {
        let lacking = match Geometry::new(size, plan.inodes_wanted()) {
            Some(geometry) => {
                let left = geometry.blocks.saturating_sub(geometry.fixed_blocks() + geometry.journal_blocks);
                let lacking = (plan.blocks() + wanted).saturating_sub(left);
                match plan.place(&geometry)? {
                    Some(placed) if geometry.free_after(placed.end) >= wanted => return Ok(size),
                    _ => lacking,
                }
            }
            None => 0,
        };
        size += (lacking * BLOCK).next_multiple_of(STEP).max(STEP);
    }
}

fn unfit_time(inode: Option<&plan::Inode<'_>>) -> Ext4Error {
    let path = inode.map_or_else(TreePath::root, |inode| inode.path.clone());
    plan::unfit(&path, "its time is not within the years 1901 to 2446")
}
