//! Where a published image differs from the one that was made again: layers, files, config, manifest.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Manifest};
use calypte_image::Image;
use calypte_image::layers::NAME_ANNOTATION;
use calypte_image::read::{Layout, Listing};
use calypte_store::registry::{Registry, Version};
use calypte_store::{Silent, Store};
use serde::Serialize;
use serde_json::Value;

use super::fields::{self, FieldDifference};
use super::files::{self, FileDifference};

/// Largest config that is read; registries need not take larger documents.
const LARGEST_CONFIG: u64 = 4 * 1024 * 1024;

/// Most bytes of published layers that are fetched to be looked into.
const MOST_LAYER_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// Most layers that are told of each image.
const MOST_LAYERS: usize = 128;

/// Where two images differ.
#[derive(Debug, Default, Serialize)]
pub struct Differences {
    /// Layers that only one of the two has.
    pub layers: Vec<LayerDifference>,
    /// Paths that differ in what a container sees, the grave ones first.
    pub files: Vec<FileDifference>,
    /// How many further paths differ.
    pub further_files: usize,
    /// Fields of the config; digests of layers that are told above are none of them.
    pub config: Vec<FieldDifference>,
    /// Fields of the manifest; descriptors of what is told above are none of them.
    pub manifest: Vec<FieldDifference>,
    /// Why the published image could not be looked into any further.
    pub unread: Option<String>,
}

/// A layer that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerDifference {
    /// Its place in the published image, from 1; none where that lacks it.
    pub number: Option<usize>,
    /// Its name; none where another tool made it.
    pub name: Option<String>,
    /// Digest of the published blob.
    pub published: Option<Digest>,
    /// Digest of the blob that was made.
    pub rebuilt: Option<Digest>,
}

/// Looks for the differences between the published manifest and an image that was made, whose blobs are in `made`; what
/// is missing of the published one is put there too.
pub(super) fn differences(
    registry: &Registry,
    made: &Store,
    published: &Descriptor,
    image: &Image,
) -> Result<Differences> {
    let document = registry.manifest(&Version::Digest(published.digest))?.bytes;
    made.put(&document)?;
    let published = Descriptor { size: document.len() as u64, ..published.clone() };
    let blob = image.manifest();
    let rebuilt = Descriptor {
        media_type: calypte_formats::oci::MEDIA_TYPE_MANIFEST.to_owned(),
        digest: blob.digest,
        size: blob.size,
        ..Descriptor::default()
    };
    let own = made.read_verified(&rebuilt.digest)?;
    let mut found = Differences::default();
    let parsed = serde_json::from_slice::<Manifest>(&document);
    let theirs = match parsed {
        Ok(theirs) => theirs,
        Err(error) => {
            found.unread = Some(format!("its manifest cannot be read: {error}"));
            return Ok(found);
        }
    };
    let ours: Manifest = serde_json::from_slice(&own)?;
    found.layers = layers(&theirs, &ours);
    let kept: BTreeSet<Digest> = digests(&theirs).intersection(&digests(&ours)).copied().collect();
    let is_other_config = theirs.config.digest != ours.config.digest;
    let slim = |bytes: &[u8]| -> Result<Value> {
        Ok(without_told(serde_json::from_slice(bytes)?, &kept, is_other_config))
    };
    found.manifest = fields::between(&slim(&document)?, &slim(&own)?);
    // From here on a published image that is none is told, and no error: it is another than was made.
    if let Err(error) = look_into(registry, made, (&published, &theirs), (&rebuilt, &ours), &mut found) {
        found.unread = Some(format!("{error:#}"));
    }
    Ok(found)
}

fn look_into(
    registry: &Registry,
    made: &Store,
    (published, theirs): (&Descriptor, &Manifest),
    (rebuilt, ours): (&Descriptor, &Manifest),
    found: &mut Differences,
) -> Result<()> {
    if theirs.config.digest != ours.config.digest {
        if theirs.config.size > LARGEST_CONFIG {
            bail!("its config has {} bytes", theirs.config.size);
        }
        let config = registry.small_blob(&theirs.config.digest, theirs.config.size)?;
        made.put(&config)?;
        let is_packed_alike = digests(theirs) == digests(ours);
        let read = |bytes: &[u8]| -> Result<Value> {
            let mut config: Value = serde_json::from_slice(bytes)?;
            if let Some(rootfs) = config.get_mut("rootfs").and_then(Value::as_object_mut)
                && !is_packed_alike
            {
                rootfs.remove("diff_ids");
            }
            Ok(config)
        };
        found.config = fields::between(&read(&config)?, &read(&made.read_verified(&ours.config.digest)?)?);
    }
    let sizes = theirs.layers.iter().map(|layer| layer.size);
    let total = sizes.fold(0, u64::saturating_add);
    if total > MOST_LAYER_BYTES {
        bail!("its layers have {total} bytes");
    }
    for layer in &theirs.layers {
        registry.fetch_blob(made, &layer.digest, layer.size, &Silent)?;
    }
    let ours_have = listing(made, rebuilt)?;
    let theirs_have = listing(made, published)?;
    let in_layers = theirs.layers.len() == ours.layers.len();
    (found.files, found.further_files) = files::between(&theirs_have, &ours_have, in_layers);
    Ok(())
}

fn listing(store: &Store, manifest: &Descriptor) -> Result<Listing> {
    let layout = Layout::in_store(store, manifest)?;
    let mut all = Listing::default();
    for image in layout.images() {
        all = layout.files(image, &|_| false)?;
    }
    Ok(all)
}

fn digests(manifest: &Manifest) -> BTreeSet<Digest> {
    manifest.layers.iter().map(|layer| layer.digest).collect()
}

/// The layers that only one of two images has: those of one name side by side.
fn layers(published: &Manifest, rebuilt: &Manifest) -> Vec<LayerDifference> {
    let name = |layer: &Descriptor| layer.annotations.get(NAME_ANNOTATION).cloned();
    let (theirs, ours) = (digests(published), digests(rebuilt));
    let mut left: Vec<&Descriptor> =
        rebuilt.layers.iter().filter(|layer| !theirs.contains(&layer.digest)).collect();
    let mut found = Vec::new();
    for (number, layer) in (1..).zip(&published.layers) {
        if ours.contains(&layer.digest) {
            continue;
        }
        let name = name(layer);
        let place = left.iter().position(|own| own.annotations.get(NAME_ANNOTATION) == name.as_ref());
        let rebuilt = place.map(|place| left.remove(place).digest);
        found.push(LayerDifference { number: Some(number), name, published: Some(layer.digest), rebuilt });
    }
    found.extend(left.into_iter().map(|layer| LayerDifference {
        number: None,
        name: name(layer),
        published: None,
        rebuilt: Some(layer.digest),
    }));
    found.truncate(MOST_LAYERS);
    found
}

/// A manifest without the descriptors of layers that only one of two images has, and without its config's where the
/// configs differ.
fn without_told(mut manifest: Value, kept: &BTreeSet<Digest>, is_other_config: bool) -> Value {
    let is_kept = |layer: &Value| {
        let digest = layer.get("digest").and_then(Value::as_str).and_then(|text| text.parse().ok());
        digest.is_some_and(|digest| kept.contains(&digest))
    };
    if let Some(layers) = manifest.get_mut("layers").and_then(Value::as_array_mut) {
        layers.retain(is_kept);
    }
    if let Some(config) = manifest.get_mut("config").and_then(Value::as_object_mut)
        && is_other_config
    {
        config.remove("digest");
        config.remove("size");
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(layers: &[(&str, Option<&str>)]) -> Manifest {
        let layer = |(content, name): &(&str, Option<&str>)| {
            let annotations = name.iter().map(|name| (NAME_ANNOTATION.to_owned(), (*name).to_owned()));
            Descriptor {
                digest: Digest::of(content.as_bytes()),
                annotations: annotations.collect(),
                ..Descriptor::default()
            }
        };
        Manifest { layers: layers.iter().map(layer).collect(), ..Manifest::default() }
    }

    #[test]
    fn layers_of_one_name_stand_side_by_side() {
        let published = manifest(&[("1", Some("a")), ("2", Some("b")), ("3", None), ("4", Some("d"))]);
        let rebuilt = manifest(&[("1", Some("a")), ("5", Some("b")), ("6", Some("c")), ("4", Some("d"))]);
        let digest = |text: &str| Some(Digest::of(text.as_bytes()));
        let named = |name: &str| Some(name.to_owned());
        let expected = [
            (Some(2), named("b"), digest("2"), digest("5")),
            (Some(3), None, digest("3"), None),
            (None, named("c"), None, digest("6")),
        ];
        let found = layers(&published, &rebuilt);
        let found: Vec<_> =
            found.into_iter().map(|one| (one.number, one.name, one.published, one.rebuilt)).collect();
        assert_eq!(found, expected);
        assert!(layers(&published, &published).is_empty());
    }

    #[test]
    fn what_is_told_of_layers_is_not_told_of_the_manifest_again() {
        let one = manifest(&[("1", Some("a")), ("2", Some("b"))]);
        let mut other = manifest(&[("1", Some("a")), ("3", Some("b"))]);
        other.layers[0].annotations.insert("x".to_owned(), "y".to_owned());
        other.config.digest = Digest::of(b"c");
        let kept: BTreeSet<Digest> = digests(&one).intersection(&digests(&other)).copied().collect();
        let slim = |manifest: &Manifest| without_told(serde_json::to_value(manifest).unwrap(), &kept, true);
        let fields = fields::between(&slim(&one), &slim(&other));
        let fields: Vec<_> = fields.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["/layers/0/annotations/x"]);
    }
}
