//! The superblock and the group descriptors.

use super::Options;
use super::checksum;
use super::geometry::{
    BLOCK, BLOCKS_PER_GROUP, DESCRIPTOR_SIZE, FLEX_GROUPS, Geometry, INODE_SIZE, Places, reserved_for_root,
};
use super::plan::JOURNAL;
use crate::little_endian::Put;

pub(super) const SUPERBLOCK_SIZE: usize = 1024;

const COMPATIBLE: u32 = 0x4 | 0x8 | 0x10 | 0x20; // has_journal, ext_attr, resize_inode, dir_index
const INCOMPATIBLE: u32 = 0x2 | 0x40 | 0x80 | 0x200; // filetype, extent, 64bit, flex_bg
// sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum, verity
const READ_ONLY_COMPATIBLE: u32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400 | 0x8000;

/// What is free.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Free {
    pub(super) blocks: u64,
    pub(super) inodes: u64,
}

/// The superblock of a group, with the inode of the journal (its map of blocks and its size).
pub(super) fn superblock(
    options: &Options,
    geometry: &Geometry,
    free: Free,
    journal: (&[u8; 60], u64),
    group: u64,
) -> Vec<u8> {
    let time = options.time.0;
    let mut bytes = vec![0; SUPERBLOCK_SIZE];
    let reserved = reserved_for_root(geometry.blocks);
    bytes.put32(0x00, low(geometry.inodes_per_group * geometry.groups));
    bytes.put32(0x04, low(geometry.blocks));
    bytes.put32(0x08, low(reserved));
    bytes.put32(0x0c, low(free.blocks));
    bytes.put32(0x10, low(free.inodes));
    bytes.put32(0x18, 2);
    bytes.put32(0x1c, 2);
    bytes.put32(0x20, low(BLOCKS_PER_GROUP));
    bytes.put32(0x24, low(BLOCKS_PER_GROUP));
    bytes.put32(0x28, low(geometry.inodes_per_group));
    // Each time is 40 bits long.
    for (place, high) in [(0x30, 0x274), (0x40, 0x277), (0x108, 0x276)] {
        bytes.put32(place, (time & 0xffff_ffff) as u32);
        bytes[high] = (time >> 32) as u8;
    }
    bytes.put16(0x36, 0xffff);
    bytes.put16(0x38, 0xef53);
    bytes.put16(0x3a, 1); // clean
    bytes.put16(0x3c, 1); // go on after errors
    bytes.put32(0x4c, 1);
    bytes.put32(0x54, 11);
    bytes.put16(0x58, INODE_SIZE as u16);
    bytes.put16(0x5a, (group & 0xffff) as u16);
    bytes.put32(0x5c, COMPATIBLE);
    bytes.put32(0x60, INCOMPATIBLE);
    bytes.put32(0x64, READ_ONLY_COMPATIBLE);
    bytes.put(0x68, &options.uuid.bytes());
    bytes.put(0x78, options.label.as_bytes());
    bytes.put16(0xce, (geometry.reserved_blocks & 0xffff) as u16);
    bytes.put32(0xe0, JOURNAL);
    bytes.put(0xec, &options.uuid.bytes());
    bytes.put(0xfc, &[1, 1]); // half MD4, a copy of the journal's inode
    bytes.put16(0xfe, DESCRIPTOR_SIZE as u16);
    bytes.put32(0x100, 0xc); // user_xattr, acl
    bytes.put(0x10c, journal.0);
    bytes.put32(0x148, (journal.1 >> 32) as u32);
    bytes.put32(0x14c, low(journal.1));
    bytes.put16(0x15c, 32);
    bytes.put16(0x15e, 32);
    bytes.put32(0x160, 1); // names are hashed as signed bytes
    bytes.put(0x174, &[FLEX_GROUPS.trailing_zeros() as u8, 1]); // and checksums are CRC-32C
    bytes.put32(0x248, low(geometry.fixed_blocks() + geometry.journal_blocks));
    let sum = checksum::of(&bytes[..0x3fc]);
    bytes.put32(0x3fc, sum);
    bytes
}

/// What a group's descriptor says beside the places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) free: Free,
    pub(super) directories: u64,
    /// Inodes at the end of its table that were never in use.
    pub(super) unused: u64,
    pub(super) block_bitmap_sum: u32,
    pub(super) inode_bitmap_sum: u32,
}

/// A group's descriptor.
pub(super) fn descriptor(group: &Group, places: &Places, seed: u32) -> [u8; DESCRIPTOR_SIZE as usize] {
    const TABLE_IS_ZEROED: u16 = 4;
    let mut bytes = [0; DESCRIPTOR_SIZE as usize];
    for (at, block) in [(0, places.block_bitmap), (4, places.inode_bitmap), (8, places.inode_table)] {
        bytes.put32(at, low(block));
        bytes.put32(at + 0x20, (block >> 32) as u32);
    }
    let counts = [
        (0x0c, 0x2c, group.free.blocks),
        (0x0e, 0x2e, group.free.inodes),
        (0x10, 0x30, group.directories),
        (0x1c, 0x32, group.unused),
        (0x18, 0x38, u64::from(group.block_bitmap_sum)),
        (0x1a, 0x3a, u64::from(group.inode_bitmap_sum)),
    ];
    for (at, high, value) in counts {
        bytes.put16(at, (value & 0xffff) as u16);
        bytes.put16(high, (value >> 16) as u16);
    }
    bytes.put16(0x12, TABLE_IS_ZEROED);
    let sum = checksum::continued(checksum::continued(seed, &low(group.number).to_le_bytes()), &bytes);
    bytes.put16(0x1e, (sum & 0xffff) as u16);
    bytes
}

/// Sets the bits from one number to before another.
pub(super) fn fill(bitmap: &mut [u8], from: u64, to: u64) {
    for bit in from..to.min(BLOCK * 8) {
        bitmap[(bit / 8) as usize] |= 1 << (bit % 8);
    }
}

const fn low(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}
