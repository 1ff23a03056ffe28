//! Where everything lies that does not depend on the files: superblocks, group descriptors, bitmaps, inode tables.

use std::ops::Range;

/// Size of a block in bytes.
pub(super) const BLOCK: u64 = 4096;
/// Blocks of a group: as many as a bitmap of one block has bits.
pub(super) const BLOCKS_PER_GROUP: u64 = 32768;
/// Size of an inode in bytes.
pub(super) const INODE_SIZE: u64 = 256;
/// Size of a group descriptor in bytes, with the feature `64bit`.
pub(super) const DESCRIPTOR_SIZE: u64 = 64;
/// The tables of this many groups lie together (`flex_bg`), so that long runs of blocks stay free.
pub(super) const FLEX_GROUPS: u64 = 16;
/// A file system gets an inode for each piece of this size, as `mke2fs` gives.
const BYTES_PER_INODE: u64 = 16384;
/// Entries of an indirect block.
pub(super) const ADDRESSES_PER_BLOCK: u64 = BLOCK / 4;
/// A last group with fewer blocks for files than this is left away.
const LEAST_OF_LAST_GROUP: u64 = 50;

/// One in so many blocks is kept for root, so that a full disk can still be mended.
const RESERVED_PART: u64 = 100;

/// How many blocks of so many are kept for root.
pub(super) const fn reserved_for_root(blocks: u64) -> u64 {
    blocks / RESERVED_PART
}

/// The places of a group's tables, in blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) block_bitmap: u64,
    pub(super) inode_bitmap: u64,
    pub(super) inode_table: u64,
}

/// The layout of a file system of a certain size.
#[derive(Debug)]
pub(super) struct Geometry {
    pub(super) blocks: u64,
    pub(super) groups: u64,
    pub(super) descriptor_blocks: u64,
    /// Blocks kept after the descriptors, for those of groups that come when it grows.
    pub(super) reserved_blocks: u64,
    pub(super) inodes_per_group: u64,
    pub(super) journal_blocks: u64,
    pub(super) places: Vec<Places>,
    /// All blocks of the above but the journal: sorted, and none touches the next.
    pub(super) fixed: Vec<Range<u64>>,
}

impl Geometry {
    /// The layout for so many bytes and at least so many inodes; nothing where there is no room even for itself.
    pub(super) fn new(bytes: u64, inodes: u64) -> Option<Self> {
        let mut blocks = bytes / BLOCK;
        loop {
            let geometry = Self::sized(blocks, inodes)?;
            let last = geometry.groups - 1;
            let own = geometry.head(last) + 2 + geometry.table_blocks();
            if blocks - last * BLOCKS_PER_GROUP >= own + LEAST_OF_LAST_GROUP {
                return geometry.placed();
            }
            blocks = last * BLOCKS_PER_GROUP;
        }
    }

    fn sized(blocks: u64, inodes: u64) -> Option<Self> {
        let groups = blocks.div_ceil(BLOCKS_PER_GROUP);
        if journal_blocks(blocks) == 0 || blocks > u64::from(u32::MAX) {
            return None;
        }
        let per_block = BLOCK / DESCRIPTOR_SIZE;
        let descriptor_blocks = groups.div_ceil(per_block);
        let grown = (blocks * 1024).min(u64::from(u32::MAX)).div_ceil(BLOCKS_PER_GROUP);
        let reserved_blocks = (grown.div_ceil(per_block) - descriptor_blocks).min(ADDRESSES_PER_BLOCK);
        let wanted = inodes.max(blocks * BLOCK / BYTES_PER_INODE);
        let inodes_per_group = wanted.div_ceil(groups).next_multiple_of(BLOCK / INODE_SIZE);
        if inodes_per_group > BLOCK * 8 || inodes_per_group * groups > u64::from(u32::MAX) {
            return None;
        }
        Some(Self {
            blocks,
            groups,
            descriptor_blocks,
            reserved_blocks,
            inodes_per_group,
            journal_blocks: journal_blocks(blocks),
            places: Vec::new(),
            fixed: Vec::new(),
        })
    }

    fn placed(mut self) -> Option<Self> {
        let heads = (0..self.groups)
            .map(|group| (group * BLOCKS_PER_GROUP, self.head(group)))
            .filter(|(_, length)| *length > 0)
            .map(|(start, length)| start..start + length)
            .collect();
        let mut fixed = Vec::new();
        for first in (0..self.groups).step_by(usize::try_from(FLEX_GROUPS).ok()?) {
            let groups = FLEX_GROUPS.min(self.groups - first);
            let mut cursor = Cursor { at: first * BLOCKS_PER_GROUP, heads: &heads, end: self.blocks };
            let mut run = |length: u64| {
                let runs = (0..groups).map(|_| cursor.take(length)).collect::<Option<Vec<u64>>>();
                fixed.extend(runs.iter().flatten().map(|start| *start..start + length));
                runs
            };
            let (blocks, inodes, tables) = (run(1)?, run(1)?, run(self.table_blocks())?);
            for ((block_bitmap, inode_bitmap), inode_table) in blocks.into_iter().zip(inodes).zip(tables) {
                self.places.push(Places { block_bitmap, inode_bitmap, inode_table });
            }
        }
        fixed.extend(heads);
        fixed.sort_by_key(|range: &Range<u64>| range.start);
        for range in fixed {
            match self.fixed.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => self.fixed.push(range),
            }
        }
        Some(self)
    }

    /// Whether a group starts with a copy of the superblock and the descriptors (`sparse_super`).
    pub(super) const fn has_head(group: u64) -> bool {
        const fn is_power(mut number: u64, of: u64) -> bool {
            while number.is_multiple_of(of) {
                number /= of;
            }
            number == 1
        }
        group <= 1 || is_power(group, 3) || is_power(group, 5) || is_power(group, 7)
    }

    /// Blocks at the start of a group that hold the superblock, the descriptors, and what is kept for more of them.
    pub(super) const fn head(&self, group: u64) -> u64 {
        if Self::has_head(group) { 1 + self.descriptor_blocks + self.reserved_blocks } else { 0 }
    }

    /// Blocks of a group's inode table.
    pub(super) const fn table_blocks(&self) -> u64 {
        self.inodes_per_group * INODE_SIZE / BLOCK
    }

    /// Blocks in all ranges of [`Geometry::fixed`].
    pub(super) fn fixed_blocks(&self) -> u64 {
        self.fixed.iter().map(|range| range.end - range.start).sum()
    }

    /// Blocks that are free when all before `end` are in use.
    pub(super) fn free_after(&self, end: u64) -> u64 {
        let after = |range: &Range<u64>| range.end.max(end) - range.start.max(end);
        self.blocks - end.min(self.blocks) - self.fixed.iter().map(after).sum::<u64>()
    }

    /// Where the record of an inode lies: its block, and its offset in there.
    pub(super) fn inode_place(&self, number: u32) -> (u64, usize) {
        let (group, index) = (
            (u64::from(number) - 1) / self.inodes_per_group,
            (u64::from(number) - 1) % self.inodes_per_group,
        );
        let offset = index * INODE_SIZE;
        let table = self.places[usize::try_from(group).unwrap_or(usize::MAX)].inode_table;
        (table + offset / BLOCK, usize::try_from(offset % BLOCK).unwrap_or_default())
    }
}

/// Finds runs of blocks between the heads.
struct Cursor<'a> {
    at: u64,
    heads: &'a Vec<Range<u64>>,
    end: u64,
}

impl Cursor<'_> {
    fn take(&mut self, length: u64) -> Option<u64> {
        loop {
            let end = self.at + length;
            match self.heads.iter().find(|head| head.start < end && self.at < head.end) {
                Some(head) => self.at = head.end,
                None if end > self.end => return None,
                None => return Some(std::mem::replace(&mut self.at, end)),
            }
        }
    }
}

/// Size of the journal as `mke2fs` chooses it; none for what is too small for one.
const fn journal_blocks(blocks: u64) -> u64 {
    const GIB: u64 = 1024 * 1024 * 1024 / BLOCK;
    match blocks {
        0..2048 => 0,
        2048..32768 => 1024,
        _ if blocks < GIB => 4096,
        _ if blocks < 2 * GIB => 8192,
        _ if blocks < 16 * GIB => 16384,
        _ if blocks < 32 * GIB => 32768,
        _ if blocks < 64 * GIB => 65536,
        _ if blocks < 128 * GIB => 131_072,
        _ => 262_144,
    }
}

/// Hands out the blocks between the fixed ones, one after the other.
#[derive(Debug)]
pub(super) struct Allocator<'a> {
    geometry: &'a Geometry,
    /// Everything before it is in use.
    pub(super) at: u64,
    next_fixed: usize,
}

impl<'a> Allocator<'a> {
    pub(super) const fn new(geometry: &'a Geometry) -> Self {
        Self { geometry, at: 0, next_fixed: 0 }
    }

    /// So many blocks, in as few runs as can be; nothing when there are too few.
    pub(super) fn take(&mut self, mut blocks: u64) -> Option<Vec<Range<u64>>> {
        let mut runs = Vec::new();
        while blocks > 0 {
            let fixed = self.geometry.fixed.get(self.next_fixed);
            let gap_end = fixed.map_or(self.geometry.blocks, |fixed| fixed.start);
            let length = blocks.min(gap_end.saturating_sub(self.at));
            if length > 0 {
                runs.push(self.at..self.at + length);
                self.at += length;
                blocks -= length;
            } else {
                self.at = fixed?.end;
                self.next_fixed += 1;
            }
        }
        Some(runs)
    }
}
