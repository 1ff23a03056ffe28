//! udev's database of hardware: the texts of `*.hwdb` files in, the bytes of `hwdb.bin` out, as systemd-hwdb(8) writes them
//! (hwdb(7); systemd, `hwdb-internal.h`).
//!
//! The database is a tree by the letters of the match patterns, whose nodes hold properties; all strings lie in one pool in
//! which no string is stored that is the end of another. Numbers are little-endian:
//!
//! ```text
//! 80  header: KSLPHHRH, version of the tool, sizes of file, header, node, child and value, root, length of nodes and pool
//!     each node behind its children: prefix, number of children and values; 16 bytes a child; 32 bytes a value
//!     the pool
//! ```

use std::collections::BTreeMap;

const SIGNATURE: &[u8; 8] = b"KSLPHHRH";
const HEADER: u64 = 80;
const NODE: u64 = 24;
const CHILD: u64 = 16;
const VALUE: u64 = 32;

/// A database in the making.
#[derive(Debug, Clone)]
pub struct Hwdb {
    root: Node,
    pool: Pool,
    files: u16,
}

/// A line that says nothing, as systemd-hwdb warns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its number, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub problem: &'static str,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Offset in the pool.
    prefix: usize,
    children: BTreeMap<u8, Node>,
    /// In the order of their keys' bytes.
    values: Vec<Value>,
}

/// A property and where it stands; strings by their offsets in the pool.
#[derive(Debug, Clone, Copy)]
struct Value {
    key: usize,
    value: usize,
    file: usize,
    line: u32,
    priority: u16,
}

impl Default for Hwdb {
    fn default() -> Self {
        Self { root: Node::default(), pool: Pool::new(), files: 0 }
    }
}

impl Hwdb {
    /// An empty database.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. Of two properties with the same name for the same pattern the later file's counts. Gives the lines
    /// that say nothing.
    pub fn add(&mut self, name: &str, text: &str) -> Vec<Ignored> {
        self.files = self.files.saturating_add(1);
        let mut ignored = Vec::new();
        let mut patterns: Vec<&str> = Vec::new();
        let mut has_data = false;
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') {
                continue;
            }
            let line = line.split('#').next().unwrap_or_default().trim_end_matches(is_space);
            let mut wrong = |problem| ignored.push(Ignored { line: number, problem });
            if line.is_empty() {
                if !patterns.is_empty() && !has_data {
                    wrong("a record without properties");
                }
                patterns.clear();
                has_data = false;
            } else if line.starts_with(' ') {
                if patterns.is_empty() {
                    wrong("a property without a pattern before it");
                    continue;
                }
                has_data = true;
                if let Err(problem) = self.property(&patterns, line, name, number) {
                    wrong(problem);
                }
            } else if has_data {
                wrong("a pattern where a property or an empty line must be");
                patterns.clear();
                has_data = false;
            } else {
                patterns.push(line);
            }
        }
        ignored
    }

    fn property(
        &mut self,
        patterns: &[&str],
        line: &str,
        file: &str,
        number: u32,
    ) -> Result<(), &'static str> {
        let (key, value) = line.split_once('=').ok_or("neither a key nor a value")?;
        // One space stays, by which a reader tells properties that may be used.
        let key = key.trim_start_matches([' ', '\t']);
        if key.is_empty() {
            return Err("a value without a key");
        }
        let key = format!(" {key}");
        for pattern in patterns {
            let place = Place { key: &key, value, file, line: number, priority: self.files };
            insert(&mut self.root, &mut self.pool, pattern.as_bytes(), place);
        }
        Ok(())
    }

    /// The bytes of the file. `version` is that of the systemd whose tool would have made it; no reader looks at it.
    #[must_use]
    pub fn to_bytes(&self, version: u64) -> Vec<u8> {
        let nodes = self.root.size();
        let pool_offset = HEADER + nodes;
        let mut bytes = vec![0; usize::try_from(HEADER).unwrap_or_default()];
        let root = self.root.write(pool_offset, &mut bytes);
        bytes.extend_from_slice(&self.pool.bytes);
        let size = bytes.len() as u64;
        let numbers = [version, size, HEADER, NODE, CHILD, VALUE, root, nodes, self.pool.bytes.len() as u64];
        let header: Vec<u8> =
            SIGNATURE.iter().copied().chain(numbers.iter().flat_map(|number| number.to_le_bytes())).collect();
        bytes[..header.len()].copy_from_slice(&header);
        bytes
    }
}

/// As C's isspace(3).
const fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A property that is to be put in.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    key: &'a str,
    value: &'a str,
    file: &'a str,
    line: u32,
    priority: u16,
}

fn insert(node: &mut Node, pool: &mut Pool, pattern: &[u8], place: Place<'_>) {
    let prefix = pool.at(node.prefix).to_vec();
    let common = prefix.iter().zip(pattern).take_while(|(one, other)| one == other).count();
    if let Some(letter) = prefix.get(common) {
        let below = Node {
            prefix: node.prefix + common + 1,
            children: std::mem::take(&mut node.children),
            values: std::mem::take(&mut node.values),
        };
        node.prefix = pool.add(&prefix[..common]);
        node.children.insert(*letter, below);
    }
    match pattern.get(common..).and_then(<[u8]>::split_first) {
        None => node.add(pool, place),
        Some((letter, rest)) => match node.children.get_mut(letter) {
            Some(child) => insert(child, pool, rest, place),
            None => {
                let mut child = Node { prefix: pool.add(rest), ..Node::default() };
                child.add(pool, place);
                node.children.insert(*letter, child);
            }
        },
    }
}

impl Node {
    fn add(&mut self, pool: &mut Pool, place: Place<'_>) {
        let Place { line, priority, .. } = place;
        let key = pool.add(place.key.as_bytes());
        let value = pool.add(place.value.as_bytes());
        let file = pool.add(place.file.as_bytes());
        let new = Value { key, value, file, line, priority };
        match self.values.binary_search_by(|other| pool.at(other.key).cmp(place.key.as_bytes())) {
            // The name may be another string of the pool with the same letters; it stays.
            Ok(there) => self.values[there] = Value { key: self.values[there].key, ..new },
            Err(free) => self.values.insert(free, new),
        }
    }

    fn size(&self) -> u64 {
        let own = NODE + self.children.len() as u64 * CHILD + self.values.len() as u64 * VALUE;
        own + self.children.values().map(Self::size).sum::<u64>()
    }

    fn write(&self, pool: u64, bytes: &mut Vec<u8>) -> u64 {
        let children: Vec<(u8, u64)> =
            self.children.iter().map(|(letter, child)| (*letter, child.write(pool, bytes))).collect();
        let offset = bytes.len() as u64;
        let string = |at: usize| (pool + at as u64).to_le_bytes();
        bytes.extend_from_slice(&string(self.prefix));
        // At most 255 letters can follow one: none is zero.
        bytes.push(u8::try_from(children.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&[0; 7]);
        bytes.extend_from_slice(&(self.values.len() as u64).to_le_bytes());
        for (letter, child) in children {
            bytes.push(letter);
            bytes.extend_from_slice(&[0; 7]);
            bytes.extend_from_slice(&child.to_le_bytes());
        }
        for Value { key, value, file, line, priority } in &self.values {
            for at in [*key, *value, *file] {
                bytes.extend_from_slice(&string(at));
            }
            bytes.extend_from_slice(&line.to_le_bytes());
            bytes.extend_from_slice(&priority.to_le_bytes());
            bytes.extend_from_slice(&[0; 2]);
        }
        offset
    }
}

/// Strings with a zero byte behind each; what is the end of one that is there, is found in it.
#[derive(Debug, Clone)]
struct Pool {
    bytes: Vec<u8>,
    /// A tree by the strings' letters from their ends. The empty string is the root's.
    tails: Tail,
}

#[derive(Debug, Clone, Default)]
struct Tail {
    offset: usize,
    length: usize,
    before: BTreeMap<u8, Tail>,
}

impl Pool {
    fn new() -> Self {
        Self { bytes: vec![0], tails: Tail::default() }
    }

    /// The string at an offset.
    fn at(&self, offset: usize) -> &[u8] {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The offset of a string, which is put in if it is nowhere yet.
    fn add(&mut self, string: &[u8]) -> usize {
        if string.is_empty() {
            return 0;
        }
        let mut tail = &mut self.tails;
        // From its last letter on, as far as the strings that are there end alike.
        for (depth, letter) in string.iter().rev().enumerate() {
            let end = tail.offset + tail.length;
            if tail.length >= string.len() && self.bytes.get(end - string.len()..end) == Some(string) {
                return end - string.len();
            }
            debug_assert!(depth < string.len());
            if !tail.before.contains_key(letter) {
                let offset = self.bytes.len();
                self.bytes.extend_from_slice(string);
                self.bytes.push(0);
                let new = Tail { offset, length: string.len(), before: BTreeMap::new() };
                tail.before.insert(*letter, new);
                return offset;
            }
            // It was just found.
            match tail.before.get_mut(letter) {
                Some(next) => tail = next,
                None => break,
            }
        }
        tail.offset + tail.length - string.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_share_their_ends() {
        let mut pool = Pool::new();
        let long = pool.add(b"model");
        assert_eq!(pool.add(b"del"), long + 2);
        assert_eq!(pool.add(b""), 0);
        let other = pool.add(b"x-del");
        assert_eq!((other, pool.add(b"-del")), (long + 6, long + 7));
        assert_eq!(pool.at(long + 3), b"el");
    }

    #[test]
    fn lines_that_say_nothing_are_told() {
        let mut hwdb = Hwdb::new();
        let text = "# comment\n A=1\nusb:*\n\nusb:v1*\nusb:v2*\n  ID=a # behind\n B\n =x\nusb:v3*\n C=1\n";
        let ignored: Vec<(u32, &str)> =
            hwdb.add("x", text).into_iter().map(|ignored| (ignored.line, ignored.problem)).collect();
        assert_eq!(
            ignored,
            [
                (2, "a property without a pattern before it"),
                (4, "a record without properties"),
                (8, "neither a key nor a value"),
                (9, "a value without a key"),
                (10, "a pattern where a property or an empty line must be"),
                (11, "a property without a pattern before it"),
            ]
        );
        assert_eq!(hwdb.root.children[&b'u'].children.len(), 2);
    }
}
