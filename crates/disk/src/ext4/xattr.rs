//! Extended attributes: in what is left of the inode where they fit, otherwise in a block of their own.

use std::collections::BTreeMap;

use super::checksum;
use super::geometry::{BLOCK, INODE_SIZE};
use crate::little_endian::{Get, Put};

const MAGIC: u32 = 0xea02_0000;
/// Where attributes start in an inode: after its 128 bytes and the 32 more that have names.
pub(super) const INLINE_START: usize = 160;
const INLINE_ROOM: usize = INODE_SIZE as usize - INLINE_START - 4;
const BLOCK_HEADER: usize = 32;
const ENTRY: usize = 16;

/// The attributes of an inode, as ext4 names and stores them, in the order that it searches them.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    index: u8,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Attributes {
    /// Translates names and values; an error says what does not fit.
    pub(super) fn new(xattrs: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (name, value) in xattrs {
            let (index, rest) = split(name).ok_or_else(|| {
                format!("ext4 has no attribute `{name}` (user., trusted., security., system.)")
            })?;
            if rest.len() > 255 {
                return Err(format!("the name of attribute `{name}` is longer than 255 bytes"));
            }
            let value = if rest.is_empty() {
                access_list(value).ok_or_else(|| format!("attribute `{name}` is no access control list"))?
            } else {
                value.clone()
            };
            entries.push(Entry { index, name: rest.as_bytes().to_vec(), value });
        }
        entries.sort_by(|left, right| {
            let key = |entry: &Entry| (entry.index, entry.name.len());
            key(left).cmp(&key(right)).then_with(|| left.name.cmp(&right.name))
        });
        let attributes = Self { entries };
        if attributes.size() > BLOCK as usize - BLOCK_HEADER {
            return Err("its attributes are larger than a block".to_owned());
        }
        Ok(attributes)
    }

    /// Bytes of entries, values, and the four zero bytes that end the entries.
    fn size(&self) -> usize {
        let one = |entry: &Entry| {
            ENTRY + entry.name.len().next_multiple_of(4) + entry.value.len().next_multiple_of(4)
        };
        4 + self.entries.iter().map(one).sum::<usize>()
    }

    /// Whether a block is needed.
    pub(super) fn need_block(&self) -> bool {
        !self.entries.is_empty() && self.size() > INLINE_ROOM
    }

    /// Puts them into an inode's record, if they go there.
    pub(super) fn put_inline(&self, record: &mut [u8]) {
        if self.entries.is_empty() || self.need_block() {
            return;
        }
        record.put32(INLINE_START, MAGIC);
        self.fill(&mut record[INLINE_START + 4..], 0);
    }

    /// The block that holds them, to lie at this number.
    pub(super) fn block(&self, number: u64, seed: u32) -> Vec<u8> {
        let mut block = vec![0; BLOCK as usize];
        block.put32(0, MAGIC);
        block.put32(4, 1);
        block.put32(8, 1);
        let hash = self.fill(&mut block, BLOCK_HEADER);
        block.put32(12, hash);
        let sum = checksum::continued(checksum::continued(seed, &number.to_le_bytes()), &block);
        block.put32(16, sum);
        block
    }

    /// Entries grow from the start, values from the end; offsets of values count from the start of `room`. Gives the hash
    /// over all of them.
    fn fill(&self, room: &mut [u8], start: usize) -> u32 {
        let (mut at, mut end, mut all) = (start, room.len(), 0_u32);
        for entry in &self.entries {
            end -= entry.value.len().next_multiple_of(4);
            room.put(end, &entry.value);
            let hash = entry.hash();
            room.put(at, &[u8::try_from(entry.name.len()).unwrap_or_default(), entry.index]);
            // An empty value has no place.
            let offset = if entry.value.is_empty() { 0 } else { end };
            room.put16(at + 2, u16::try_from(offset).unwrap_or_default());
            room.put32(at + 8, u32::try_from(entry.value.len()).unwrap_or_default());
            room.put32(at + 12, hash);
            room.put(at + ENTRY, &entry.name);
            at += ENTRY + entry.name.len().next_multiple_of(4);
            all = all.rotate_left(16) ^ hash;
        }
        all
    }
}

impl Entry {
    fn hash(&self) -> u32 {
        let name = self.name.iter().fold(0_u32, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte));
        self.value.chunks(4).fold(name, |hash, chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

/// A full name → the number of its prefix and the rest.
fn split(name: &str) -> Option<(u8, &str)> {
    match name {
        "system.posix_acl_access" => return Some((2, "")),
        "system.posix_acl_default" => return Some((3, "")),
        _ => {}
    }
    [("user.", 1), ("trusted.", 4), ("security.", 6), ("system.", 7)]
        .into_iter()
        .find_map(|(prefix, index)| name.strip_prefix(prefix).map(|rest| (index, rest)))
        .filter(|(_, rest)| !rest.is_empty())
}

/// An access control list as the kernel's interface has it (version 2, eight bytes an entry) → as ext4 stores it (version
/// 1, and the id only with the named users and groups).
fn access_list(value: &[u8]) -> Option<Vec<u8>> {
    const USER: u16 = 2;
    const GROUP: u16 = 8;
    if value.get32(0)? != 2 || value.len() % 8 != 4 {
        return None;
    }
    let mut stored = 1_u32.to_le_bytes().to_vec();
    for entry in value[4..].chunks_exact(8) {
        let named = matches!(entry.get16(0)?, USER | GROUP);
        stored.extend_from_slice(&entry[..if named { 8 } else { 4 }]);
    }
    Some(stored)
}
