//! What a client that has one image downloads for another: layer by layer, and of zstd:chunked layers piece by piece.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use calypte_base::{Architecture, Digest};
use calypte_image::layers::COMPRESSION_ANNOTATION;
use serde::Serialize;

use super::read::{Package, Tables, packages};
use super::{LayeredImage, groups, name};
use crate::diff::PackageChange;
use crate::factory::Factory;

/// What is downloaded for the second image by a client that has the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayersDifference {
    /// What the user called the first image.
    pub from: String,
    /// What the user called the second image.
    pub to: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Bytes of all layers of the second image.
    pub size: u64,
    /// Bytes of the layers that the client lacks.
    pub whole: u64,
    /// The same for a client that reads the tables of zstd:chunked layers: the tables, and the chunks that are in no
    /// layer of the first image. Layers without tables count whole.
    pub chunked: u64,
    /// Bytes of manifest and config, as far as they are others.
    pub documents: u64,
    /// The layers of the second image, lowest first.
    pub layers: Vec<LayerDifference>,
}

/// One layer of the second image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerDifference {
    /// Its place, from 1, which is the lowest.
    pub number: usize,
    /// Its name; none where another tool made it.
    pub name: Option<String>,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Whether the client has it.
    pub state: LayerState,
    /// Why it is new; none if it is kept.
    pub reason: Option<Reason>,
    /// The packages for which it is new, by name.
    pub packages: Vec<PackageChange>,
    /// Bytes to download of it as a whole.
    pub whole: u64,
    /// Bytes to download of it by its tables.
    pub chunked: u64,
}

/// Whether a client has a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerState {
    /// It is one of the first image's.
    Kept,
    /// It must be downloaded.
    New,
}

impl LayerState {
    /// As it is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
        }
    }
}

/// Why a layer is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Packages of it have another version, came, or went.
    Packages,
    /// The same packages lie in other layers than before.
    Packing,
    /// It is compressed in another way.
    Compression,
    /// The same packages in the same place have other files: what was generated or what the definition wants is another.
    Contents,
    /// Another tool made it, and does not say what is in it.
    Unknown,
}

impl Reason {
    /// As it is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Packing => "packing",
            Self::Compression => "compression",
            Self::Contents => "contents",
            Self::Unknown => "unknown",
        }
    }
}

impl LayersDifference {
    /// Whether nothing is downloaded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.whole == 0 && self.documents == 0
    }

    /// What a client that has image `from` downloads for image `to`, when both are in layouts, as
    /// [`LayersShown::of_layout`](super::LayersShown::of_layout) takes them; otherwise nothing.
    ///
    /// # Errors
    /// When an image cannot be found or read.
    pub fn of_layouts(from: &str, to: &str, architecture: Architecture) -> Result<Option<Self>> {
        let Some(from) = LayeredImage::of_layout(from, architecture)? else { return Ok(None) };
        let Some(to) = LayeredImage::of_layout(to, architecture)? else { return Ok(None) };
        Ok(Some(compare(&Survey::of(&from)?, &Survey::of(&to)?, architecture)))
    }
}

impl Factory<'_> {
    /// What a client that has image `from` downloads for image `to`; each as [`Factory::show_layers`] takes it.
    ///
    /// # Errors
    /// When an image cannot be found, built or read.
    pub fn diff_layers(
        &self,
        from: &str,
        to: &str,
        universe: &str,
        architecture: Architecture,
    ) -> Result<LayersDifference> {
        let image = |text| Survey::of(&self.layered(text, universe, architecture)?);
        Ok(compare(&image(from)?, &image(to)?, architecture))
    }
}

/// All of an image that a comparison needs.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) name: String,
    /// Manifest and config, with their sizes.
    pub(super) documents: Vec<(Digest, u64)>,
    pub(super) layers: Vec<SurveyedLayer>,
    /// Source package → its packages → their versions.
    pub(super) sources: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug)]
pub(super) struct SurveyedLayer {
    pub(super) name: Option<String>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) compression: Option<String>,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) tables: Option<Tables>,
}

impl Survey {
    fn of(image: &LayeredImage) -> Result<Self> {
        let config = &image.manifest.config;
        let mut survey = Self {
            name: image.name.clone(),
            documents: vec![(image.digest, image.manifest_size), (config.digest, config.size)],
            ..Self::default()
        };
        let mut records = BTreeMap::new();
        for layer in &image.manifest.layers {
            let facts = image.facts(layer)?.unwrap_or_default();
            // What a higher layer says goes.
            records.extend(facts.records);
            survey.layers.push(SurveyedLayer {
                name: name(layer),
                groups: groups(layer),
                compression: layer.annotations.get(COMPRESSION_ANNOTATION).cloned(),
                digest: layer.digest,
                size: layer.size,
                tables: facts.tables,
            });
        }
        for (name, Package { version, source }) in packages(&records)? {
            survey.sources.entry(source).or_default().insert(name, version);
        }
        Ok(survey)
    }

    /// Group → the name of its layer.
    fn places(&self) -> BTreeMap<&str, Option<&str>> {
        let layers = self.layers.iter();
        layers
            .flat_map(|layer| {
                layer.groups.iter().flatten().map(|group| (group.as_str(), layer.name.as_deref()))
            })
            .collect()
    }
}

/// What comes with `to` for one who has `from`.
pub(super) fn compare(from: &Survey, to: &Survey, architecture: Architecture) -> LayersDifference {
    let mut there: BTreeSet<Digest> = from.layers.iter().map(|layer| layer.digest).collect();
    let tables = from.layers.iter().filter_map(|layer| layer.tables.as_ref());
    let chunks: BTreeSet<(Digest, u64)> =
        tables.flat_map(|tables| &tables.chunks).map(|chunk| (chunk.digest, chunk.size)).collect();
    let comparison = Comparison { from, to, places_from: from.places(), places_to: to.places() };
    let mut layers = Vec::new();
    for (number, layer) in (1..).zip(&to.layers) {
        // The same layer twice in an image is downloaded once.
        let is_new = there.insert(layer.digest);
        let (reason, packages) = if is_new { comparison.why(layer) } else { (None, Vec::new()) };
        layers.push(LayerDifference {
            number,
            name: layer.name.clone(),
            digest: layer.digest,
            size: layer.size,
            state: if is_new { LayerState::New } else { LayerState::Kept },
            reason,
            packages,
            whole: if is_new { layer.size } else { 0 },
            chunked: if is_new { by_chunks(layer, &chunks) } else { 0 },
        });
    }
    let documents = to.documents.iter().filter(|document| !from.documents.contains(document));
    LayersDifference {
        from: from.name.clone(),
        to: to.name.clone(),
        architecture,
        size: to.layers.iter().map(|layer| layer.size).sum(),
        whole: layers.iter().map(|layer| layer.whole).sum(),
        chunked: layers.iter().map(|layer| layer.chunked).sum(),
        documents: documents.map(|(_, size)| size).sum(),
        layers,
    }
}

/// Bytes of a new layer for a client that reads tables and has these chunks. A chunk that is in the layer twice counts
/// twice: readers look for chunks in the layers that they had before.
fn by_chunks(layer: &SurveyedLayer, there: &BTreeSet<(Digest, u64)>) -> u64 {
    let Some(tables) = &layer.tables else { return layer.size };
    let missing = tables.chunks.iter().filter(|chunk| !there.contains(&(chunk.digest, chunk.size)));
    missing.fold(tables.size, |sum, chunk| sum.saturating_add(chunk.end.saturating_sub(chunk.offset)))
}

/// Two images, and where each has which group.
struct Comparison<'a> {
    from: &'a Survey,
    to: &'a Survey,
    places_from: BTreeMap<&'a str, Option<&'a str>>,
    places_to: BTreeMap<&'a str, Option<&'a str>>,
}

impl Comparison<'_> {
    /// Why a layer is new, and which packages it is for.
    fn why(&self, layer: &SurveyedLayer) -> (Option<Reason>, Vec<PackageChange>) {
        let Some(groups) = &layer.groups else { return (Some(Reason::Unknown), Vec::new()) };
        let before = self.from.layers.iter().find(|other| other.name.is_some() && other.name == layer.name);
        let left = before.and_then(|before| before.groups.as_ref()).into_iter().flatten();
        let left: Vec<&String> = left.filter(|group| !groups.contains(group)).collect();
        let gone = left.iter().filter(|group| !self.places_to.contains_key(group.as_str()));
        let mut packages: Vec<PackageChange> =
            groups.iter().chain(gone.copied()).flat_map(|group| self.changes(group)).collect();
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        let moved_away = left.iter().any(|group| self.places_to.contains_key(group.as_str()));
        let moved_here = groups.iter().any(|group| {
            let place = self.places_from.get(group.as_str());
            place.is_some_and(|place| *place != layer.name.as_deref())
        });
        let reason = if !packages.is_empty() {
            Reason::Packages
        } else if moved_away || moved_here {
            Reason::Packing
        } else if before.is_some_and(|before| before.compression != layer.compression) {
            Reason::Compression
        } else {
            Reason::Contents
        };
        (Some(reason), packages)
    }

    /// The packages of a group that are not the same on both sides.
    fn changes(&self, group: &str) -> Vec<PackageChange> {
        let none = BTreeMap::new();
        let (old, new) =
            (self.from.sources.get(group).unwrap_or(&none), self.to.sources.get(group).unwrap_or(&none));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differ = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
        let change = |name: &String| PackageChange {
            name: name.clone(),
            from: old.get(name).cloned(),
            to: new.get(name).cloned(),
        };
        differ.map(change).collect()
    }
}
