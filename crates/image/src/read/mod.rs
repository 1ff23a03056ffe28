//! Images that lie in an OCI layout, as a directory or an archive, written by us or by others: what is in them, for
//! comparing. In comes a path; out come manifests, configs and the files of an image. Nothing is unpacked onto disk.
//!
//! Every blob is checked against the digest and size by which it is named, every layer against its diff id.

mod docker;
mod listing;
mod source;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Hasher, TreePath};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci;
use calypte_store::Store;

pub use listing::{FileVisitor, ImageFile, ImageFileKind, LayerError, Listing};
use source::Source;

/// Most manifests in a layout; a catalog of everything that one distribution makes would have some thousands.
const MOST_MANIFESTS: usize = 10_000;

/// Most layers of an image; engines stop at 127 or 500.
const MOST_LAYERS: usize = 1_000;

/// Most bytes that all layers of an image may unpack to: four times what the largest images on public registries have.
const MOST_LAYER_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Name of a layout's entry.
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// An opened layout: what it lists was read and checked, layers are read by [`Layout::files`].
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    source: Source,
    images: Vec<LayoutImage>,
}

/// One image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutImage {
    /// The tag under which it is listed, by itself or in an index.
    pub name: Option<String>,
    /// Its manifest's descriptor. The platform is that of the config where the descriptor has none.
    pub descriptor: oci::Descriptor,
    /// Its manifest.
    pub manifest: oci::Manifest,
    /// Its config.
    pub config: oci::ImageConfig,
}

/// Why a layout cannot be read. Each error names the layout, and the blob where it is about one.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The path is no layout.
    #[error("{path} is no OCI image layout: {reason}", path = path.display())]
    NotALayout {
        /// The directory or file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A blob that is named is not there.
    #[error("{path} has no blob {digest}", path = path.display())]
    MissingBlob {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A blob has another length than its descriptor says.
    #[error("blob {digest} in {path} has {found} bytes instead of {expected}", path = path.display())]
    WrongSize {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The size in its descriptor.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// A blob's bytes are not those that its digest names.
    #[error("blob {digest} in {path} is damaged or was changed: its digest is {found}", path = path.display())]
    WrongDigest {
        /// The layout.
        path: PathBuf,
        /// The digest by which it is named.
        digest: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// A layer's tar archive is not the one that the config names.
    #[error("layer {digest} in {path} unpacks to {found}, but the config says {expected}", path = path.display())]
    WrongDiffId {
        /// The layout.
        path: PathBuf,
        /// The layer's blob.
        digest: Digest,
        /// The diff id in the config.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// A document is not what its media type says.
    #[error("{what} {digest} in {path} cannot be understood: {reason}", path = path.display())]
    Document {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// `image index`, `image manifest`, `image config`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer cannot be applied.
    #[error("layer {digest} in {path}: {source}", path = path.display())]
    Layer {
        /// The layout.
        path: PathBuf,
        /// The layer's blob.
        digest: Digest,
        /// What is wrong with it.
        source: LayerError,
    },
}

impl ReadError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotALayout { .. } => "give a directory or file that `oci:` or `oci-archive:` wrote",
            Self::MissingBlob { .. } | Self::WrongSize { .. } | Self::WrongDigest { .. } => {
                "the image was not written to its end or was changed since: build or copy it again"
            }
            Self::Io { .. } | Self::WrongDiffId { .. } | Self::Document { .. } | Self::Layer { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

/// Opens the layout at a path: a directory, a tar archive of one, or an archive of `docker save`. Reads its index, manifests and configs; artifacts
/// that are no images (signatures, attestations) are passed over.
///
/// # Errors
/// When it is no layout, a document is missing, damaged or malformed, or there are too many.
pub fn read_layout(path: &Path) -> Result<Layout, ReadError> {
    let mut source = Source::open(path)?;
    let images = source.take_docker();
    if !images.is_empty() {
        return Ok(Layout { path: path.to_owned(), source, images });
    }
    let bad = |reason| ReadError::NotALayout { path: path.to_owned(), reason };
    let index: oci::Index =
        serde_json::from_slice(source.index()).map_err(|error| bad(format!("index.json: {error}")))?;
    let mut layout = Layout { path: path.to_owned(), source, images: Vec::new() };
    let mut pending: Vec<_> = index.manifests.into_iter().rev().map(|entry| (tag(&entry), entry)).collect();
    let mut seen = BTreeSet::new();
    while let Some((name, descriptor)) = pending.pop() {
        // An index that leads to itself is impossible by its digest; one that is listed twice under two tags is not.
        if !seen.insert((name.clone(), descriptor.digest)) {
            continue;
        }
        if seen.len() > MOST_MANIFESTS {
            return Err(bad(format!("it lists more than {MOST_MANIFESTS} manifests")));
        }
        match media(&descriptor.media_type) {
            Media::Index => {
                let index: oci::Index = layout.document("image index", &descriptor)?;
                let entries = index.manifests.into_iter().rev();
                pending.extend(entries.map(|entry| (tag(&entry).or_else(|| name.clone()), entry)));
            }
            Media::Manifest => layout.images.extend(layout.image(name, descriptor)?),
            Media::Other => {}
        }
    }
    Ok(layout)
}

fn tag(descriptor: &oci::Descriptor) -> Option<String> {
    descriptor.annotations.get(REFERENCE_NAME).cloned()
}

enum Media {
    Index,
    Manifest,
    Other,
}

fn media(media_type: &str) -> Media {
    match media_type {
        oci::MEDIA_TYPE_INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => Media::Index,
        oci::MEDIA_TYPE_MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => Media::Manifest,
        _ => Media::Other,
    }
}

fn layer_compression(media_type: &str) -> Option<Compression> {
    match media_type {
        oci::MEDIA_TYPE_LAYER => Some(Compression::None),
        oci::MEDIA_TYPE_LAYER_GZIP | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Some(Compression::Gzip)
        }
        oci::MEDIA_TYPE_LAYER_ZSTD => Some(Compression::Zstd),
        _ => None,
    }
}

impl Layout {
    /// The image whose manifest, config and layers are blobs of a store.
    ///
    /// # Errors
    /// When manifest or config is missing, damaged or malformed, or the manifest is none of an image.
    pub fn in_store(store: &Store, manifest: &oci::Descriptor) -> Result<Self, ReadError> {
        let path = store.root().to_owned();
        let mut layout = Self { path, source: Source::store(store.clone()), images: Vec::new() };
        let image = layout.image(None, manifest.clone())?.ok_or_else(|| ReadError::Document {
            path: layout.path.clone(),
            digest: manifest.digest,
            what: "image manifest",
            reason: "it describes no image".to_owned(),
        })?;
        layout.images.push(image);
        Ok(layout)
    }

    /// The images that it lists, in its order; those of a nested index one after the other.
    #[must_use]
    pub fn images(&self) -> &[LayoutImage] {
        &self.images
    }

    /// What a container of this image would see. Of the regular files that `wanted` names the bytes are kept, at most
    /// 64 MiB in all.
    ///
    /// # Errors
    /// When a layer is missing or damaged, holds something that no container should be given (see [`LayerError`]), or
    /// the image is larger than any should be.
    pub fn files(
        &self,
        image: &LayoutImage,
        wanted: &dyn Fn(&TreePath) -> bool,
    ) -> Result<Listing, ReadError> {
        self.apply_all(image, listing::Applier::new(wanted, None), LayerCheck::BlobAndArchive)
    }

    /// The same, with a visitor that sees each file's bytes as they pass by; none are kept.
    ///
    /// # Errors
    /// As for [`Layout::files`], as far as `check` goes.
    pub fn visit(
        &self,
        image: &LayoutImage,
        visitor: &mut dyn FileVisitor,
        check: LayerCheck,
    ) -> Result<Listing, ReadError> {
        self.apply_all(image, listing::Applier::new(&|_| false, Some(visitor)), check)
    }

    fn apply_all(
        &self,
        image: &LayoutImage,
        mut applier: listing::Applier<'_>,
        check: LayerCheck,
    ) -> Result<Listing, ReadError> {
        let layers = &image.manifest.layers;
        let diff_ids = &image.config.rootfs.diff_ids;
        let document = |reason| ReadError::Document {
            path: self.path.clone(),
            digest: image.descriptor.digest,
            what: "image manifest",
            reason,
        };
        if layers.len() != diff_ids.len() || layers.len() > MOST_LAYERS {
            return Err(document(format!(
                "it has {} layers and its config {} (at most {MOST_LAYERS} are read)",
                layers.len(),
                diff_ids.len()
            )));
        }
        // Archives of `docker save` have no manifest: of their layers the config alone says what they are.
        let with_archives =
            check == LayerCheck::BlobAndArchive || !image.descriptor.media_type.contains("manifest");
        let mut left = MOST_LAYER_BYTES;
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            let compression = layer_compression(&layer.media_type).ok_or_else(|| {
                document(format!("layers of type `{}` are not supported", layer.media_type))
            })?;
            let diff_id = with_archives.then_some(*diff_id);
            left -= self.apply(layer, diff_id, compression, left, &mut applier)?;
        }
        Ok(applier.finish())
    }

    /// Applies one layer; gives the size of its archive.
    fn apply(
        &self,
        layer: &oci::Descriptor,
        diff_id: Option<Digest>,
        compression: Compression,
        limit: u64,
        applier: &mut listing::Applier<'_>,
    ) -> Result<u64, ReadError> {
        let failed = |source| ReadError::Layer { path: self.path.clone(), digest: layer.digest, source };
        let failed_io = |error: io::Error| failed(LayerError::Tar(error.into()));
        let mut blob = Hashing::new(self.blob(layer)?, true);
        let mut archive =
            Hashing::new(decoder(compression, &mut blob, limit).map_err(failed_io)?, diff_id.is_some());
        let applied = applier.apply(&mut archive);
        let (found_diff_id, size) = archive.finish();
        // A changed blob is the reason for whatever its reader stumbled over.
        io::copy(&mut blob, &mut io::sink()).map_err(failed_io)?;
        let (found, _) = blob.finish();
        if found != layer.digest {
            return Err(ReadError::WrongDigest { path: self.path.clone(), digest: layer.digest, found });
        }
        applied.map_err(failed)?;
        if let Some(expected) = diff_id.filter(|expected| found_diff_id != *expected) {
            let (path, digest) = (self.path.clone(), layer.digest);
            return Err(ReadError::WrongDiffId { path, digest, expected, found: found_diff_id });
        }
        Ok(size)
    }

    /// Opens a blob that has the size which its descriptor says.
    fn blob(&self, descriptor: &oci::Descriptor) -> Result<Box<dyn Read>, ReadError> {
        let (blob, found) = self.source.blob(&self.path, &descriptor.digest)?;
        if found != descriptor.size {
            return Err(ReadError::WrongSize {
                path: self.path.clone(),
                digest: descriptor.digest,
                expected: descriptor.size,
                found,
            });
        }
        Ok(Box::new(blob))
    }

    fn document<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        descriptor: &oci::Descriptor,
    ) -> Result<T, ReadError> {
        let digest = descriptor.digest;
        let malformed = |reason| ReadError::Document { path: self.path.clone(), digest, what, reason };
        if descriptor.size > source::LARGEST_DOCUMENT {
            return Err(malformed(format!("it has {} bytes, more than 4 MiB", descriptor.size)));
        }
        let mut bytes = Vec::new();
        self.blob(descriptor)?
            .read_to_end(&mut bytes)
            .map_err(|source| ReadError::Io { path: self.path.clone(), source })?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(ReadError::WrongDigest { path: self.path.clone(), digest, found });
        }
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))
    }

    /// The image that a manifest describes; `None` when it describes something else.
    fn image(
        &self,
        name: Option<String>,
        mut descriptor: oci::Descriptor,
    ) -> Result<Option<LayoutImage>, ReadError> {
        let manifest: oci::Manifest = self.document("image manifest", &descriptor)?;
        let config = &manifest.config.media_type;
        let is_image =
            config == oci::MEDIA_TYPE_CONFIG || config == "application/vnd.docker.container.image.v1+json";
        let layers_are_known = manifest.layers.iter().all(|layer| !layer.media_type.contains("in-toto"));
        if !is_image || !layers_are_known {
            return Ok(None);
        }
        let config: oci::ImageConfig = self.document("image config", &manifest.config)?;
        descriptor.platform.get_or_insert_with(|| oci::Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
            ..oci::Platform::default()
        });
        Ok(Some(LayoutImage { name, descriptor, manifest, config }))
    }
}

/// What is checked of a layer, beside that it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerCheck {
    /// Its blob is the one that the manifest names: these are the image's bytes. Where nothing names blobs, as in archives of
    /// `docker save`, its archive is checked all the same.
    Blob,
    /// And its archive is the one that the config names, without which no engine would run the image. Costs a second hash
    /// over what may be several times as many bytes.
    BlobAndArchive,
}

/// Counts what is read through it, and hashes it where that is asked for.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
    hashes: bool,
    size: u64,
}

impl<R> Hashing<R> {
    fn new(inner: R, hashes: bool) -> Self {
        Self { inner, hasher: Hasher::new(), hashes, size: 0 }
    }

    fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if self.hashes {
            self.hasher.update(&buffer[..count]);
        }
        self.size += count as u64;
        Ok(count)
    }
}
