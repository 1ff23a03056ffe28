//! An OCI layout (image-layout.md): in a directory, or behind the members of an archive.

use std::collections::BTreeMap;
use std::io::{Read, Seek as _, SeekFrom, Take};
use std::ops::Range;
use std::path::{Path, PathBuf};

use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Index, Manifest};
use calypte_trust::sigstore::fallback_tag;

use super::DOCUMENT_LIMIT;
use crate::HostError;

/// The annotation that names an image of a layout.
const NAME: &str = "org.opencontainers.image.ref.name";

/// Most entries of an index that are looked at.
const MOST_ENTRIES: usize = 4096;

#[derive(Debug)]
pub(super) struct Layout {
    place: PathBuf,
    tag: Option<String>,
    index: Index,
    /// Offset and size of the blobs in an archive; none in a directory.
    members: Option<BTreeMap<Digest, (u64, u64)>>,
}

impl Layout {
    pub(super) fn open(path: &Path, tag: Option<&str>) -> Result<Self, HostError> {
        let file = path.join("index.json");
        let mut bytes = Vec::new();
        let opened = fs_err::File::open(&file).map_err(HostError::io("read", &file))?;
        opened.take(DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(HostError::io("read", &file))?;
        Self::new(path, tag, &bytes, None)
    }

    pub(super) fn new(
        place: &Path,
        tag: Option<&str>,
        index: &[u8],
        members: Option<BTreeMap<Digest, (u64, u64)>>,
    ) -> Result<Self, HostError> {
        let index: Index = serde_json::from_slice(index).map_err(|error| HostError::NoImage {
            place: place.display().to_string(),
            reason: format!("index.json: {error}"),
        })?;
        if index.manifests.len() > MOST_ENTRIES {
            let reason = format!("its index has {} entries", index.manifests.len());
            return Err(HostError::NoImage { place: place.display().to_string(), reason });
        }
        Ok(Self { place: place.to_owned(), tag: tag.map(str::to_owned), index, members })
    }

    /// The entry of the image that is meant.
    pub(super) fn root(&self) -> Result<Descriptor, HostError> {
        let none = |reason: String| HostError::NoImage { place: self.place.display().to_string(), reason };
        let name = |entry: &Descriptor| entry.annotations.get(NAME).cloned();
        if let Some(tag) = &self.tag {
            let found = self.index.manifests.iter().find(|entry| name(entry).as_ref() == Some(tag));
            return found.cloned().ok_or_else(|| none(format!("none has the tag {tag}")));
        }
        let mut images = Vec::new();
        for entry in &self.index.manifests {
            let referrers = name(entry).is_some_and(|name| name.starts_with("sha256-"));
            if entry.artifact_type.is_none() && !referrers && self.subject(entry)?.is_none() {
                images.push(entry);
            }
        }
        // Several tags of one image are one.
        images.dedup_by_key(|entry| entry.digest);
        match images.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(none("it is empty".to_owned())),
            several => {
                let names: Vec<String> = several.iter().filter_map(|entry| name(entry)).collect();
                Err(none(format!("it has several; say which: {}", names.join(", "))))
            }
        }
    }

    /// What an entry is about, if it is about another one.
    fn subject(&self, entry: &Descriptor) -> Result<Option<Digest>, HostError> {
        #[derive(serde::Deserialize)]
        struct About {
            subject: Option<Descriptor>,
        }
        if entry.size > DOCUMENT_LIMIT {
            return Ok(None);
        }
        let bytes = self.small(entry)?;
        let about: Option<About> = serde_json::from_slice(&bytes).ok();
        Ok(about.and_then(|about| about.subject).map(|subject| subject.digest))
    }

    /// The manifests that are about this one: entries of the index itself, and those of the index under the tag that
    /// registries use.
    pub(super) fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, HostError> {
        let mut found = Vec::new();
        let tag = fallback_tag(subject);
        for entry in &self.index.manifests {
            if entry.annotations.get(NAME).is_some_and(|name| *name == tag) && entry.size <= DOCUMENT_LIMIT {
                let listed: Option<Index> = serde_json::from_slice(&self.small(entry)?).ok();
                found.extend(listed.into_iter().flat_map(|index| index.manifests));
            } else if self.subject(entry)?.as_ref() == Some(subject) {
                found.push(entry.clone());
            }
        }
        found.retain(|entry: &Descriptor| {
            entry.size <= DOCUMENT_LIMIT
                && self.small(entry).is_ok_and(|bytes| serde_json::from_slice::<Manifest>(&bytes).is_ok())
        });
        Ok(found)
    }

    /// The bytes of a blob that was seen to be small.
    pub(super) fn small(&self, descriptor: &Descriptor) -> Result<Vec<u8>, HostError> {
        let mut bytes = Vec::new();
        let limit = descriptor.size.saturating_add(1);
        let path = self.path(descriptor);
        self.blob(descriptor)?.take(limit).read_to_end(&mut bytes).map_err(HostError::io("read", path))?;
        Ok(bytes)
    }

    fn path(&self, descriptor: &Descriptor) -> PathBuf {
        match self.members {
            None => self.place.join("blobs/sha256").join(descriptor.digest.hex()),
            Some(_) => self.place.clone(),
        }
    }

    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, HostError> {
        Ok(Box::new(self.part(descriptor, 0..u64::MAX)?))
    }

    /// A part of a blob, as far as the blob goes.
    pub(super) fn range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Vec<u8>, HostError> {
        let mut bytes = Vec::new();
        let mut part = self.part(descriptor, range)?;
        part.read_to_end(&mut bytes).map_err(HostError::io("read", self.path(descriptor)))?;
        Ok(bytes)
    }

    fn part(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Take<fs_err::File>, HostError> {
        let path = self.path(descriptor);
        let (offset, size) = match &self.members {
            None => (0, u64::MAX),
            Some(members) => *members.get(&descriptor.digest).ok_or_else(|| HostError::NoImage {
                place: self.place.display().to_string(),
                reason: format!("it lacks the blob {}", descriptor.digest),
            })?,
        };
        let mut file = fs_err::File::open(&path).map_err(HostError::io("read", &path))?;
        let start = range.start.min(size);
        if offset + start > 0 {
            file.seek(SeekFrom::Start(offset + start)).map_err(HostError::io("read", &path))?;
        }
        Ok(file.take(range.end.min(size).saturating_sub(start)))
    }
}
