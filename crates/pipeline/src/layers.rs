//! Images as their layers: what is in each ([`LayersShown`]), and what a client that has one image downloads for another
//! ([`difference`]). In comes an image of the catalog, or a layout of anyone's; nothing is unpacked onto disk.

pub mod difference;
pub mod previous;
mod read;

use anyhow::{Context as _, Result, bail};
use calypte_base::{Architecture, Digest};
use calypte_delta::Layout;
use calypte_formats::oci;
use calypte_image::layers::{GROUPS_ANNOTATION, NAME_ANNOTATION};
use calypte_store::Store;
use serde::Serialize;

use crate::build::BuildRequest;
use crate::factory::Factory;
use crate::hints::hinted;
use crate::sides;

/// An image whose layers can be read.
#[derive(Debug)]
pub(crate) struct LayeredImage {
    /// What the user called it.
    pub(crate) name: String,
    /// Digest of its manifest.
    pub(crate) digest: Digest,
    /// Size of its manifest in bytes.
    pub(crate) manifest_size: u64,
    pub(crate) manifest: oci::Manifest,
    place: Place,
}

/// Where its blobs are.
#[derive(Debug)]
enum Place {
    Store(Store),
    Layout(Box<Layout>),
}

/// An image as its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayersShown {
    /// What the user called the image.
    pub image: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Bytes to download: the blobs of all layers.
    pub size: u64,
    /// Bytes of all layers as tar archives; layers that cannot be read count nothing.
    pub unpacked_size: u64,
    /// Members of all layers that are no directories.
    pub files: u64,
    /// The layers, lowest first.
    pub layers: Vec<ShownLayer>,
}

impl LayersShown {
    /// The layers of `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`; nothing for a text that can only be the name of an image
    /// of the catalog.
    ///
    /// # Errors
    /// When the layout holds no such image, or cannot be read.
    pub fn of_layout(text: &str, architecture: Architecture) -> Result<Option<Self>> {
        LayeredImage::of_layout(text, architecture)?.map(|image| Self::of(&image, architecture)).transpose()
    }

    fn of(image: &LayeredImage, architecture: Architecture) -> Result<Self> {
        let mut shown = Self {
            image: image.name.clone(),
            architecture,
            digest: image.digest,
            size: 0,
            unpacked_size: 0,
            files: 0,
            layers: Vec::new(),
        };
        for (number, layer) in (1..).zip(&image.manifest.layers) {
            let facts = image.facts(layer)?;
            shown.layers.push(ShownLayer {
                number,
                name: name(layer),
                groups: groups(layer),
                digest: layer.digest,
                size: layer.size,
                unpacked_size: facts.as_ref().map(|facts| facts.unpacked_size),
                files: facts.as_ref().map(|facts| facts.files),
            });
        }
        shown.size = shown.layers.iter().map(|layer| layer.size).sum();
        shown.unpacked_size = shown.layers.iter().filter_map(|layer| layer.unpacked_size).sum();
        shown.files = shown.layers.iter().filter_map(|layer| layer.files).sum();
        Ok(shown)
    }
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownLayer {
    /// Its place, from 1, which is the lowest.
    pub number: usize,
    /// Its name; none where another tool made it.
    pub name: Option<String>,
    /// The source packages in it, sorted; none where another tool made it.
    pub groups: Option<Vec<String>>,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Bytes of the tar archive; none for a layer of a type that is not known.
    pub unpacked_size: Option<u64>,
    /// Members that are no directories.
    pub files: Option<u64>,
}

impl Factory<'_> {
    /// The layers of `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or an image of the catalog, which is built from its lock.
    ///
    /// # Errors
    /// When it is none of these, cannot be built, or cannot be read.
    pub fn show_layers(&self, text: &str, universe: &str, architecture: Architecture) -> Result<LayersShown> {
        LayersShown::of(&self.layered(text, universe, architecture)?, architecture)
    }

    /// Finds an image; see [`Factory::show_layers`].
    pub(crate) fn layered(
        &self,
        text: &str,
        universe: &str,
        architecture: Architecture,
    ) -> Result<LayeredImage> {
        if let Some(image) = LayeredImage::of_layout(text, architecture)? {
            return Ok(image);
        }
        let request = BuildRequest {
            image: self.image_id(text, universe)?,
            universe: universe.to_owned(),
            architectures: vec![architecture],
            layers: self.layer_options(),
        };
        let built = self.build(&request)?;
        let Some(image) = built.index.images().first() else { bail!("{text} was built for no architecture") };
        let bytes = self.store().read_verified(&image.digest())?;
        Ok(LayeredImage {
            name: text.to_owned(),
            digest: image.digest(),
            manifest_size: bytes.len() as u64,
            manifest: serde_json::from_slice(&bytes)
                .with_context(|| format!("manifest {}", image.digest()))?,
            place: Place::Store(self.store().clone()),
        })
    }
}

impl LayeredImage {
    /// The image of a layout; nothing where the text can only be the name of one of the catalog.
    fn of_layout(text: &str, architecture: Architecture) -> Result<Option<Self>> {
        let Some(path) = sides::layout_path(text) else {
            if text.ends_with(".lock") || text.contains(".lock#") || text.starts_with("docker-archive:") {
                let hint = "name an image of the catalog, oci:DIR[:TAG], or oci-archive:FILE[:TAG]";
                return Err(hinted(format!("the layers of `{text}` cannot be read"), hint));
            }
            return Ok(None);
        };
        let (path, _, image) = sides::layout_image(text, path, architecture)?;
        Ok(Some(Self {
            name: text.to_owned(),
            digest: image.descriptor.digest,
            manifest_size: image.descriptor.size,
            manifest: image.manifest,
            place: Place::Layout(Box::new(Layout::open(&path)?)),
        }))
    }
}

/// Whether a text names a layout (`oci:…`, `oci-archive:…`).
#[must_use]
pub fn is_layout(text: &str) -> bool {
    sides::layout_path(text).is_some()
}

/// The layer's name, where its maker gave it one.
fn name(layer: &oci::Descriptor) -> Option<String> {
    layer.annotations.get(NAME_ANNOTATION).cloned()
}

/// The groups in the layer. One with a name and no groups holds what belongs to no package.
fn groups(layer: &oci::Descriptor) -> Option<Vec<String>> {
    let groups = layer.annotations.get(GROUPS_ANNOTATION);
    let named = layer.annotations.contains_key(NAME_ANNOTATION);
    let split = |groups: &String| groups.split(',').map(str::to_owned).collect();
    groups.map(split).or_else(|| named.then(Vec::new))
}

#[cfg(test)]
mod tests;
