//! Files pass by → the bytes of those that package managers and language tools wrote, and what binaries and archives tell.
//!
//! Memory is bounded: a kept text by the limit of its kind, all together by [`MOST_KEPT`], a binary is held until it has
//! been looked at. What is beyond is remembered, and becomes a gap if it is still there when all layers are applied.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, TreePath};
use calypte_image::read::FileVisitor;
use sha1::Sha1;
use sha2::{Digest as _, Sha512};

use super::Options;
use crate::evidence::hex;

/// Most bytes of all texts that are kept together.
const MOST_KEPT: u64 = 1 << 30;

/// A database of packages: that of a desktop with everything has 200 MB.
const DATABASE: u64 = 512 << 20;

/// The record of all packages of a system in one text: 3 MB for 2,000 packages.
const RECORDS: u64 = 128 << 20;

/// Any other text: file lists, copyright files, compressed changelogs.
const TEXT: u64 = 16 << 20;

/// Bytes that tell what a file is.
const MAGIC: usize = 4;

/// Hashes of a file beside its SHA-256, in hexadecimal digits, as far as they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    pub(super) sha1: Option<String>,
    pub(super) sha512: Option<String>,
}

/// A text that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
}

/// Sees the files.
#[derive(Debug)]
pub(super) struct Collector {
    options: Options,
    /// By path: a later layer replaces what an earlier one had there.
    pub(super) kept: BTreeMap<TreePath, Kept>,
    kept_bytes: u64,
    /// What would have been kept but is too large.
    pub(super) too_large: BTreeSet<TreePath>,
    /// By digest, as are all facts about contents.
    pub(super) hashes: BTreeMap<Digest, Hashes>,
    current: Current,
}

/// What becomes of the file that is passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    /// Its first bytes will tell.
    #[default]
    Open,
    /// Its bytes are kept.
    Keep,
    /// Only its hashes count.
    Pass,
}

#[derive(Debug, Default)]
struct Current {
    fate: Fate,
    buffer: Vec<u8>,
    sha1: Option<Sha1>,
    sha512: Option<Sha512>,
}

impl Collector {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            kept: BTreeMap::new(),
            kept_bytes: 0,
            too_large: BTreeSet::new(),
            hashes: BTreeMap::new(),
            current: Current::default(),
        }
    }

    fn keep(&mut self, path: &TreePath, digest: Digest) {
        let bytes = std::mem::take(&mut self.current.buffer);
        self.kept_bytes += bytes.len() as u64;
        self.too_large.remove(path);
        if let Some(old) = self.kept.insert(path.clone(), Kept { digest, bytes }) {
            self.kept_bytes -= old.bytes.len() as u64;
        }
    }
}

impl FileVisitor for Collector {
    fn start(&mut self, path: &TreePath, size: u64) {
        self.current.buffer.clear();
        self.current.sha1 = self.options.hashes.then(Sha1::new);
        self.current.sha512 = self.options.hashes.then(Sha512::new);
        self.current.fate = match limit(path) {
            Some(limit) if size <= limit && self.kept_bytes.saturating_add(size) <= MOST_KEPT => Fate::Keep,
            Some(_) => {
                self.too_large.insert(path.clone());
                Fate::Pass
            }
            None => Fate::Open,
        };
    }

    fn part(&mut self, bytes: &[u8]) {
        if let Some(sha1) = &mut self.current.sha1 {
            sha1.update(bytes);
        }
        if let Some(sha512) = &mut self.current.sha512 {
            sha512.update(bytes);
        }
        match self.current.fate {
            Fate::Pass => {}
            Fate::Open => self.current.fate = Fate::Pass,
            Fate::Keep => self.current.buffer.extend_from_slice(bytes),
        }
    }

    fn end(&mut self, path: &TreePath, digest: &Digest) {
        let sha1 = self.current.sha1.take().map(|hash| hex(&hash.finalize()));
        let sha512 = self.current.sha512.take().map(|hash| hex(&hash.finalize()));
        if self.options.hashes {
            self.hashes.insert(*digest, Hashes { sha1, sha512 });
        }
        if self.current.fate == Fate::Keep {
            self.keep(path, *digest);
        }
    }
}

/// The most bytes of the file at this path that are kept; none when its path says nothing.
pub(super) fn limit(path: &TreePath) -> Option<u64> {
    let text = path.as_str();
    let (directory, name) = text.rsplit_once('/').unwrap_or(("", text));
    match text {
        "etc/os-release" | "usr/lib/os-release" | "var/lib/dpkg/diversions" => return Some(TEXT),
        "var/lib/dpkg/status" => return Some(RECORDS),
        _ => {}
    }
    match directory {
        "var/lib/dpkg/status.d" => return Some(TEXT),
        "var/lib/dpkg/info" if name.ends_with(".list") => return Some(TEXT),
        _ => {}
    }
    let documented = directory.strip_prefix("usr/share/doc/").is_some_and(|package| !package.contains('/'));
    (documented && (name == "copyright" || is_changelog(name))).then_some(TEXT)
}

/// The names that Debian's policy 12.7 gives changelogs.
fn is_changelog(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name == "changelog" || name.starts_with("changelog.Debian")
}
