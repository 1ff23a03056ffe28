//! Writes what was laid out, in one pass over the inodes and one over the groups.

use std::io::{self, ErrorKind, Read, Seek, Write};

use super::checksum;
use super::extents::{self, Extent};
use super::geometry::{ADDRESSES_PER_BLOCK, BLOCK, BLOCKS_PER_GROUP, Geometry, INODE_SIZE};
use super::plan::{Blocks, Body, Inode, JOURNAL, Placed, Plan, RESIZE, ROOT, is_fast, verity_start};
use super::record::Record;
use super::superblock::{Free, Group, descriptor, fill, superblock};
use super::{Ext4Error, Options, Written};
use crate::content::Content;
use crate::little_endian::Put;
use crate::output::Area;
use crate::verity::{DESCRIPTOR_SIZE, Sealed, Sealer};

/// Contents pass through a buffer of this size, a multiple of the block size.
const BUFFER: usize = 1024 * 1024;

/// All that is needed to write.
pub(super) struct Writer<'a, 'b, W> {
    pub(super) options: &'a Options,
    pub(super) geometry: &'a Geometry,
    pub(super) plan: &'a Plan<'a>,
    pub(super) placed: &'a Placed,
    pub(super) area: &'a mut Area<'b, W>,
    pub(super) seed: u32,
    pub(super) table: Table,
    pub(super) buffer: Vec<u8>,
}

/// The block of an inode table that is being filled.
#[derive(Debug, Default)]
pub(super) struct Table {
    place: u64,
    bytes: Vec<u8>,
}

impl<'a, 'b, W: Write + Seek> Writer<'a, 'b, W> {
    pub(super) fn new(
        options: &'a Options,
        geometry: &'a Geometry,
        plan: &'a Plan<'a>,
        placed: &'a Placed,
        area: &'a mut Area<'b, W>,
    ) -> Self {
        let seed = checksum::of(&options.uuid.bytes());
        Self { options, geometry, plan, placed, area, seed, table: Table::default(), buffer: vec![0; BUFFER] }
    }

    pub(super) fn write(mut self) -> Result<Written, Ext4Error> {
        let mut written = Written::default();
        let inodes = self.plan.inodes.iter().zip(&self.placed.blocks);
        for (inode, blocks) in inodes.clone().filter(|(inode, _)| inode.number == ROOT) {
            self.inode(inode, blocks, &mut written)?;
        }
        self.resize_inode()?;
        let journal = self.journal()?;
        for (inode, blocks) in inodes.filter(|(inode, _)| inode.number != ROOT) {
            self.inode(inode, blocks, &mut written)?;
        }
        self.flush_table()?;
        self.groups(&journal)?;
        Ok(written)
    }

    /// An inode's contents, its attributes, its record.
    fn inode(&mut self, inode: &Inode<'_>, blocks: &Blocks, written: &mut Written) -> Result<(), Ext4Error> {
        let hash_seed = self.options.uuid.bytes();
        match &inode.body {
            Body::Directory(directory) => {
                let bytes = directory.bytes(&hash_seed, self.seed);
                self.put(&blocks.extents, 0, &bytes)?;
            }
            Body::File { content, verity } => {
                if let Some(sealed) = self.file(inode, *content, *verity, &blocks.extents)? {
                    written.verity.insert(inode.path.clone(), sealed.digest);
                }
            }
            Body::Symlink(target) if !is_fast(target) => {
                self.put(&blocks.extents, 0, &block(target.as_bytes()))?;
            }
            _ => {}
        }
        self.leaves(inode.number, blocks)?;
        if let Some(number) = blocks.attributes {
            self.area.write_at(number * BLOCK, &inode.attributes.block(number, self.seed))?;
        }
        let record = Record::of(inode, blocks, &hash_seed, self.options.time);
        let bytes = record.bytes(Some(inode), self.seed)?;
        self.record(inode.number, &bytes)
    }

    fn file(
        &mut self,
        inode: &Inode<'_>,
        content: &dyn Content,
        verity: bool,
        extents: &[Extent],
    ) -> Result<Option<Sealed>, Ext4Error> {
        let failed = |error: io::Error| Ext4Error::Read { path: inode.path.clone(), error };
        let wrong = || Ext4Error::WrongSize { path: inode.path.clone(), expected: content.size() };
        let mut sealer = verity.then(Sealer::new);
        let mut stream = content.open().map_err(failed)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let (mut at, size) = (0, content.size());
        while at < size {
            let length = usize::try_from(size - at).unwrap_or(BUFFER).min(BUFFER);
            stream.read_exact(&mut buffer[..length]).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => wrong(),
                _ => failed(error),
            })?;
            if let Some(sealer) = &mut sealer {
                sealer.update(&buffer[..length]);
            }
            let filled = length.next_multiple_of(BLOCK as usize);
            buffer[length..filled].fill(0);
            self.put(extents, at / BLOCK, &buffer[..filled])?;
            at += length as u64;
        }
        if stream.read(&mut buffer[..1]).map_err(failed)? != 0 {
            return Err(wrong());
        }
        self.buffer = buffer;
        let Some(sealed) = sealer.map(Sealer::finish) else { return Ok(None) };
        let start = verity_start(size);
        self.put(extents, start, &sealed.tree)?;
        // The descriptor's size ends its block, which is the last one: by this it is found.
        let mut last = block(&sealed.descriptor);
        last.put32(BLOCK as usize - 4, DESCRIPTOR_SIZE as u32);
        self.put(extents, start + sealed.tree.len() as u64 / BLOCK, &last)?;
        Ok(Some(sealed))
    }

    /// Blocks of a file from this one of it on, wherever they lie.
    fn put(&mut self, extents: &[Extent], mut logical: u64, mut bytes: &[u8]) -> io::Result<()> {
        let mut next = extents.partition_point(|extent| extent.logical + extent.length <= logical);
        while !bytes.is_empty() {
            let extent = extents.get(next).ok_or(ErrorKind::InvalidInput)?;
            let skipped = logical - extent.logical;
            let room = usize::try_from((extent.length - skipped) * BLOCK).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(bytes.len().min(room));
            self.area.write_at((extent.physical + skipped) * BLOCK, piece)?;
            logical += piece.len() as u64 / BLOCK;
            bytes = rest;
            next += 1;
        }
        Ok(())
    }

    fn leaves(&mut self, number: u32, blocks: &Blocks) -> io::Result<()> {
        if blocks.leaves.is_empty() {
            return Ok(());
        }
        let leaves = extents::leaf_blocks(&blocks.extents, checksum::of_inode(self.seed, number));
        for (place, leaf) in blocks.leaves.iter().zip(leaves) {
            self.area.write_at(place * BLOCK, &leaf)?;
        }
        Ok(())
    }

    /// Records come in the order of their numbers, so that one block is filled at a time.
    fn record(&mut self, number: u32, bytes: &[u8]) -> Result<(), Ext4Error> {
        let (place, offset) = self.geometry.inode_place(number);
        if place != self.table.place {
            self.flush_table()?;
            self.table = Table { place, bytes: vec![0; BLOCK as usize] };
        }
        self.table.bytes.put(offset, bytes);
        Ok(())
    }

    fn flush_table(&mut self) -> io::Result<()> {
        self.area.write_at(self.table.place * BLOCK, &self.table.bytes)
    }

    /// The inode that owns the blocks kept for more descriptors: each block of the first group lists its copies.
    fn resize_inode(&mut self) -> Result<(), Ext4Error> {
        const DIRECT: u64 = 12;
        let geometry = self.geometry;
        let copies: Vec<u64> = (1..geometry.groups).filter(|group| Geometry::has_head(*group)).collect();
        let mut double = vec![0; BLOCK as usize];
        for kept in 0..geometry.reserved_blocks {
            let place = 1 + geometry.descriptor_blocks + kept;
            let slot = (geometry.descriptor_blocks + kept) % ADDRESSES_PER_BLOCK;
            double.put32((slot * 4) as usize, low(place));
            let mut list = vec![0; BLOCK as usize];
            for (index, group) in copies.iter().enumerate() {
                list.put32(index * 4, low(place + group * BLOCKS_PER_GROUP));
            }
            self.area.write_at(place * BLOCK, &list)?;
        }
        self.area.write_at(self.placed.resize * BLOCK, &double)?;
        let size = (ADDRESSES_PER_BLOCK * ADDRESSES_PER_BLOCK + ADDRESSES_PER_BLOCK + DIRECT) * BLOCK;
        let blocks = 1 + geometry.reserved_blocks * (1 + copies.len() as u64);
        let mut map = [0; 60];
        map.put32(13 * 4, low(self.placed.resize));
        let record = Record::own(RESIZE, size, blocks, map, self.options.time);
        self.record(RESIZE, &record.bytes(None, self.seed)?)
    }

    /// An empty journal. Gives its map of blocks.
    fn journal(&mut self) -> Result<[u8; 60], Ext4Error> {
        let blocks = &self.placed.journal;
        let length = self.geometry.journal_blocks;
        for extent in &blocks.extents {
            let skipped = u64::from(extent.logical == 0);
            self.area.zero_at((extent.physical + skipped) * BLOCK, (extent.length - skipped) * BLOCK)?;
        }
        // The journal's numbers are big-endian: magic, kind "superblock, version 2", size of blocks, how many, the first
        // of the log, the first number to expect, and that there is none.
        let mut bytes = vec![0; BLOCK as usize];
        for (at, value) in
            [(0, 0xc03b_3998), (4, 4), (12, low(BLOCK)), (16, low(length)), (20, 1), (24, 1), (64, 1)]
        {
            bytes.put(at, &u32::to_be_bytes(value));
        }
        bytes.put(48, &self.options.uuid.bytes());
        self.put(&blocks.extents, 0, &bytes)?;
        self.leaves(JOURNAL, blocks)?;
        let map = extents::root(&blocks.extents, &blocks.leaves);
        let own = length + blocks.leaves.len() as u64;
        let record = Record::own(JOURNAL, length * BLOCK, own, map, self.options.time).with_extents();
        self.record(JOURNAL, &record.bytes(None, self.seed)?)?;
        Ok(map)
    }

    /// Bitmaps, descriptors and superblocks.
    fn groups(&mut self, journal: &[u8; 60]) -> Result<(), Ext4Error> {
        let mut descriptors = Vec::new();
        let mut free = Free::default();
        for number in 0..self.geometry.groups {
            let group = self.group(number)?;
            free.blocks += group.free.blocks;
            free.inodes += group.free.inodes;
            let places = &self.geometry.places[number as usize];
            descriptors.extend_from_slice(&descriptor(&group, places, self.seed));
        }
        descriptors.resize((self.geometry.descriptor_blocks * BLOCK) as usize, 0);
        for number in (0..self.geometry.groups).filter(|group| Geometry::has_head(*group)) {
            let start = number * BLOCKS_PER_GROUP * BLOCK;
            let journal = (journal, self.geometry.journal_blocks * BLOCK);
            let copy = superblock(self.options, self.geometry, free, journal, number);
            let mut head = vec![0; BLOCK as usize];
            // The first one leaves room for a boot sector.
            head.put(if number == 0 { 1024 } else { 0 }, &copy);
            head.extend_from_slice(&descriptors);
            self.area.write_at(start, &head)?;
            if number > 0 {
                self.area.zero_at(start + head.len() as u64, self.geometry.reserved_blocks * BLOCK)?;
            }
        }
        Ok(())
    }

    /// The bitmaps of a group, and the rest of its inode table.
    fn group(&mut self, number: u64) -> Result<Group, Ext4Error> {
        let geometry = self.geometry;
        let places = geometry.places[number as usize];
        let start = number * BLOCKS_PER_GROUP;
        let end = (start + BLOCKS_PER_GROUP).min(geometry.blocks);
        let mut blocks = vec![0; BLOCK as usize];
        let data = std::iter::once(0..self.placed.end);
        for range in geometry.fixed.iter().cloned().chain(data) {
            let (from, to) = (range.start.clamp(start, end), range.end.clamp(start, end));
            fill(&mut blocks, from - start, to - start);
        }
        let free_blocks = (end - start) - ones(&blocks);
        fill(&mut blocks, end - start, BLOCKS_PER_GROUP);

        let per_group = geometry.inodes_per_group;
        let first = number * per_group;
        let used = u64::from(self.plan.last_number()).clamp(first, first + per_group) - first;
        let mut inodes = vec![0; BLOCK as usize];
        fill(&mut inodes, 0, used);
        fill(&mut inodes, per_group, BLOCK * 8);
        self.area.write_at(places.block_bitmap * BLOCK, &blocks)?;
        self.area.write_at(places.inode_bitmap * BLOCK, &inodes)?;
        let filled = (used * INODE_SIZE).next_multiple_of(BLOCK);
        self.area.zero_at(places.inode_table * BLOCK + filled, per_group * INODE_SIZE - filled)?;
        Ok(Group {
            number,
            free: Free { blocks: free_blocks, inodes: per_group - used },
            directories: self.directories(first + 1, first + per_group),
            unused: per_group - used,
            block_bitmap_sum: checksum::continued(self.seed, &blocks),
            inode_bitmap_sum: checksum::continued(self.seed, &inodes[..(per_group / 8) as usize]),
        })
    }

    fn directories(&self, first: u64, last: u64) -> u64 {
        let inodes = &self.plan.inodes;
        let from = inodes.partition_point(|inode| u64::from(inode.number) < first);
        let to = inodes.partition_point(|inode| u64::from(inode.number) <= last);
        inodes[from..to].iter().filter(|inode| matches!(inode.body, Body::Directory(_))).count() as u64
    }
}

fn ones(bitmap: &[u8]) -> u64 {
    bitmap.iter().map(|byte| u64::from(byte.count_ones())).sum()
}

/// Bytes filled up with zeros to a block.
fn block(bytes: &[u8]) -> Vec<u8> {
    let mut block = bytes.to_vec();
    block.resize(BLOCK as usize, 0);
    block
}

const fn low(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}
