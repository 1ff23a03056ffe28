//! Indexes that kmod and udev look names up in (`modules.dep.bin`, `modules.alias.bin`, …): words with their values in, the
//! bytes of the file out, as depmod(8) writes them (kmod, `index.h`).
//!
//! An index is a tree by the letters of its words. What is stored of it, numbers big-endian:
//!
//! ```text
//! 4  magic b007f457
//! 4  version 00020001
//! 4  the root: its offset, and what it has (flags in the upper bits)
//! then each node before its children:
//!    prefix, with a zero byte              if it has one      80000000
//!    first and last letter, offsets        if it has children 20000000
//!    number of values; priority and text   if it has values   40000000
//! ```

use std::collections::BTreeMap;

/// The first bytes of each index.
pub const MAGIC: u32 = 0xb007_f457;

/// The version of the format that is written; readers refuse another.
pub const VERSION: u32 = 0x0002_0001;

/// The bytes before the root.
const HEADER: u32 = 12;
const PREFIX: u32 = 0x8000_0000;
const VALUES: u32 = 0x4000_0000;
const CHILDREN: u32 = 0x2000_0000;
/// The bits that are left for an offset.
const OFFSET: u32 = 0x0fff_ffff;

/// Words with their values; a word may have several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    root: Node,
}

/// Why an index cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// A word has something that is no ASCII letter, digit or sign.
    #[error("`{0}` holds what is no ASCII, and cannot be a word of an index")]
    Word(String),
    /// A value has a zero byte, which ends it.
    #[error("the value of `{0}` holds a zero byte")]
    Value(String),
    /// The index outgrows its offsets.
    #[error("the index has more than {} bytes", OFFSET)]
    TooLarge,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    prefix: Vec<u8>,
    children: BTreeMap<u8, Node>,
    /// By priority; of equal ones the last that came is first.
    values: Vec<(u32, String)>,
}

impl Index {
    /// An index without words.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value to a word. Values are looked at by their priority, the lowest first.
    ///
    /// # Errors
    /// When the word is not all ASCII, or one of both has a zero byte.
    pub fn insert(&mut self, word: &str, value: &str, priority: u32) -> Result<(), IndexError> {
        if !word.bytes().all(|byte| byte.is_ascii() && byte != 0) {
            return Err(IndexError::Word(word.to_owned()));
        }
        if value.bytes().any(|byte| byte == 0) {
            return Err(IndexError::Value(word.to_owned()));
        }
        self.root.insert(word.as_bytes(), value, priority);
        Ok(())
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// When it would be too large.
    pub fn to_bytes(&self) -> Result<Vec<u8>, IndexError> {
        let mut bytes = Vec::new();
        for word in [MAGIC, VERSION, self.root.flags() | HEADER] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        self.root.write(&mut bytes)?;
        Ok(bytes)
    }
}

impl Node {
    /// The node of a word that nothing shares yet.
    fn leaf(prefix: &[u8], value: &str, priority: u32) -> Self {
        Self {
            prefix: prefix.to_vec(),
            values: vec![(priority, value.to_owned())],
            children: BTreeMap::new(),
        }
    }

    fn insert(&mut self, word: &[u8], value: &str, priority: u32) {
        let common = self.prefix.iter().zip(word).take_while(|(one, other)| one == other).count();
        if common < self.prefix.len() {
            self.split(common);
        }
        match word.get(common..).and_then(<[u8]>::split_first) {
            None => self.add(value, priority),
            Some((letter, rest)) => match self.children.get_mut(letter) {
                Some(child) => child.insert(rest, value, priority),
                None => drop(self.children.insert(*letter, Self::leaf(rest, value, priority))),
            },
        }
    }

    /// Keeps the first letters of the prefix, and gives all else to a child.
    fn split(&mut self, at: usize) {
        let mut rest = self.prefix.split_off(at);
        let letter = rest.remove(0);
        let below = Self {
            prefix: rest,
            children: std::mem::take(&mut self.children),
            values: std::mem::take(&mut self.values),
        };
        self.children.insert(letter, below);
    }

    fn add(&mut self, value: &str, priority: u32) {
        let place = self.values.partition_point(|(other, _)| *other < priority);
        self.values.insert(place, (priority, value.to_owned()));
    }

    /// The letters from the first to the last that follows, among which all have a place.
    fn letters(&self) -> Option<(u8, u8)> {
        Some((*self.children.first_key_value()?.0, *self.children.last_key_value()?.0))
    }

    fn flags(&self) -> u32 {
        let mut flags = 0;
        for (there, flag) in [
            (!self.prefix.is_empty(), PREFIX),
            (!self.children.is_empty(), CHILDREN),
            (!self.values.is_empty(), VALUES),
        ] {
            flags |= if there { flag } else { 0 };
        }
        flags
    }

    /// Writes the node and all below it. The places of its children are filled in once they are known.
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), IndexError> {
        if !self.prefix.is_empty() {
            bytes.extend_from_slice(&self.prefix);
            bytes.push(0);
        }
        let mut places = bytes.len();
        if let Some((first, last)) = self.letters() {
            bytes.extend_from_slice(&[first, last]);
            places = bytes.len();
            bytes.resize(places + 4 * (usize::from(last - first) + 1), 0);
        }
        if !self.values.is_empty() {
            let count = u32::try_from(self.values.len()).map_err(|_| IndexError::TooLarge)?;
            bytes.extend_from_slice(&count.to_be_bytes());
            for (priority, value) in &self.values {
                bytes.extend_from_slice(&priority.to_be_bytes());
                bytes.extend_from_slice(value.as_bytes());
                bytes.push(0);
            }
        }
        let first = self.letters().map_or(0, |(first, _)| first);
        for (letter, child) in &self.children {
            let offset = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            if offset > OFFSET {
                return Err(IndexError::TooLarge);
            }
            let place = places + 4 * usize::from(letter - first);
            bytes[place..place + 4].copy_from_slice(&(offset | child.flags()).to_be_bytes());
            child.write(bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_path_through_the_tree() {
        let mut index = Index::new();
        index.insert("ab", "1", 5).unwrap();
        index.insert("acd", "2", 3).unwrap();
        index.insert("ab", "3", 4).unwrap();
        let bytes = index.to_bytes().unwrap();
        let expected: Vec<u8> = [
            &[0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0x20, 0, 0, 12][..],
            // At 12 would be the root's prefix; it has none, and one child.
            &[b'a', b'a', 0x20, 0, 0, 18],
            // At 18: `a`, with children from b to c.
            &[b'b', b'c', 0x40, 0, 0, 28, 0xc0, 0, 0, 44],
            // At 28: `ab`, whose values are in the order of their priorities.
            &[0, 0, 0, 2, 0, 0, 0, 4, b'3', 0, 0, 0, 0, 5, b'1', 0],
            // At 44: `acd`.
            &[b'd', 0, 0, 0, 0, 1, 0, 0, 0, 3, b'2', 0],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_kmod_could_not_read_is_refused() {
        let mut index = Index::new();
        assert_eq!(index.insert("ä", "x", 0), Err(IndexError::Word("ä".to_owned())));
        assert_eq!(index.insert("a", "x\0", 0), Err(IndexError::Value("a".to_owned())));
        assert_eq!(index.to_bytes().unwrap().len(), 12);
    }
}
