//! Files pass by → the bytes of those that package managers and language tools wrote, and what binaries and archives tell.
//!
//! Memory is bounded: a kept text by the limit of its kind, all together by [`MOST_KEPT`], a binary is held until it has
//! been looked at. What is beyond is remembered, and becomes a gap if it is still there when all layers are applied.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, TreePath};
use calypte_formats::cargo_auditable::{self, AuditableCrate, AuditableCrates};
use calypte_formats::go_build_info::{self, BuildInfo};
use calypte_formats::java_archive::{self, JavaArchive};
use calypte_image::read::FileVisitor;
use sha1::Sha1;
use sha2::{Digest as _, Sha512};

use super::Options;
use super::kind::Kind;
use crate::evidence::hex;

/// Most bytes of all texts that are kept together.
const MOST_KEPT: u64 = 1 << 30;

/// Largest program or archive that is looked into: it is held in memory meanwhile.
const BINARY: u64 = 256 << 20;

/// Most bytes of all that binaries and archives tell.
const MOST_FACTS: usize = 512 << 20;

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
    /// What would have been kept or looked into but is too large.
    pub(super) too_large: BTreeSet<TreePath>,
    /// What binaries and archives tell.
    pub(super) facts: BTreeMap<Digest, Facts>,
    /// Bytes that further facts may take.
    facts_left: usize,
    /// By digest, as are all facts about contents.
    pub(super) hashes: BTreeMap<Digest, Hashes>,
    current: Current,
}

/// Files that tell what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Elf,
    Java,
}

/// What a binary or an archive tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) go: Option<BuildInfo>,
    pub(super) crates: Option<AuditableCrates>,
    pub(super) java: Option<java_archive::Reading>,
    /// What in it could not be read.
    pub(super) gaps: Vec<String>,
}

impl Facts {
    fn of(binary: Binary, bytes: &[u8]) -> Self {
        let mut facts = Self::default();
        match binary {
            Binary::Java => facts.java = Some(java_archive::read(bytes, &java_archive::Limits::default())),
            // Object files and kernel modules have no such notes.
            Binary::Elf if matches!(bytes.get(16..18), Some([1, 0] | [0, 1])) => {}
            Binary::Elf => {
                match go_build_info::read(bytes) {
                    Ok(go) => facts.go = go,
                    Err(error) => facts.gaps.push(error.to_string()),
                }
                match cargo_auditable::read(bytes) {
                    Ok(crates) => facts.crates = crates,
                    Err(error) => facts.gaps.push(error.to_string()),
                }
            }
        }
        facts
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        const EACH: usize = 128;
        let go = self.go.as_ref().map_or(0, |go| {
            let modules = go.modules.iter().map(|module| module.path.len() + module.version.len() + EACH);
            go.go.len() + modules.sum::<usize>()
        });
        let crates = self.crates.as_ref().map_or(0, |crates| {
            let each = |one: &AuditableCrate| {
                one.name.len() + one.version.len() + one.source.len() + EACH * one.dependencies.len() + EACH
            };
            crates.packages.iter().map(each).sum()
        });
        let java = self.java.as_ref().map_or(0, |java| {
            let each = |jar: &JavaArchive| {
                let manifest = jar.manifest.iter().map(|(name, value)| name.len() + value.len() + EACH);
                let artifacts = jar
                    .artifacts
                    .iter()
                    .map(|one| one.group.len() + one.artifact.len() + one.version.len() + EACH);
                jar.place.len() + EACH + manifest.sum::<usize>() + artifacts.sum::<usize>()
            };
            java.archives.iter().map(each).sum::<usize>() + java.gaps.iter().map(String::len).sum::<usize>()
        });
        go + crates + java + self.gaps.iter().map(String::len).sum::<usize>()
    }
}

/// What becomes of the file that is passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    /// Its first bytes will tell.
    #[default]
    Open,
    /// Its bytes are kept.
    Keep,
    /// It is looked into when it is there as a whole.
    LookInto(Binary),
    /// Only its hashes count.
    Pass,
}

#[derive(Debug, Default)]
struct Current {
    fate: Fate,
    size: u64,
    archive_name: bool,
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
            facts: BTreeMap::new(),
            facts_left: MOST_FACTS,
            hashes: BTreeMap::new(),
            current: Current::default(),
        }
    }

    fn look_into(&mut self, binary: Binary, path: &TreePath, digest: &Digest) {
        if self.facts.contains_key(digest) {
            return;
        }
        let facts = Facts::of(binary, &self.current.buffer);
        let Some(left) = self.facts_left.checked_sub(facts.weight()) else {
            self.too_large.insert(path.clone());
            return;
        };
        self.facts_left = left;
        if let Some(sha1) = facts.java.as_ref().and_then(|java| java.archives.first()).map(|jar| &jar.sha1) {
            self.hashes.entry(*digest).or_default().sha1 = Some(sha1.clone());
        }
        if facts != Facts::default() {
            self.facts.insert(*digest, facts);
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

impl Current {
    /// Decides by the first bytes; the parts of a small file may be smaller than that.
    fn decide(&mut self, part: &[u8]) {
        let whole;
        let start = if self.buffer.is_empty() {
            part
        } else {
            self.buffer.extend_from_slice(part);
            whole = std::mem::take(&mut self.buffer);
            &whole
        };
        if start.len() < MAGIC {
            self.buffer = start.to_vec();
            return;
        }
        self.fate = match start.get(..MAGIC) {
            Some(b"\x7fELF") => Fate::LookInto(Binary::Elf),
            Some(b"PK\x03\x04" | b"PK\x05\x06") if self.archive_name => Fate::LookInto(Binary::Java),
            _ => Fate::Pass,
        };
        if matches!(self.fate, Fate::LookInto(_)) && self.size <= BINARY {
            self.buffer.extend_from_slice(start);
        }
    }
}

impl FileVisitor for Collector {
    fn start(&mut self, path: &TreePath, size: u64) {
        self.current.buffer.clear();
        self.current.size = size;
        self.current.archive_name = java_archive::is_archive_name(path.file_name());
        self.too_large.remove(path);
        self.current.sha1 = self.options.hashes.then(Sha1::new);
        self.current.sha512 = self.options.hashes.then(Sha512::new);
        self.current.fate = match Kind::of(path).map(Kind::limit) {
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
            Fate::Open => self.current.decide(bytes),
            Fate::LookInto(_) if self.current.size > BINARY => {}
            Fate::Keep | Fate::LookInto(_) => self.current.buffer.extend_from_slice(bytes),
        }
    }

    fn end(&mut self, path: &TreePath, digest: &Digest) {
        let sha1 = self.current.sha1.take().map(|hash| hex(&hash.finalize()));
        let sha512 = self.current.sha512.take().map(|hash| hex(&hash.finalize()));
        if self.options.hashes {
            self.hashes.insert(*digest, Hashes { sha1, sha512 });
        }
        match self.current.fate {
            Fate::Keep => self.keep(path, *digest),
            Fate::LookInto(_) if self.current.size > BINARY => _ = self.too_large.insert(path.clone()),
            Fate::LookInto(binary) => self.look_into(binary, path, digest),
            Fate::Open | Fate::Pass => {}
        }
    }
}
