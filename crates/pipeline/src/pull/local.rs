//! What is on the machine already: blobs of layouts and of the store, and the chunks of their zstd:chunked layers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use calypte_base::{Digest, Hasher};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci;
use calypte_formats::zstd_chunked::{Chunk, Positions};
use calypte_image::layers::COMPRESSION_ANNOTATION;
use calypte_image::read_layout;
use calypte_store::Store;

use super::{CACHE, MOST_MANIFESTS};
use crate::hints::hinted;
use crate::report::Reporter;

/// Most layers that are looked into; a client keeps some images, of at most some hundred layers each.
const MOST_LAYERS: usize = 10_000;

/// Bytes copied at once.
const BUFFER: usize = 256 * 1024;

/// Blobs that need not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// A layout; one tag of it, or all that it has.
    Layout {
        /// Its directory.
        directory: PathBuf,
        /// The tag.
        tag: Option<String>,
    },
    /// An image in the store.
    Stored {
        /// Where each blob lies.
        blobs: Vec<(oci::Descriptor, PathBuf)>,
    },
}

impl FromStr for Local {
    type Err = anyhow::Error;

    /// Reads `oci:DIR[:TAG]`.
    fn from_str(text: &str) -> Result<Self> {
        let path = text.strip_prefix("oci:").filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| {
            hinted(
                format!("`{text}` is no layout"),
                "write oci:DIR or oci:DIR:TAG; archives must be unpacked first",
            )
        })?;
        // A path may hold a colon itself: what is there decides.
        let (path, tag) = match path.rsplit_once(':') {
            Some((before, tag)) if !Path::new(path).exists() => (before, Some(tag.to_owned())),
            _ => (path, None),
        };
        Ok(Self::Layout { directory: path.into(), tag })
    }
}

/// The image that was pulled last from a repository, if the store still has its documents.
pub(super) fn pulled_before(store: &Store, key: &Digest) -> Option<Local> {
    let root: Digest = String::from_utf8(store.cache_get(CACHE, key)?).ok()?.parse().ok()?;
    let mut seen = BTreeSet::from([root]);
    let mut pending = vec![root];
    let mut blobs = Vec::new();
    while let Some(digest) = pending.pop() {
        let links: super::Links = serde_json::from_slice(&store.read_verified(&digest).ok()?).ok()?;
        let found = links.config.into_iter().chain(links.layers);
        blobs.extend(found.map(|blob| (blob.clone(), store.blob_path(&blob.digest))));
        // An index may name one child often, as may that child its own: each counts once.
        for child in links.manifests.into_iter().map(|child| child.digest) {
            if store.has(&child) && seen.insert(child) {
                pending.push(child);
            }
        }
        if blobs.len() > MOST_LAYERS || seen.len() > MOST_MANIFESTS {
            return None;
        }
    }
    Some(Local::Stored { blobs })
}

impl Local {
    /// Its blobs, as its manifests describe them.
    fn blobs(&self) -> Result<Vec<(oci::Descriptor, PathBuf)>> {
        let (directory, tag) = match self {
            Self::Stored { blobs } => return Ok(blobs.clone()),
            Self::Layout { directory, tag } => (directory, tag),
        };
        if !directory.is_dir() {
            bail!("{} is no directory with an OCI image layout", directory.display());
        }
        let layout = read_layout(directory)?;
        let named = layout.images().iter().filter(|image| tag.is_none() || image.name == *tag);
        let mut blobs = Vec::new();
        for image in named {
            for blob in std::iter::once(&image.manifest.config).chain(&image.manifest.layers) {
                blobs.push((blob.clone(), directory.join("blobs/sha256").join(blob.digest.hex())));
            }
        }
        match tag {
            Some(tag) if blobs.is_empty() => {
                bail!("{} has no image with the tag `{tag}`", directory.display())
            }
            _ => Ok(blobs),
        }
    }
}

/// What makes the compressed bytes of a chunk the same: its content, their number, and what compressed them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    content: Digest,
    frame: u64,
    compression: Option<String>,
}

/// A frame in a local blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    file: usize,
    offset: u64,
    end: u64,
    size: u64,
    content: Digest,
}

/// All that is there.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    files: Vec<std::fs::File>,
    places: BTreeMap<Key, Place>,
    blobs: BTreeMap<Digest, PathBuf>,
}

impl Chunks {
    /// Looks into the layers of these. A layer that cannot be used is told of and passed over.
    pub(super) fn read(from: &[&Local], reporter: &dyn Reporter) -> Result<Self> {
        let mut chunks = Self::default();
        for local in from {
            for (blob, path) in local.blobs()? {
                if chunks.blobs.contains_key(&blob.digest) || !path.exists() {
                    continue;
                }
                if chunks.blobs.len() >= MOST_LAYERS {
                    bail!("there are more than {MOST_LAYERS} local layers to look into");
                }
                if let Err(error) = chunks.add(&blob, &path) {
                    reporter.warn(&format!("nothing of {} is used: {error:#}", path.display()));
                }
                chunks.blobs.insert(blob.digest, path);
            }
        }
        Ok(chunks)
    }

    /// Whether no chunk is known.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn add(&mut self, blob: &oci::Descriptor, path: &Path) -> Result<()> {
        let Some(positions) = Positions::from_annotations(&blob.annotations, blob.size)? else {
            return Ok(());
        };
        let file = fs_err::File::open(path)?.into_file();
        let found = file.metadata()?.len();
        if found != blob.size {
            bail!("it has {found} bytes in place of {}", blob.size);
        }
        // Its length was checked: it lies in a file of this size, and is below the limit of tables.
        let mut compressed = vec![0; usize::try_from(positions.toc.length)?];
        file.read_exact_at(&mut compressed, positions.toc.offset)
            .context("its table of contents cannot be read")?;
        let toc = positions.read_toc(&compressed)?;
        let number = self.files.len();
        self.files.push(file);
        let compression = blob.annotations.get(COMPRESSION_ANNOTATION);
        for chunk in toc.entries.iter().flat_map(|entry| &entry.chunks) {
            let place = Place {
                file: number,
                offset: chunk.offset,
                end: chunk.end,
                size: chunk.size,
                content: chunk.digest,
            };
            self.places.entry(key(chunk, compression)).or_insert(place);
        }
        Ok(())
    }

    /// Where the frame of a chunk lies that is compressed so; its content was looked at.
    pub(super) fn find(&self, chunk: &Chunk, compression: Option<&String>) -> Option<Place> {
        let place = *self.places.get(&key(chunk, compression))?;
        (place.size == chunk.size && check_frame(self.reader(&place), &place.content, place.size).is_ok())
            .then_some(place)
    }

    fn reader(&self, place: &Place) -> ReadAt<'_> {
        ReadAt { file: self.files.get(place.file), offset: place.offset, end: place.end }
    }

    /// Hands out the bytes of a frame, without the first `skip` of them.
    pub(super) fn copy(
        &self,
        place: &Place,
        skip: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut reader = self.reader(place);
        reader.offset = reader.offset.saturating_add(skip);
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = reader.read(&mut buffer)?;
            match buffer.get(..count) {
                None | Some([]) => return Ok(()),
                Some(bytes) => take(bytes)?,
            }
        }
    }

    /// Puts a blob into the store that a layout has whole; whether one has it.
    pub(super) fn copy_blob(&self, blob: &oci::Descriptor, store: &Store) -> Result<bool> {
        let Some(path) = self.blobs.get(&blob.digest) else { return Ok(false) };
        let Ok(mut file) = fs_err::File::open(path) else { return Ok(false) };
        // Of a blob that is not what its name says, nothing is kept.
        if hash(&mut file)? != (blob.digest, blob.size) {
            return Ok(false);
        }
        io::Seek::rewind(&mut file)?;
        let mut writer = store.writer()?;
        io::copy(&mut file, &mut writer)?;
        let (digest, _) = writer.finish()?;
        if digest != blob.digest {
            store.remove(&digest)?;
            return Ok(false);
        }
        Ok(true)
    }
}

fn key(chunk: &Chunk, compression: Option<&String>) -> Key {
    Key { content: chunk.digest, frame: chunk.end - chunk.offset, compression: compression.cloned() }
}

fn hash(reader: &mut dyn Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let size = io::copy(reader, &mut hasher)?;
    Ok((hasher.finish(), size))
}

/// Whether a frame holds this content; else what it holds.
pub(super) fn check_frame(frame: impl Read, content: &Digest, size: u64) -> Result<(), String> {
    let read = decoder(Compression::Zstd, frame, size).and_then(|mut decoder| hash(&mut decoder));
    match read {
        Ok((found, found_size)) if (found, found_size) == (*content, size) => Ok(()),
        Ok((found, found_size)) => Err(format!("{found} of {found_size} bytes")),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a part of a file that several threads read.
struct ReadAt<'a> {
    file: Option<&'a std::fs::File>,
    offset: u64,
    end: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let (Some(file), Some(buffer)) = (self.file, buffer.get_mut(..room)) else { return Ok(0) };
        let count = file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a document into the store, and gives it as an index lists it.
    fn put(store: &Store, document: &serde_json::Value) -> serde_json::Value {
        let bytes = document.to_string().into_bytes();
        let digest = store.put(&bytes).unwrap();
        serde_json::json!({ "mediaType": "x", "digest": digest.to_string(), "size": bytes.len() })
    }

    fn blobs_before(store: &Store, root: &serde_json::Value) -> Option<usize> {
        let key = Digest::of(b"repository");
        store.cache_put(CACHE, &key, root["digest"].as_str().unwrap().as_bytes()).unwrap();
        match pulled_before(store, &key)? {
            Local::Stored { blobs } => Some(blobs.len()),
            Local::Layout { .. } => None,
        }
    }

    #[test]
    fn documents_of_the_image_before_are_read_once_and_only_so_many() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let config = put(&store, &serde_json::json!({}));
        let manifest =
            |number: usize| put(&store, &serde_json::json!({ "config": config, "number": number }));
        let index =
            |children: &[serde_json::Value]| put(&store, &serde_json::json!({ "manifests": children }));
        // Followed again for each time that they are named, these would be more manifests than there may be layers.
        let mut nested = manifest(0);
        for _ in 0..3 {
            nested = index(&vec![nested; 30]);
        }
        assert_eq!(blobs_before(&store, &nested), Some(1));
        let all: Vec<_> = (0..MOST_MANIFESTS).map(manifest).collect();
        assert_eq!(blobs_before(&store, &index(&all[1..])), Some(MOST_MANIFESTS - 1));
        assert_eq!(blobs_before(&store, &index(&all)), None);
    }
}
