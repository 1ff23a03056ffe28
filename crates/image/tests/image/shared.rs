//! Layers that several packages share: what they are compressed in, and what a change of one package does to the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use calypte_base::Architecture;
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci;
use calypte_formats::tar::{Reader, padding};
use calypte_image::layers::COMPRESSION_ANNOTATION;
use calypte_image::packing::{IMAGE_LAYER, PreviousLayer};
use calypte_image::{Layer, LayerCompression, LayerSettings, Layers, PackageFacts};
use calypte_store::Store;
use proptest::prelude::*;

use crate::sample::{EPOCH, Sample, ZSTD, package, store};

/// The layers of a tree, at most so many.
fn packed(
    sample: &Sample,
    compression: LayerCompression,
    limit: usize,
    facts: &BTreeMap<String, PackageFacts>,
    previous: &[PreviousLayer],
    store: &Store,
) -> Layers {
    let settings = LayerSettings { compression, limit, epoch: EPOCH, packages: facts, previous };
    calypte_image::layers(&sample.tree, &sample.contents, &settings, store).unwrap().layers
}

/// The first layer of a tree whose packages share one, and its bytes.
fn of_three(compression: LayerCompression, store: &Store) -> (Layer, Vec<u8>) {
    let layers = packed(&Sample::every_kind(), compression, 2, &BTreeMap::new(), &[], store);
    let layer = layers.as_slice()[0].clone();
    assert_eq!(layer.groups.len(), 3);
    let bytes = store.read_verified(&layer.digest).unwrap();
    (layer, bytes)
}

/// The directories, each package, and the end of the archive, so that a package's member can be used in any layer.
#[test]
fn a_shared_layer_has_a_gzip_member_for_each_package() {
    let (_directory, store) = store();
    let (layer, bytes) = of_three(LayerCompression::Gzip, &store);
    let (mut rest, mut sizes) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        let mut decoder = flate2::bufread::GzDecoder::new(rest);
        let mut member = Vec::new();
        decoder.read_to_end(&mut member).unwrap();
        sizes.push(member.len() as u64);
        rest = decoder.into_inner();
    }
    assert_eq!(sizes.len(), 1 + layer.groups.len() + 1, "{sizes:?}");
    assert_eq!(sizes.iter().sum::<u64>(), layer.tar_size);
    assert_eq!(sizes.last(), Some(&1024));
}

/// Each header, content and padding (contents here are too small to be cut), the end, and the three frames of the table of
/// contents, which a plain reader skips.
#[test]
fn a_shared_layer_has_a_zstd_frame_for_each_part() {
    let (_directory, store) = store();
    let (layer, bytes) = of_three(ZSTD, &store);
    let mut reader = Reader::new(decoder(Compression::Zstd, bytes.as_slice(), layer.tar_size).unwrap());
    let mut expected = 1 + 3;
    while let Some(entry) = reader.next_entry().unwrap() {
        expected += 1 + usize::from(entry.size > 0) + usize::from(padding(entry.size) > 0);
    }
    let (mut rest, mut frames) = (bytes.as_slice(), 0);
    while !rest.is_empty() {
        rest = &rest[zstd::zstd_safe::find_frame_compressed_size(rest).unwrap()..];
        frames += 1;
    }
    assert_eq!(frames, expected);
    assert!(frames > 20, "{frames}");
}

#[test]
fn every_layer_says_which_version_of_which_compressor_made_it() {
    let (_directory, store) = store();
    let image = Sample::every_kind().image(Architecture::Amd64, ZSTD, &store);
    let manifest = store.read_verified(&image.digest()).unwrap();
    let manifest: oci::Manifest = serde_json::from_slice(&manifest).unwrap();
    let said: BTreeSet<_> =
        manifest.layers.iter().map(|layer| layer.annotations.get(COMPRESSION_ANNOTATION).cloned()).collect();
    let version = zstd::zstd_safe::version_string();
    assert_eq!(said, [Some(format!("zstd 3, libzstd {version}, frames 1"))].into());
}

/// A package: bytes of its file, changes in a year, and the version of what is in it.
type Facts = (u64, u32, u8);

fn sample(packages: &BTreeMap<String, Facts>) -> (Sample, BTreeMap<String, PackageFacts>) {
    let mut sample = Sample::new();
    for (name, (_, _, version)) in packages {
        let file = sample.file(format!("{name} {version}").as_bytes(), package(name));
        sample.put(&format!("usr/share/{name}"), file);
    }
    let facts = packages.iter().map(|(name, &(size, changes, _))| {
        (name.clone(), PackageFacts { source: name.clone(), size, changes })
    });
    (sample, facts.collect())
}

fn facts() -> impl Strategy<Value = Facts> {
    (0..30_000_000_u64, 0..30_u32, 0..9_u8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// More packages than layers, and the image before given: a package that comes, changes or goes leaves every layer as
    /// it was but the one that it is in.
    #[test]
    fn a_change_touches_the_layer_that_the_package_is_in_and_no_other(
        packages in prop::collection::btree_map("[a-z]{2,6}", facts(), 6..16),
        limit in 3..7_usize,
        which in 0..16_usize,
        new in facts(),
    ) {
        let (_directory, store) = store();
        let made = |packages: &BTreeMap<String, Facts>, previous: &[PreviousLayer]| {
            let (sample, facts) = sample(packages);
            packed(&sample, ZSTD, limit, &facts, previous, &store)
        };
        let before = made(&packages, &[]);
        prop_assert!(before.as_slice().iter().any(|layer| layer.groups.len() > 1));
        let previous: Vec<PreviousLayer> = before
            .as_slice()
            .iter()
            .map(|layer| PreviousLayer { name: layer.name.clone(), groups: layer.groups.iter().cloned().collect() })
            .collect();
        let name = packages.keys().nth(which % packages.len()).unwrap().clone();
        let mut changed = packages.clone();
        let (size, changes, version) = new;
        changed.insert(name.clone(), (size, changes, version + 10));
        let mut without = packages.clone();
        without.remove(&name);
        let mut more = packages.clone();
        more.insert("the-new-one".to_owned(), new);
        for (after, name) in [(changed, name.as_str()), (without, &name), (more, "the-new-one")] {
            let after = made(&after, &previous);
            let others = |layers: &Layers| -> BTreeMap<String, Layer> {
                let others = layers.as_slice().iter().filter(|layer| !layer.groups.contains(name));
                others.map(|layer| (layer.name.clone(), layer.clone())).collect()
            };
            // The layer that it was in, or has come to, holds others too.
            let own = |layers: &Layers| {
                layers.as_slice().iter().find(|layer| layer.groups.contains(name)).map(|layer| layer.name.clone())
            };
            let touched = [own(&before), own(&after)];
            let (mut old, mut now) = (others(&before), others(&after));
            for layer in touched.into_iter().flatten() {
                old.remove(&layer);
                now.remove(&layer);
            }
            prop_assert_eq!(old, now);
            prop_assert!(before.as_slice().iter().all(|layer| layer.name != IMAGE_LAYER));
        }
    }
}
