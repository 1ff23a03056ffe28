//! FileTree + contents → Layers, in the store. Bytes stream from the packs through tar, the diff id's hash, the
//! compressor and the blob's hash into the store; memory does not grow with the tree's size in bytes.
//!
//! A layer that was once made from the same nodes with the same compressor is taken from the store's cache.

use std::io::{self, Read, Write};

use calypte_base::{Digest, Epoch, Hasher};
use calypte_formats::tar;
use calypte_rootfs::{Content, FileTree};
use calypte_store::{ContentReader, Contents, Store};
use serde::{Deserialize, Serialize};

use crate::compression::{Compressor, LayerCompression};
use crate::error::ImageError;
use crate::split::{LayerNode, LayerNodeKind, LayerNodes, split};

/// The kind of the store's cache under which layers are kept.
const CACHE: &str = "layer";

/// The layers of one image, lowest first: disjoint but for directories, which are repeated with the same metadata
/// where something lies in them; applied in order they give the tree. The blobs are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layers(Vec<Layer>);

/// One layer: a tar archive and its compressed form, by their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// What is in it: `packages` or `generated`.
    pub name: String,
    /// How the blob is compressed.
    pub compression: LayerCompression,
    /// SHA-256 of the blob in the store.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// SHA-256 of the uncompressed tar archive.
    pub diff_id: Digest,
    /// Size of the uncompressed tar archive in bytes.
    pub tar_size: u64,
}

impl Layers {
    /// The layers, lowest first; never none.
    #[must_use]
    pub fn as_slice(&self) -> &[Layer] {
        &self.0
    }

    /// Whether every blob is in the store with its right size.
    #[must_use]
    pub fn are_in(&self, store: &Store) -> bool {
        self.0.iter().all(|layer| is_in(store, layer))
    }
}

/// Splits a tree into layers and writes each that is not in the store yet.
///
/// One layer holds what packages own, the other what finishers and the definition made. No modification time is later
/// than `epoch`.
///
/// # Errors
/// When a node cannot be in a layer, a content is missing or damaged, or the store cannot be written to.
pub fn layers(
    tree: &FileTree,
    contents: &Contents,
    epoch: Epoch,
    compression: LayerCompression,
    store: &Store,
) -> Result<Layers, ImageError> {
    let made = split(tree, epoch)?.iter().map(|nodes| layer(nodes, contents, compression, store)).collect();
    Ok(Layers(Result::from_iter::<Vec<_>>(made)?))
}

fn layer(
    nodes: &LayerNodes<'_>,
    contents: &Contents,
    compression: LayerCompression,
    store: &Store,
) -> Result<Layer, ImageError> {
    let key = nodes.key(compression);
    let cached = store.cache_get(CACHE, &key).and_then(|bytes| serde_json::from_slice::<Layer>(&bytes).ok());
    if let Some(layer) = cached.filter(|layer| is_in(store, layer)) {
        return Ok(layer);
    }
    let layer = write_layer(nodes, contents, compression, store)?;
    let json =
        serde_json::to_vec(&layer).map_err(|source| ImageError::Json { document: "layer record", source })?;
    store.cache_put(CACHE, &key, &json)?;
    Ok(layer)
}

fn is_in(store: &Store, layer: &Layer) -> bool {
    // The length shows what a crash of the machine does to a file; see `output::staged::open_blob`.
    fs_err::metadata(store.blob_path(&layer.digest)).is_ok_and(|metadata| metadata.len() == layer.size)
}

fn write_layer(
    nodes: &LayerNodes<'_>,
    contents: &Contents,
    compression: LayerCompression,
    store: &Store,
) -> Result<Layer, ImageError> {
    let name = nodes.part.name();
    let finish = |source| ImageError::Finish { layer: name, source };
    let compressor = compression.compressor(store.writer()?).map_err(finish)?;
    let mut archive = tar::Writer::new(DiffId { compressor, hasher: Hasher::new(), size: 0 });
    for member in &nodes.nodes {
        append(&mut archive, member, contents).map_err(|error| ImageError::Write {
            path: member.path.clone(),
            layer: name,
            source: into_io(error),
        })?;
    }
    let DiffId { compressor, hasher, size: tar_size } = archive.finish().map_err(into_io).map_err(finish)?;
    let (digest, size) = compressor.finish().map_err(finish)?.finish()?;
    Ok(Layer { name: name.to_owned(), compression, digest, size, diff_id: hasher.finish(), tar_size })
}

fn append<W: Write>(
    archive: &mut tar::Writer<W>,
    member: &LayerNode<'_>,
    contents: &Contents,
) -> Result<(), tar::TarError> {
    let entry = tar_entry(member);
    match member.kind {
        LayerNodeKind::File(content) => archive.append(&entry, &mut CheckedContent::open(contents, content)?),
        _ => archive.append_bytes(&entry, &[]),
    }
}

fn tar_entry(member: &LayerNode<'_>) -> tar::Entry {
    let path = if member.path.is_root() { "." } else { member.path.as_str() };
    let mut size = 0;
    let kind = match member.kind {
        LayerNodeKind::Directory => tar::EntryKind::Directory,
        LayerNodeKind::File(content) => {
            size = content.size;
            tar::EntryKind::File
        }
        LayerNodeKind::Symlink(target) => tar::EntryKind::Symlink(target.into()),
        LayerNodeKind::HardLink(target) => tar::EntryKind::HardLink(target.as_str().into()),
        LayerNodeKind::CharDevice(major, minor) => tar::EntryKind::CharDevice { major, minor },
        LayerNodeKind::Fifo => tar::EntryKind::Fifo,
    };
    let node = member.node;
    tar::Entry {
        path: path.into(),
        kind,
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        mtime: member.mtime,
        size,
        // On a hard link too: engines set the owner through each name, and the kernel drops a file's capabilities
        // when its owner is set, so that each name must bring them back.
        xattrs: node.xattrs.clone(),
    }
}

fn into_io(error: tar::TarError) -> io::Error {
    match error {
        tar::TarError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidInput, other),
    }
}

/// Hashes and counts the tar archive on its way into the compressor.
struct DiffId<W: Write> {
    compressor: Compressor<W>,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for DiffId<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.compressor.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.compressor.flush()
    }
}

/// Reads a content and checks its digest at the end: a damaged pack must not become a well-formed image.
struct CheckedContent<'a> {
    contents: &'a Contents,
    content: Content,
    reader: ContentReader,
    /// Until the digest was checked.
    hasher: Option<Hasher>,
}

impl<'a> CheckedContent<'a> {
    fn open(contents: &'a Contents, content: Content) -> io::Result<Self> {
        let reader = contents.open(&content.digest)?;
        Ok(Self { contents, content, reader, hasher: Some(Hasher::new()) })
    }
}

impl Read for CheckedContent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
        } else if !buffer.is_empty()
            && self.hasher.take().is_some_and(|hasher| hasher.finish() != self.content.digest)
        {
            // The store's own check finds the same, removes the pack and says so.
            self.contents.copy(&self.content.digest, &mut io::sink())?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the content changed while it was read"));
        }
        Ok(count)
    }
}
