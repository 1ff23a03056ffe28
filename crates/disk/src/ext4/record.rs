//! The 256 bytes of an inode.

use calypte_base::Epoch;

use super::checksum;
use super::geometry::{BLOCK, INODE_SIZE};
use super::plan::{Blocks, Body, Inode, is_fast};
use super::{extents, unfit_time};
use crate::little_endian::Put;
use crate::tree::Kind;

const EXTENTS: u32 = 0x8_0000;
const VERITY: u32 = 0x10_0000;
const INDEXED: u32 = 0x1000;

/// What a record says, before it is packed.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) number: u32,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) links: u32,
    pub(super) size: u64,
    /// In blocks of the file system.
    pub(super) blocks: u64,
    pub(super) flags: u32,
    pub(super) map: [u8; 60],
    pub(super) attributes_block: u64,
    pub(super) mtime: Epoch,
    pub(super) made: Epoch,
}

impl Record {
    /// An inode of ext4's own: a file that only root may see.
    pub(super) const fn own(number: u32, size: u64, blocks: u64, map: [u8; 60], made: Epoch) -> Self {
        Self {
            number,
            mode: 0o100_600,
            owner: (0, 0),
            links: 1,
            size,
            blocks,
            flags: 0,
            map,
            attributes_block: 0,
            mtime: made,
            made,
        }
    }

    /// Says that the map is a tree of extents.
    pub(super) const fn with_extents(mut self) -> Self {
        self.flags |= EXTENTS;
        self
    }

    /// The record of an inode of the tree.
    pub(super) fn of(inode: &Inode<'_>, blocks: &Blocks, hash_seed: &[u8; 16], made: Epoch) -> Self {
        let kind = match inode.node.kind {
            Kind::Directory => 0o040_000,
            Kind::File { .. } | Kind::HardLink(_) => 0o100_000,
            Kind::Symlink(_) => 0o120_000,
            Kind::CharacterDevice(..) => 0o020_000,
            Kind::BlockDevice(..) => 0o060_000,
            Kind::Fifo => 0o010_000,
            Kind::Socket => 0o140_000,
        };
        let contents: u64 = blocks.extents.iter().map(|extent| extent.length).sum();
        let mut flags = EXTENTS;
        let mut map = extents::root(&blocks.extents, &blocks.leaves);
        let mut size = 0;
        match &inode.body {
            Body::Directory(directory) => {
                size = contents * BLOCK;
                flags |= if directory.is_indexed(hash_seed) { INDEXED } else { 0 };
            }
            Body::File { content, verity } => {
                size = content.size();
                flags |= if *verity { VERITY } else { 0 };
            }
            Body::Symlink(target) => {
                size = target.len() as u64;
                if is_fast(target) {
                    map = [0; 60];
                    map.put(0, target.as_bytes());
                    flags = 0;
                }
            }
            Body::Device(major, minor) => {
                map = device(*major, *minor);
                flags = 0;
            }
            Body::Empty => {
                map = [0; 60];
                flags = 0;
            }
        }
        Self {
            number: inode.number,
            mode: kind | inode.node.mode & 0o7777,
            owner: (inode.node.uid, inode.node.gid),
            links: inode.links,
            size,
            blocks: contents + blocks.leaves.len() as u64 + u64::from(blocks.attributes.is_some()),
            flags,
            map,
            attributes_block: blocks.attributes.unwrap_or_default(),
            mtime: inode.node.mtime,
            made,
        }
    }

    /// Its bytes, with the attributes that lie in there.
    pub(super) fn bytes(&self, inode: Option<&Inode<'_>>, seed: u32) -> Result<Vec<u8>, super::Ext4Error> {
        const SECTORS_PER_BLOCK: u64 = BLOCK / 512;
        let mut bytes = vec![0; INODE_SIZE as usize];
        let sectors = self.blocks * SECTORS_PER_BLOCK;
        bytes.put16(0, (self.mode & 0xffff) as u16);
        bytes.put16(2, (self.owner.0 & 0xffff) as u16);
        bytes.put32(4, (self.size & 0xffff_ffff) as u32);
        bytes.put16(0x18, (self.owner.1 & 0xffff) as u16);
        bytes.put16(0x1a, (self.links & 0xffff) as u16);
        bytes.put32(0x1c, (sectors & 0xffff_ffff) as u32);
        bytes.put32(0x20, self.flags);
        bytes.put(0x28, &self.map);
        bytes.put32(0x68, (self.attributes_block & 0xffff_ffff) as u32);
        bytes.put32(0x6c, (self.size >> 32) as u32);
        bytes.put16(0x74, (sectors >> 32) as u16);
        bytes.put16(0x76, (self.attributes_block >> 32) as u16);
        bytes.put16(0x78, (self.owner.0 >> 16) as u16);
        bytes.put16(0x7a, (self.owner.1 >> 16) as u16);
        bytes.put16(0x80, 32);
        // Accessed and changed when it was modified: there is no other time that would be the same in each build.
        let modified = time(self.mtime).ok_or_else(|| unfit_time(inode))?;
        let made = time(self.made).ok_or_else(|| unfit_time(None))?;
        for (at, extra, (low, high)) in
            [(0x08, 0x8c, modified), (0x0c, 0x84, modified), (0x10, 0x88, modified), (0x90, 0x94, made)]
        {
            bytes.put32(at, low);
            bytes.put32(extra, high);
        }
        if let Some(inode) = inode {
            inode.attributes.put_inline(&mut bytes);
        }
        let sum = checksum::continued(checksum::of_inode(seed, self.number), &bytes);
        bytes.put16(0x7c, (sum & 0xffff) as u16);
        bytes.put16(0x82, (sum >> 16) as u16);
        Ok(bytes)
    }
}

/// Seconds in 34 bits: the lower 32 as a signed number, and how often 2³² comes on top (the years 1901 to 2446).
fn time(time: Epoch) -> Option<(u32, u32)> {
    let low = (time.0 & 0xffff_ffff) as u32;
    let above = (time.0 - i64::from(low.cast_signed())) >> 32;
    u32::try_from(above).ok().filter(|above| *above < 4).map(|above| (low, above))
}

/// Small numbers in the old form, others in the new one.
fn device(major: u32, minor: u32) -> [u8; 60] {
    let mut map = [0; 60];
    if major < 256 && minor < 256 {
        map.put32(0, major << 8 | minor);
    } else {
        map.put32(4, (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12));
    }
    map
}
