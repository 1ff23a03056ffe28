//! What a layer holds, kept after its objects were imported, so that it need not come again: a line of JSON for each entry,
//! compressed. A record whose objects are not all there counts as none.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::Digest;
use calypte_composefs::{Content, VerityDigest};
use serde::{Deserialize, Serialize};

use super::KnownFiles;
use crate::disk_changes::{self, NewFile};
use crate::repository::list;
use crate::{HostError, Repository, SystemRoot};

/// Fast, and a record shrinks to a tenth.
const LEVEL: i32 = 3;

/// Longest line in bytes that is read: a path, a link target and attributes of 64 KiB.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// The entries of a layer in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerRecord {
    /// The entries.
    pub entries: Vec<LayerEntry>,
}

/// An entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerEntry {
    /// Its path, without a slash before it.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: LayerEntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Group.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
    /// Time of modification.
    #[serde(default)]
    pub mtime: i64,
    /// Extended attributes, in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum LayerEntryKind {
    /// A directory.
    Directory,
    /// A file whose bytes are in the record.
    Small {
        /// In base64.
        bytes: String,
    },
    /// A file that is an object.
    Object {
        /// Its fs-verity digest.
        object: String,
        /// Its size in bytes.
        size: u64,
        /// SHA-256 of its bytes, as tables of contents have it.
        sha256: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// Where to.
        target: String,
    },
    /// Another name of an earlier path.
    Link {
        /// That path.
        target: String,
    },
    /// A character device.
    Char {
        /// The device number.
        device: u64,
    },
    /// A block device.
    Block {
        /// The device number.
        device: u64,
    },
    /// A named pipe.
    Fifo,
}

impl LayerEntryKind {
    /// A file with these bytes.
    pub(super) fn small(bytes: &[u8]) -> Self {
        Self::Small { bytes: STANDARD.encode(bytes) }
    }

    /// The content of a file, if it is one.
    pub(super) fn content(&self) -> Option<Content> {
        match self {
            Self::Small { bytes } => STANDARD.decode(bytes).ok().map(Content::Inline),
            Self::Object { object, size, .. } => {
                Some(Content::Object { digest: object.parse().ok()?, size: *size })
            }
            _ => None,
        }
    }
}

/// Extended attributes as a record has them, and back.
pub(super) fn encoded(xattrs: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    xattrs.iter().map(|(name, value)| (name.clone(), STANDARD.encode(value))).collect()
}

pub(super) fn decoded(xattrs: &BTreeMap<String, String>) -> BTreeMap<String, Vec<u8>> {
    xattrs.iter().filter_map(|(name, value)| Some((name.clone(), STANDARD.decode(value).ok()?))).collect()
}

/// The records of a root file system.
#[derive(Debug)]
pub(super) struct Records {
    directory: PathBuf,
    staging: PathBuf,
}

impl Records {
    pub(super) fn new(system: &SystemRoot) -> Self {
        Self { directory: system.layers(), staging: system.staging() }
    }

    fn path(&self, diff_id: &Digest) -> PathBuf {
        self.directory.join(format!("{}.json.zst", diff_id.hex()))
    }

    /// All records by the digests of their layers.
    pub(super) fn all(&self) -> Result<Vec<(Digest, PathBuf)>, HostError> {
        let name = |path: PathBuf| {
            let digest = path.file_name()?.to_str()?.strip_suffix(".json.zst")?.parse().ok()?;
            Some((digest, path))
        };
        Ok(list(&self.directory)?.into_iter().filter_map(name).collect())
    }

    /// The record of a layer; nothing when there is none, it is damaged, or one of its objects is not there.
    pub(super) fn read(
        &self,
        diff_id: &Digest,
        repository: &Repository,
    ) -> Result<Option<LayerRecord>, HostError> {
        let Some(record) = self.parse(diff_id)? else { return Ok(None) };
        let there = record.entries.iter().all(|entry| match entry.kind.content() {
            Some(Content::Object { digest, size }) => repository.has(&digest, size),
            _ => true,
        });
        Ok(there.then_some(record))
    }

    fn parse(&self, diff_id: &Digest) -> Result<Option<LayerRecord>, HostError> {
        let path = self.path(diff_id);
        let file = match fs_err::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HostError::io("read", &path)(error)),
        };
        let Ok(decoder) = zstd::stream::read::Decoder::new(file) else { return Ok(None) };
        let mut lines = BufReader::new(decoder);
        let mut record = LayerRecord::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            // A damaged record is no reason to fail: the layer is imported again.
            match lines.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(Some(record)),
                Ok(length) if length <= LONGEST_LINE => {}
                _ => return Ok(None),
            }
            match serde_json::from_slice(&line) {
                Ok(entry) => record.entries.push(entry),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Writes a record under a name that does not count, to be flushed with the objects.
    pub(super) fn stage(&self, record: &LayerRecord) -> Result<NewFile, HostError> {
        let failed = |error| HostError::io("write", &self.staging)(error);
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        for entry in &record.entries {
            serde_json::to_writer(&mut encoder, entry).map_err(|error| failed(error.into()))?;
            encoder.write_all(b"\n").map_err(failed)?;
        }
        let bytes = encoder.finish().map_err(failed)?;
        let mut file = NewFile::create(&self.staging)?;
        file.append(&bytes)?;
        Ok(file)
    }

    /// Gives records their names. They and their objects must be flushed.
    pub(super) fn publish(&self, staged: Vec<(Digest, NewFile)>) -> Result<(), HostError> {
        if staged.is_empty() {
            return Ok(());
        }
        for (diff_id, file) in staged {
            file.publish(&self.path(&diff_id))?;
        }
        disk_changes::sync_directory(&self.directory)
    }

    /// Every file of every layer that is here, by the digest of its bytes.
    pub(super) fn known_files(&self, repository: &Repository) -> Result<KnownFiles, HostError> {
        let mut known = KnownFiles::new();
        for (diff_id, _) in self.all()? {
            for entry in self.parse(&diff_id)?.unwrap_or_default().entries {
                let LayerEntryKind::Object { object, size, sha256 } = &entry.kind else { continue };
                let Ok(digest) = object.parse::<VerityDigest>() else { continue };
                if !known.contains_key(sha256) && repository.has(&digest, *size) {
                    known.insert(*sha256, (digest, *size));
                }
            }
        }
        Ok(known)
    }
}
