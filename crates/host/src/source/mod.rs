//! Where images come from: registries, OCI layouts in directories and in archives. Documents and blobs come out, and what
//! refers to an image: signatures, bills of materials.

mod archive;
mod layout;
mod reference;
mod registry;

use std::io::Read;
use std::ops::Range;

use calypte_base::{Architecture, Digest};
use calypte_formats::oci::{self, Descriptor, ImageConfig, Index, Manifest};
use calypte_store::registry::RegistrySettings;

pub use reference::{ImageReference, Transport};

use crate::{HostError, Reporter, SystemRoot};
use archive::Archive;
use layout::Layout;
use registry::Remote;

/// Largest document in bytes that is read: registries take no larger manifests, and configs are smaller.
const DOCUMENT_LIMIT: u64 = 4 * 1024 * 1024;

/// Most referrers of an image that are looked at.
const MOST_REFERRERS: usize = 64;

/// A place that has images.
#[derive(Debug)]
pub struct Source {
    reference: ImageReference,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Layout(Layout),
    Archive(Archive),
    Registry(Box<Remote>),
}

/// An image that was found, and for which nobody vouches yet.
#[derive(Debug, Clone)]
pub struct FoundImage {
    /// The manifest or index that the reference names.
    pub root: Descriptor,
    /// The manifest of this architecture.
    pub descriptor: Descriptor,
    /// What it says.
    pub manifest: Manifest,
    /// How it is run, and what its layers are when unpacked.
    pub config: ImageConfig,
}

/// Something that is attached to an image.
#[derive(Debug, Clone)]
pub struct Attached {
    /// What kind of thing.
    pub kind: String,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Source {
    /// Opens a source. A registry is asked nothing yet.
    ///
    /// # Errors
    /// When the directory or archive holds no image, or the registry cannot be used.
    pub fn open(
        reference: &ImageReference,
        system: &SystemRoot,
        settings: &RegistrySettings,
    ) -> Result<Self, HostError> {
        let place = match reference {
            ImageReference::Layout { path, tag } => Place::Layout(Layout::open(path, tag.as_deref())?),
            ImageReference::Archive { path, tag } => Place::Archive(Archive::open(path, tag.as_deref())?),
            ImageReference::Registry { reference, plain_http } => {
                let plain_http = settings.plain_http || *plain_http;
                let settings = RegistrySettings { plain_http, ..settings.clone() };
                Place::Registry(Box::new(Remote::new(reference, system, settings)?))
            }
        };
        Ok(Self { reference: reference.clone(), place })
    }

    /// What it was opened for.
    #[must_use]
    pub const fn reference(&self) -> &ImageReference {
        &self.reference
    }

    /// Finds the image for an architecture. Every document is checked against its digest.
    ///
    /// # Errors
    /// When there is none, or a document is not as it should be.
    pub fn find(&self, architecture: Architecture) -> Result<FoundImage, HostError> {
        let root = match &self.place {
            Place::Layout(layout) => layout.root()?,
            Place::Archive(archive) => archive.layout().root()?,
            Place::Registry(remote) => remote.root(&self.reference)?,
        };
        let mut descriptor = root.clone();
        if root.media_type.contains("index") || root.media_type.contains("manifest.list") {
            let index: Index = self.json("index", &root)?;
            let fits = |entry: &&Descriptor| {
                entry.platform.as_ref().is_some_and(|platform| {
                    platform.architecture == architecture.oci() && platform.os == "linux"
                })
            };
            let images: Vec<&Descriptor> =
                index.manifests.iter().filter(|entry| entry.artifact_type.is_none()).collect();
            let found = index.manifests.iter().find(fits).or(match images.as_slice() {
                // An index of one image that does not say what it runs on.
                [only] if only.platform.is_none() => Some(only),
                _ => None,
            });
            descriptor = found.cloned().ok_or_else(|| HostError::NoImage {
                place: self.reference.to_string(),
                reason: format!("it has no image for linux/{}", architecture.oci()),
            })?;
        }
        let manifest: Manifest = self.json("manifest", &descriptor)?;
        let config: ImageConfig = self.json("config", &manifest.config)?;
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            return Err(HostError::Document {
                what: "manifest",
                digest: descriptor.digest,
                reason: format!(
                    "it has {} layers, and its config {}",
                    manifest.layers.len(),
                    config.rootfs.diff_ids.len()
                ),
            });
        }
        if config.architecture != architecture.oci() {
            return Err(HostError::NoImage {
                place: self.reference.to_string(),
                reason: format!(
                    "it is for {}, and this machine is {}",
                    config.architecture,
                    architecture.oci()
                ),
            });
        }
        Ok(FoundImage { root, descriptor, manifest, config })
    }

    /// What is attached to a manifest or index.
    ///
    /// # Errors
    /// When the list cannot be had.
    pub fn attached(&self, subject: &Digest) -> Result<Vec<Attached>, HostError> {
        let descriptors = match &self.place {
            Place::Layout(layout) => layout.referrers(subject)?,
            Place::Archive(archive) => archive.layout().referrers(subject)?,
            Place::Registry(remote) => remote.referrers(subject)?,
        };
        let mut found = Vec::new();
        for descriptor in descriptors.iter().take(MOST_REFERRERS) {
            // What a stranger attached must not keep an image from being used.
            let Ok(manifest) = self.json::<Manifest>("manifest", descriptor) else { continue };
            if manifest.subject.as_ref().is_none_or(|about| about.digest != *subject) {
                continue;
            }
            let kind = manifest.artifact_type.clone().or_else(|| descriptor.artifact_type.clone());
            let kind = kind.unwrap_or_else(|| manifest.config.media_type.clone());
            found.push(Attached { kind, manifest });
        }
        Ok(found)
    }

    /// A small blob, whole and checked.
    ///
    /// # Errors
    /// When it has more than `limit` bytes, cannot be had or is damaged.
    pub fn small(
        &self,
        what: &'static str,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, HostError> {
        if descriptor.size > limit {
            return Err(HostError::Document {
                what,
                digest: descriptor.digest,
                reason: format!("it has {} bytes, more than is taken", descriptor.size),
            });
        }
        let bytes = match &self.place {
            Place::Layout(layout) => layout.small(descriptor)?,
            Place::Archive(archive) => archive.layout().small(descriptor)?,
            Place::Registry(remote) => remote.small(descriptor)?,
        };
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(HostError::WrongDigest { what, expected: descriptor.digest, found });
        }
        Ok(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        descriptor: &Descriptor,
    ) -> Result<T, HostError> {
        let bytes = self.small(what, descriptor, DOCUMENT_LIMIT)?;
        serde_json::from_slice(&bytes).map_err(|error| HostError::Document {
            what,
            digest: descriptor.digest,
            reason: error.to_string(),
        })
    }

    /// The bytes of a layer as they come; not checked. One from a registry is downloaded whole before.
    pub(crate) fn layer(
        &self,
        descriptor: &Descriptor,
        reporter: &dyn Reporter,
    ) -> Result<Box<dyn Read + Send>, HostError> {
        match &self.place {
            Place::Layout(layout) => layout.blob(descriptor),
            Place::Archive(archive) => archive.layout().blob(descriptor),
            Place::Registry(remote) => remote.blob(descriptor, reporter),
        }
    }

    /// Forgets what was downloaded of a layer.
    pub(crate) fn forget(&self, descriptor: &Descriptor) -> Result<(), HostError> {
        match &self.place {
            Place::Registry(remote) => remote.forget(descriptor),
            _ => Ok(()),
        }
    }

    /// Brings a layer to this machine, if it comes from elsewhere.
    pub(crate) fn download(&self, descriptor: &Descriptor, reporter: &dyn Reporter) -> Result<(), HostError> {
        match &self.place {
            Place::Registry(remote) => remote.blob(descriptor, reporter).map(drop),
            _ => Ok(()),
        }
    }

    /// Whether every byte must come over the network.
    pub(crate) const fn is_remote(&self) -> bool {
        matches!(self.place, Place::Registry(_))
    }

    /// A part of a blob; not checked.
    pub(crate) fn range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Vec<u8>, HostError> {
        match &self.place {
            Place::Registry(remote) => remote.range(descriptor, range),
            Place::Layout(layout) => layout.range(descriptor, range),
            Place::Archive(archive) => archive.layout().range(descriptor, range),
        }
    }

    /// Bytes that came over the network so far.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        match &self.place {
            Place::Registry(remote) => remote.fetched(),
            _ => 0,
        }
    }
}

impl FoundImage {
    /// The layers, lowest first, each with the digest of its uncompressed bytes.
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = (&Descriptor, &Digest)> {
        self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids)
    }

    /// A label of the config, or an annotation of the manifest.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let labels = self.config.config.as_ref().and_then(|config| config.labels.get(name));
        labels.or_else(|| self.manifest.annotations.get(name)).map(String::as_str)
    }
}

/// The media types of layers that are understood, and how each is compressed.
pub(crate) fn compression(
    descriptor: &Descriptor,
) -> Result<calypte_formats::compression::Compression, HostError> {
    use calypte_formats::compression::Compression;
    Ok(match descriptor.media_type.as_str() {
        oci::MEDIA_TYPE_LAYER | "application/vnd.docker.image.rootfs.diff.tar" => Compression::None,
        oci::MEDIA_TYPE_LAYER_GZIP | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Compression::Gzip,
        oci::MEDIA_TYPE_LAYER_ZSTD => Compression::Zstd,
        other => {
            return Err(HostError::layer(&descriptor.digest, format!("its media type {other} is not known")));
        }
    })
}
