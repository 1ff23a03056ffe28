//! Extent trees: runs of blocks, four of them in the inode, more in leaves that the inode names.

use std::ops::Range;

use super::checksum;
use super::geometry::BLOCK;
use crate::little_endian::Put;

/// What fits into an inode: extents, or leaves.
pub(super) const IN_INODE: usize = 4;
/// Extents of a leaf.
const IN_LEAF: usize = (BLOCK as usize - 12) / 12;
/// Blocks of one extent.
const LENGTH_LIMIT: u64 = 32768;
const MAGIC: u16 = 0xf30a;

/// A run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its first block's number in the file.
    pub(super) logical: u64,
    /// Its first block on the disk.
    pub(super) physical: u64,
    /// Its length in blocks.
    pub(super) length: u64,
}

/// Adds runs that follow each other in the file from block `logical` on.
pub(super) fn append(extents: &mut Vec<Extent>, mut logical: u64, runs: &[Range<u64>]) {
    for run in runs {
        let mut physical = run.start;
        while physical < run.end {
            let length = (run.end - physical).min(LENGTH_LIMIT);
            extents.push(Extent { logical, physical, length });
            logical += length;
            physical += length;
        }
    }
}

/// How many leaves so many extents need.
pub(super) const fn leaves(extents: usize) -> usize {
    if extents <= IN_INODE { 0 } else { extents.div_ceil(IN_LEAF) }
}

/// The 60 bytes of the inode.
pub(super) fn root(extents: &[Extent], leaves: &[u64]) -> [u8; 60] {
    let mut bytes = [0; 60];
    if leaves.is_empty() {
        header(&mut bytes, extents.len(), IN_INODE, 0);
        put(&mut bytes, extents);
        return bytes;
    }
    header(&mut bytes, leaves.len(), IN_INODE, 1);
    for (place, (leaf, extents)) in leaves.iter().zip(extents.chunks(IN_LEAF)).enumerate() {
        let at = 12 + place * 12;
        bytes.put32(at, low(extents.first().map_or(0, |extent| extent.logical)));
        bytes.put32(at + 4, low(*leaf));
        bytes.put16(at + 8, (*leaf >> 32) as u16);
    }
    bytes
}

/// The leaves' blocks in their order.
pub(super) fn leaf_blocks(extents: &[Extent], seed: u32) -> Vec<Vec<u8>> {
    let leaf = |extents: &[Extent]| {
        let mut block = vec![0; BLOCK as usize];
        header(&mut block, extents.len(), IN_LEAF, 0);
        put(&mut block, extents);
        let tail = 12 + IN_LEAF * 12;
        let sum = checksum::continued(seed, &block[..tail]);
        block.put32(tail, sum);
        block
    };
    extents.chunks(IN_LEAF).map(leaf).collect()
}

fn header(bytes: &mut [u8], entries: usize, limit: usize, depth: u16) {
    bytes.put16(0, MAGIC);
    bytes.put16(2, u16::try_from(entries).unwrap_or(u16::MAX));
    bytes.put16(4, u16::try_from(limit).unwrap_or(u16::MAX));
    bytes.put16(6, depth);
}

fn put(bytes: &mut [u8], extents: &[Extent]) {
    for (place, extent) in extents.iter().enumerate() {
        let at = 12 + place * 12;
        bytes.put32(at, low(extent.logical));
        bytes.put16(at + 4, u16::try_from(extent.length).unwrap_or(u16::MAX));
        bytes.put16(at + 6, (extent.physical >> 32) as u16);
        bytes.put32(at + 8, low(extent.physical));
    }
}

const fn low(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}
