//! FileTree + contents → Layers, in the store. Bytes stream from the packs through the compressor into the store; memory
//! does not grow with the tree's size in bytes.
//!
//! What was compressed once is kept: a layer that was made from the same nodes with the same compressor is taken as it
//! is, and a package's segment of a layer that must be made anew is copied out of the layer in which it was first made.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch, Hasher};
use calypte_rootfs::FileTree;
use calypte_store::{Contents, Store};
use serde::{Deserialize, Serialize};

use crate::compression::LayerCompression;
use crate::error::ImageError;
use crate::packing::PreviousLayer;
use crate::plan::{LayerPlan, key, plan};
use crate::segments::{self, LayerWriter};

/// The kind of the store's cache under which layers are kept.
const CACHE: &str = "layer";

/// The annotation of a layer's descriptor that names the layer.
pub const NAME_ANNOTATION: &str = "dev.calypte.layer.name";

/// The annotation that names the groups in it (source packages), sorted, with commas between them.
pub const GROUPS_ANNOTATION: &str = "dev.calypte.layer.packages";

/// The annotation that names compressor, level and library: what a client must have to make the same bytes.
pub const COMPRESSION_ANNOTATION: &str = "dev.calypte.layer.compression";

/// How a tree is made into layers.
#[derive(Debug, Clone, Copy)]
pub struct LayerSettings<'a> {
    /// How they are compressed.
    pub compression: LayerCompression,
    /// Most layers, from [`crate::packing::FEWEST_LAYERS`] to [`crate::packing::MOST_LAYERS`].
    pub limit: usize,
    /// No modification time is later.
    pub epoch: Epoch,
    /// What is known of the packages, by the names by which nodes name their owners. A package that is not here is a
    /// group of its own, of which nothing is known.
    pub packages: &'a BTreeMap<String, PackageFacts>,
    /// How the image before was packed, to be kept; empty: packed anew.
    pub previous: &'a [PreviousLayer],
}

/// What is known of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageFacts {
    /// Its source package: the group in which it is packed.
    pub source: String,
    /// Bytes of the package file.
    pub size: u64,
    /// Entries of its changelog in the year before the newest one.
    pub changes: u32,
}

impl LayerSettings<'_> {
    /// The group of a package.
    pub(crate) fn group<'s>(&'s self, package: &'s str) -> &'s str {
        self.packages.get(package).map_or(package, |facts| facts.source.as_str())
    }
}

/// The layers of one image, lowest first: disjoint but for directories, which are repeated with the same metadata
/// where something lies in them; applied in order they give the tree. The blobs are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layers(Vec<Layer>);

/// One layer: a tar archive and its compressed form, by their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// A source package, `shared/…`, or `image/generated` ([`crate::packing`]).
    pub name: String,
    /// The source packages in it.
    pub groups: BTreeSet<String>,
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
    /// Where the table of contents lies, as annotations of the descriptor; empty without one.
    pub contents: BTreeMap<String, String>,
}

impl Layer {
    /// The annotations of its descriptor.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let groups: Vec<_> = self.groups.iter().map(String::as_str).collect();
        let own = [
            (NAME_ANNOTATION, self.name.clone()),
            (GROUPS_ANNOTATION, groups.join(",")),
            (COMPRESSION_ANNOTATION, self.compression.identity()),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        own.map(|(key, value)| (key.to_owned(), value)).chain(self.contents.clone()).collect()
    }
}

impl Layers {
    /// Adds layers above these, each called so: what must change without the others.
    pub fn put_on_top(&mut self, above: Self, name: &str) {
        self.0.extend(above.0.into_iter().map(|layer| Layer { name: name.to_owned(), ..layer }));
    }

    /// The layers, lowest first; never none.
    #[must_use]
    pub fn as_slice(&self) -> &[Layer] {
        &self.0
    }
}

/// The layers of a tree, and what had to be done for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The layers.
    pub layers: Layers,
    /// How many segments were compressed: neither their layer nor they themselves were known.
    pub compressed: usize,
}

/// Plans the layers of a tree and writes each that is not in the store yet.
///
/// # Errors
/// When a node cannot be in a layer, a content is missing or damaged, or the store cannot be written to.
pub fn layers(
    tree: &FileTree,
    contents: &Contents,
    settings: &LayerSettings<'_>,
    store: &Store,
) -> Result<Made, ImageError> {
    let (mut layers, mut compressed) = (Vec::new(), 0);
    for plan in plan(tree, settings)? {
        layers.push(layer(plan, contents, settings.compression, store, &mut compressed)?);
    }
    Ok(Made { layers: Layers(layers), compressed })
}

fn layer(
    plan: LayerPlan<'_>,
    contents: &Contents,
    compression: LayerCompression,
    store: &Store,
    compressed: &mut usize,
) -> Result<Layer, ImageError> {
    let identity = compression.identity();
    let keys: Vec<Digest> = plan.segments.iter().map(|members| key(members, &identity)).collect();
    let mut whole = Hasher::new();
    whole.update(key(&plan.directories, &identity).bytes());
    for key in &keys {
        whole.update(key.bytes());
    }
    let whole = whole.finish();
    let cached =
        store.cache_get(CACHE, &whole).and_then(|bytes| serde_json::from_slice::<Layer>(&bytes).ok());
    if let Some(layer) = cached.filter(|layer| is_in(store, layer)) {
        // Name and groups are not of the blob: two images may pack the same package alone and beside others.
        return Ok(Layer { name: plan.name, groups: plan.groups, ..layer });
    }
    let layer = write_layer(plan, &keys, contents, compression, store, compressed)?;
    let json =
        serde_json::to_vec(&layer).map_err(|source| ImageError::Json { document: "layer record", source })?;
    store.cache_put(CACHE, &whole, &json)?;
    Ok(layer)
}

fn is_in(store: &Store, layer: &Layer) -> bool {
    // See also `output::staged::open_blob`.
    store.has_whole(&layer.digest, layer.size)
}

fn write_layer(
    plan: LayerPlan<'_>,
    keys: &[Digest],
    contents: &Contents,
    compression: LayerCompression,
    store: &Store,
    compressed: &mut usize,
) -> Result<Layer, ImageError> {
    let finish = |source| ImageError::Finish { layer: plan.name.clone(), source };
    let mut writer = LayerWriter::new(compression, store.writer()?);
    writer.append(&plan.directories, contents, &plan.name)?;
    let mut made = Vec::new();
    for (members, key) in plan.segments.iter().zip(keys) {
        match segments::kept(store, key) {
            Some(segment) => writer.append_kept(members, &segment, store).map_err(finish)?,
            None => {
                let begun = writer.begin_segment().map_err(finish)?;
                writer.append(members, contents, &plan.name)?;
                made.push((key, writer.end_segment(begun).map_err(finish)?));
                *compressed += 1;
            }
        }
    }
    let written = writer.finish().map_err(finish)?;
    for (key, segment) in made {
        segments::keep(store, key, segment, written.digest)?;
    }
    Ok(Layer {
        name: plan.name,
        groups: plan.groups,
        compression,
        digest: written.digest,
        size: written.size,
        diff_id: written.diff_id,
        tar_size: written.tar_size,
        contents: written.annotations,
    })
}
