//! Layers + metadata → Image (config and manifest, OCI image spec 1.1), and images → Index. Every document is in the
//! store when its value exists.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Architecture, Digest};
use calypte_formats::oci;
use calypte_store::Store;
use serde::{Deserialize, Serialize};

use crate::compression::LayerCompression;
use crate::error::ImageError;
use crate::layers::{Layer, Layers};
use crate::metadata::ImageMetadata;

/// A blob in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl Blob {
    fn put(bytes: &[u8], store: &Store) -> Result<Self, ImageError> {
        Ok(Self { digest: store.put(bytes)?, size: bytes.len() as u64 })
    }

    fn is_in(&self, store: &Store) -> bool {
        store.has_whole(&self.digest, self.size)
    }
}

/// One image for one machine. All its blobs were put into the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    architecture: Architecture,
    manifest: Blob,
    config: Blob,
    layers: Layers,
    annotations: BTreeMap<String, String>,
}

impl Image {
    /// Makes config and manifest and puts them into the store.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn new(layers: Layers, metadata: &ImageMetadata, store: &Store) -> Result<Self, ImageError> {
        let annotations = metadata.annotations();
        let config = put_json("image config", &config(&layers, metadata, annotations.clone()), store)?;
        let manifest = oci::Manifest {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
            config: descriptor(oci::MEDIA_TYPE_CONFIG, config),
            layers: layers.as_slice().iter().map(layer_descriptor).collect(),
            annotations: annotations.clone(),
            ..oci::Manifest::default()
        };
        let manifest = put_json("image manifest", &manifest, store)?;
        Ok(Self { architecture: metadata.architecture, manifest, config, layers, annotations })
    }

    /// The machine that it runs on.
    #[must_use]
    pub const fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The digest of the manifest, by which the image is named.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.manifest.digest
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> Blob {
        self.manifest
    }

    /// The config; its digest is the image id that engines show.
    #[must_use]
    pub const fn config(&self) -> Blob {
        self.config
    }

    /// The layers, lowest first.
    #[must_use]
    pub const fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The annotations of the manifest.
    #[must_use]
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Manifest, config and layers.
    pub fn blobs(&self) -> impl Iterator<Item = Blob> {
        let layers =
            self.layers.as_slice().iter().map(|layer| Blob { digest: layer.digest, size: layer.size });
        [self.manifest, self.config].into_iter().chain(layers)
    }

    /// Whether all blobs are in the store with their right sizes.
    #[must_use]
    pub fn is_in(&self, store: &Store) -> bool {
        self.blobs().all(|blob| blob.is_in(store))
    }

    /// How an index lists it.
    fn descriptor(&self) -> oci::Descriptor {
        let platform = oci::Platform {
            architecture: self.architecture.oci().to_owned(),
            os: OS.to_owned(),
            variant: self.architecture.oci_variant().map(str::to_owned),
            ..oci::Platform::default()
        };
        oci::Descriptor { platform: Some(platform), ..descriptor(oci::MEDIA_TYPE_MANIFEST, self.manifest) }
    }
}

/// The operating system of every image, as Go names it.
const OS: &str = "linux";

fn put_json(document: &'static str, value: &impl Serialize, store: &Store) -> Result<Blob, ImageError> {
    let bytes = serde_json::to_vec(value).map_err(|source| ImageError::Json { document, source })?;
    Blob::put(&bytes, store)
}

fn descriptor(media_type: &str, blob: Blob) -> oci::Descriptor {
    oci::Descriptor {
        media_type: media_type.to_owned(),
        digest: blob.digest,
        size: blob.size,
        ..oci::Descriptor::default()
    }
}

fn layer_descriptor(layer: &Layer) -> oci::Descriptor {
    let media_type = match layer.compression {
        LayerCompression::Zstd(_) => oci::MEDIA_TYPE_LAYER_ZSTD,
        LayerCompression::Gzip => oci::MEDIA_TYPE_LAYER_GZIP,
        LayerCompression::None => oci::MEDIA_TYPE_LAYER,
    };
    oci::Descriptor {
        annotations: layer.annotations(),
        ..descriptor(media_type, Blob { digest: layer.digest, size: layer.size })
    }
}

fn config(layers: &Layers, metadata: &ImageMetadata, labels: BTreeMap<String, String>) -> oci::ImageConfig {
    let created = metadata.created.to_string();
    let history = |layer: &Layer| oci::History {
        created: Some(created.clone()),
        created_by: Some(format!("calypte: {}", layer.name)),
        ..oci::History::default()
    };
    let set = |names: &BTreeSet<String>| names.iter().map(|name| (name.clone(), BTreeMap::new())).collect();
    oci::ImageConfig {
        created: Some(created.clone()),
        architecture: metadata.architecture.oci().to_owned(),
        os: OS.to_owned(),
        variant: metadata.architecture.oci_variant().map(str::to_owned),
        config: Some(oci::Config {
            user: Some(metadata.user.clone()).filter(|user| !user.is_empty()),
            env: metadata.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            entrypoint: metadata.entrypoint.clone(),
            cmd: metadata.cmd.clone(),
            working_dir: metadata.working_dir.clone(),
            exposed_ports: set(&metadata.exposed_ports),
            volumes: set(&metadata.volumes),
            stop_signal: metadata.stop_signal.clone(),
            labels,
        }),
        rootfs: oci::RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.as_slice().iter().map(|layer| layer.diff_id).collect(),
        },
        history: layers.as_slice().iter().map(history).collect(),
        ..oci::ImageConfig::default()
    }
}

/// The images of one name, one for each machine, and the document that lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    images: Vec<Image>,
    document: Blob,
    annotations: BTreeMap<String, String>,
}

impl Index {
    /// Puts the index of these images into the store. They are listed by architecture, whatever their order here; the
    /// index is annotated with what all of them say alike.
    ///
    /// # Errors
    /// When there is no image, two are for one architecture, or the store cannot be written to.
    pub fn new(mut images: Vec<Image>, store: &Store) -> Result<Self, ImageError> {
        images.sort_by_key(Image::architecture);
        let mut pairs = images.iter().zip(images.iter().skip(1));
        if let Some((first, second)) = pairs.find(|(first, second)| first.architecture == second.architecture)
        {
            return Err(ImageError::SamePlatform {
                architecture: first.architecture,
                first: first.digest(),
                second: second.digest(),
            });
        }
        let (first, others) = images.split_first().ok_or(ImageError::NoImages)?;
        let mut annotations = first.annotations.clone();
        annotations
            .retain(|name, value| others.iter().all(|image| image.annotations.get(name) == Some(value)));
        let document = oci::Index {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_INDEX.to_owned()),
            manifests: images.iter().map(Image::descriptor).collect(),
            annotations: annotations.clone(),
            ..oci::Index::default()
        };
        let document = put_json("image index", &document, store)?;
        Ok(Self { images, document, annotations })
    }

    /// The images, by architecture; never none.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// The digest of the index, which names all of it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.document.digest
    }

    /// The index document.
    #[must_use]
    pub const fn document(&self) -> Blob {
        self.document
    }

    /// The annotations of the index.
    #[must_use]
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// How a layout lists it: one image by itself, since tools that know no nested index then find it too; several by
    /// their index.
    pub(crate) fn descriptor(&self) -> oci::Descriptor {
        match self.images.as_slice() {
            [image] => image.descriptor(),
            _ => descriptor(oci::MEDIA_TYPE_INDEX, self.document),
        }
    }

    /// Every blob that [`Index::descriptor`] leads to, each once, by digest.
    pub(crate) fn blobs(&self) -> BTreeSet<Blob> {
        let document = Some(self.document).filter(|_| self.images.len() > 1);
        self.images.iter().flat_map(Image::blobs).chain(document).collect()
    }
}
