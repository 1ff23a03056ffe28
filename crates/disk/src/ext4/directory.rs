//! Directories: entries in blocks; from the second block on with an index of their hashes (`dir_index`), so that a name
//! among thousands is found at once.

use super::checksum;
use super::geometry::BLOCK;
use super::hash::half_md4;
use crate::little_endian::Put;

const SIZE: usize = BLOCK as usize;
/// Every block ends with a checksum, which looks like an entry without a name.
const TAIL: usize = 12;
const ROOM: usize = SIZE - TAIL;
/// Where the index starts in the first block of an indexed directory, and how many blocks it can name.
const INDEX: usize = 32;
const INDEX_LIMIT: usize = (SIZE - INDEX - 8) / 8;
/// Blocks that `lost+found` is given, so that a checker need not look for room.
pub(super) const LOST_AND_FOUND_BLOCKS: usize = 4;

/// A directory's entries.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) number: u32,
    pub(super) parent: u32,
    pub(super) entries: Vec<Entry>,
    pub(super) least_blocks: usize,
}

/// One entry: a name, the number of its inode, and what that is.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) kind: u8,
}

/// How a directory's entries are spread over blocks.
enum Form<'a> {
    Plain(Vec<Vec<&'a Entry>>),
    /// Each block with the hash that it starts at.
    Indexed(Vec<(u32, Vec<&'a Entry>)>),
}

fn length(name: usize) -> usize {
    8 + name.next_multiple_of(4)
}

impl Directory {
    fn form(&self, seed: &[u8; 16]) -> Form<'_> {
        let plain = pack(self.entries.iter(), length(1) + length(2), ROOM);
        if plain.len() == 1 || self.least_blocks > 1 {
            return Form::Plain(plain);
        }
        let mut hashed: Vec<(u32, &Entry)> =
            self.entries.iter().map(|entry| (half_md4(entry.name.as_bytes(), seed), entry)).collect();
        hashed.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| left.1.name.cmp(&right.1.name)));
        // A quarter of each block stays free: a new name goes into the block of its hash, and would split a full one.
        let blocks = pack(hashed.iter().map(|(_, entry)| *entry), 0, ROOM - ROOM / 4);
        if blocks.len() > INDEX_LIMIT {
            return Form::Plain(plain);
        }
        let mut rest = hashed.as_slice();
        let mut last = None;
        let mut indexed = Vec::new();
        for block in blocks {
            let (these, others) = rest.split_at(block.len());
            rest = others;
            let first = these.first().map_or(0, |(hash, _)| *hash);
            // The lowest bit says that the hash before it goes on in this block.
            indexed.push((if last == Some(first) { first | 1 } else { first }, block));
            last = these.last().map(|(hash, _)| *hash);
        }
        Form::Indexed(indexed)
    }

    /// How many blocks it takes.
    pub(super) fn blocks(&self, seed: &[u8; 16]) -> u64 {
        let blocks = match self.form(seed) {
            Form::Plain(blocks) => blocks.len(),
            Form::Indexed(blocks) => blocks.len() + 1,
        };
        blocks.max(self.least_blocks) as u64
    }

    /// Whether it has an index.
    pub(super) fn is_indexed(&self, seed: &[u8; 16]) -> bool {
        matches!(self.form(seed), Form::Indexed(_))
    }

    /// Its blocks.
    pub(super) fn bytes(&self, hash_seed: &[u8; 16], checksum_seed: u32) -> Vec<u8> {
        let seed = checksum::of_inode(checksum_seed, self.number);
        let own = Entry { name: ".".to_owned(), number: self.number, kind: 2 };
        let parent = Entry { name: "..".to_owned(), number: self.parent, kind: 2 };
        let mut bytes = Vec::new();
        match self.form(hash_seed) {
            Form::Plain(mut blocks) => {
                blocks.resize_with(blocks.len().max(self.least_blocks), Vec::new);
                for (place, entries) in blocks.iter().enumerate() {
                    let dots: &[&Entry] = if place == 0 { &[&own, &parent] } else { &[] };
                    bytes.extend(leaf(dots.iter().chain(entries), seed));
                }
            }
            Form::Indexed(blocks) => {
                bytes.extend(index(&own, &parent, &blocks, seed));
                for (_, entries) in &blocks {
                    bytes.extend(leaf(entries.iter(), seed));
                }
            }
        }
        bytes
    }
}

/// Spreads entries over blocks in their order. The first block has `taken` bytes already; an empty directory has one too.
fn pack<'a>(entries: impl Iterator<Item = &'a Entry>, taken: usize, room: usize) -> Vec<Vec<&'a Entry>> {
    let mut blocks = vec![Vec::new()];
    let mut used = taken;
    for entry in entries {
        let length = length(entry.name.len());
        if used + length > room {
            blocks.push(Vec::new());
            used = 0;
        }
        used += length;
        if let Some(block) = blocks.last_mut() {
            block.push(entry);
        }
    }
    blocks
}

fn leaf<'a>(entries: impl Iterator<Item = &'a &'a Entry>, seed: u32) -> Vec<u8> {
    let mut block = vec![0; SIZE];
    let (mut at, mut last) = (0, 0);
    for entry in entries {
        put(&mut block, at, entry, length(entry.name.len()));
        last = at;
        at += length(entry.name.len());
    }
    // The last entry reaches to the tail; a block without any has one that is not in use.
    block.put16(last + 4, u16::try_from(ROOM - last).unwrap_or_default());
    block.put16(ROOM + 4, TAIL as u16);
    block[ROOM + 7] = 0xde;
    let sum = checksum::continued(seed, &block[..ROOM]);
    block.put32(ROOM + 8, sum);
    block
}

/// `struct dx_root`: the two dots, of which the second hides the index from those who do not know it.
fn index(own: &Entry, parent: &Entry, blocks: &[(u32, Vec<&Entry>)], seed: u32) -> Vec<u8> {
    const HALF_MD4: u8 = 1;
    let mut block = vec![0; SIZE];
    put(&mut block, 0, own, 12);
    put(&mut block, 12, parent, SIZE - 12);
    block.put(28, &[HALF_MD4, 8, 0, 0]);
    block.put16(INDEX, u16::try_from(INDEX_LIMIT).unwrap_or_default());
    block.put16(INDEX + 2, u16::try_from(blocks.len()).unwrap_or_default());
    for (place, (hash, _)) in blocks.iter().enumerate() {
        let at = INDEX + place * 8;
        // The first has the counts where others have their hash: it takes all that is lower than the second.
        if place > 0 {
            block.put32(at, *hash);
        }
        block.put32(at + 4, u32::try_from(place + 1).unwrap_or_default());
    }
    // Over the entries in use, and the tail itself with a checksum of zero.
    let sum = checksum::continued(seed, &block[..INDEX + blocks.len() * 8]);
    let sum = checksum::continued(sum, &[0; 8]);
    block.put32(INDEX + INDEX_LIMIT * 8 + 4, sum);
    block
}

fn put(block: &mut [u8], at: usize, entry: &Entry, length: usize) {
    block.put32(at, entry.number);
    block.put16(at + 4, u16::try_from(length).unwrap_or_default());
    block[at + 6] = u8::try_from(entry.name.len()).unwrap_or_default();
    block[at + 7] = entry.kind;
    block.put(at + 8, entry.name.as_bytes());
}
