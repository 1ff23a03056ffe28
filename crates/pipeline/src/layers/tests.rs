//! Layers of images of the small catalog, of layouts, and of images that another tool might have made.

use calypte_base::{Architecture, Digest};
use calypte_formats::oci;
use calypte_formats::zstd_chunked::Chunk;

use super::difference::{
    LayerDifference, LayerState, LayersDifference, Reason, Survey, SurveyedLayer, compare,
};
use super::read::Tables;
use crate::build::all::BuildAllRequest;
use crate::fixture::{Fixture, Package, UNIVERSE, package};

const ALPHA: &[Package] = &[package("common", "1"), package("alpha", "1")];

/// Builds all of the catalog into layouts below this name; those of `alpha` as a text that names them.
fn written(fixture: &Fixture, name: &str) -> String {
    let factory = fixture.factory();
    let request = BuildAllRequest {
        universe: UNIVERSE.to_owned(),
        families: Vec::new(),
        architectures: Vec::new(),
        layers: factory.layer_options(),
        output: Some(fixture.path(name)),
        at_once: 2,
    };
    let report = factory.build_all(&request).unwrap();
    assert!(report.failures.iter().all(|failure| failure.image.starts_with("beta")), "{:?}", report.failures);
    format!("oci:{}", fixture.path(name).join("alpha").display())
}

/// Packages that changed, as `name from to`.
fn changes(layer: &LayerDifference) -> Vec<String> {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
    let change = |change: &crate::diff::PackageChange| {
        format!("{} {} {}", change.name, version(&change.from), version(&change.to))
    };
    layer.packages.iter().map(change).collect()
}

#[test]
fn layers_are_shown_alike_in_the_catalog_and_in_a_layout() {
    let fixture = Fixture::new();
    fixture.lock("alpha", ALPHA);
    let layout = written(&fixture, "layouts") + ":latest";
    let factory = fixture.factory();
    let mut shown = factory.show_layers("alpha", UNIVERSE, Architecture::Arm64).unwrap();
    let again = factory.show_layers(&layout, UNIVERSE, Architecture::Arm64).unwrap();
    assert_eq!(again.image, layout);
    shown.image = layout;
    assert_eq!(shown, again);
    let layers: Vec<_> = shown.layers.iter().map(|layer| layer.name.as_deref().unwrap()).collect();
    assert_eq!(layers, ["alpha", "common", "image/generated"]);
    let [alpha, _, generated] = shown.layers.as_slice() else { panic!("{shown:#?}") };
    assert_eq!(
        (alpha.groups.clone(), generated.groups.clone()),
        (Some(vec!["alpha".to_owned()]), Some(Vec::new()))
    );
    // Three files of its own (the documentation is sliced away, but for the licence), and its record.
    assert_eq!(alpha.files, Some(4));
    let tar = alpha.unpacked_size.unwrap();
    assert!(tar > 60_000 && tar.is_multiple_of(512) && alpha.size > 60_000, "{alpha:?}");
    assert_eq!(shown.unpacked_size, shown.layers.iter().filter_map(|layer| layer.unpacked_size).sum::<u64>());
}

#[test]
fn what_a_client_of_the_catalog_downloads() {
    let fixture = Fixture::new();
    fixture.lock("alpha", ALPHA);
    let old = written(&fixture, "old");
    fixture.lock("alpha", &[package("common", "1"), package("alpha", "2")]);
    let new = written(&fixture, "new") + ":latest";
    let factory = fixture.factory();
    let diff = |from: &str, to: &str| factory.diff_layers(from, to, UNIVERSE, Architecture::Amd64).unwrap();

    let update = diff(&(old.clone() + ":latest"), &new);
    let [alpha, common, generated] = update.layers.as_slice() else { panic!("{update:#?}") };
    assert_eq!((alpha.state, alpha.reason), (LayerState::New, Some(Reason::Packages)));
    assert_eq!(changes(alpha), ["alpha 1 2"]);
    assert_eq!((common.state, common.whole, common.reason), (LayerState::Kept, 0, None));
    assert_eq!(generated.state, LayerState::Kept);
    assert_eq!((update.whole, update.size > update.whole), (alpha.size, true));
    // The 40,000 bytes that both versions have are in chunks of their own; the 20,000 others are not compressible.
    assert!(update.chunked > 20_000 && update.chunked < 25_000 && update.whole > 60_000, "{update:?}");
    assert!(update.documents > 0 && !update.is_empty());

    // The catalog's image is the layout's.
    assert!(diff("alpha", &new).is_empty());
    // What the builder has beside is documentation: the same packages, other files.
    let builder = diff(&new, &(old + ":builder"));
    assert_eq!(builder.layers[1].reason, Some(Reason::Contents));
    assert_eq!(changes(&builder.layers[0]), ["alpha 2 1"]);
}

#[test]
fn an_image_without_names_can_be_shown_and_compared() {
    let fixture = Fixture::new();
    let layout = fixture.path("foreign");
    let blob = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs_err::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs_err::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        oci::Descriptor { digest, size: bytes.len() as u64, ..oci::Descriptor::default() }
    };
    let typed =
        |media_type: &str, bytes: &[u8]| oci::Descriptor { media_type: media_type.to_owned(), ..blob(bytes) };
    let mut archive = calypte_formats::tar::Writer::new(Vec::new());
    let file = calypte_formats::tar::Entry::new("file", calypte_formats::tar::EntryKind::File);
    archive.append_bytes(&calypte_formats::tar::Entry { size: 3, ..file }, b"one").unwrap();
    let archive = archive.finish().unwrap();
    let config = oci::ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        rootfs: oci::RootFs { kind: "layers".to_owned(), diff_ids: vec![Digest::of(&archive); 2] },
        ..oci::ImageConfig::default()
    };
    let manifest = oci::Manifest {
        schema_version: 2,
        config: typed(oci::MEDIA_TYPE_CONFIG, &serde_json::to_vec(&config).unwrap()),
        layers: vec![
            typed(oci::MEDIA_TYPE_LAYER, &archive),
            typed("application/vnd.example.layer.tar+secret", b"who knows"),
        ],
        ..oci::Manifest::default()
    };
    let manifest = typed(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest).unwrap());
    let index = oci::Index { schema_version: 2, manifests: vec![manifest], ..oci::Index::default() };
    fs_err::write(layout.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs_err::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();

    let name = format!("oci:{}", layout.display());
    fixture.lock("alpha", ALPHA);
    let factory = fixture.factory();
    let shown = factory.show_layers(&name, UNIVERSE, Architecture::Amd64).unwrap();
    let [plain, secret] = shown.layers.as_slice() else { panic!("{shown:#?}") };
    assert_eq!((&plain.name, &plain.groups), (&None, &None));
    assert_eq!((plain.files, plain.unpacked_size), (Some(1), Some(archive.len() as u64)));
    assert_eq!((secret.files, secret.unpacked_size), (None, None));
    let difference = factory.diff_layers("alpha", &name, UNIVERSE, Architecture::Amd64).unwrap();
    assert_eq!(difference.layers[0].reason, Some(Reason::Unknown));
    assert_eq!((difference.whole, difference.chunked), (shown.size, shown.size));

    let path = layout.join("blobs/sha256").join(Digest::of(&archive).hex());
    fs_err::write(path, vec![0; archive.len()]).unwrap();
    let error = factory.show_layers(&name, UNIVERSE, Architecture::Amd64).unwrap_err();
    assert!(format!("{error:#}").contains("its bytes were changed"), "{error:#}");
}

/// A layer of these groups; each group's chunk is in it.
fn layer(name: &str, groups: &[&str], compression: &str) -> SurveyedLayer {
    let text = format!("{name} {groups:?} {compression}");
    let chunks = (0..).zip(groups).map(|(number, group)| Chunk {
        size: 100,
        offset: 10 * number,
        end: 10 * (number + 1),
        digest: Digest::of(group.as_bytes()),
    });
    SurveyedLayer {
        name: Some(name.to_owned()),
        groups: Some(groups.iter().map(ToString::to_string).collect()),
        compression: Some(compression.to_owned()),
        digest: Digest::of(text.as_bytes()),
        size: 1_000,
        tables: Some(Tables { size: 7, chunks: chunks.collect() }),
    }
}

fn survey(layers: Vec<SurveyedLayer>, packages: &[(&str, &str)]) -> Survey {
    let mut survey = Survey { layers, ..Survey::default() };
    for (name, version) in packages {
        let packages = survey.sources.entry((*name).to_owned()).or_default();
        packages.insert(format!("lib{name}"), (*version).to_owned());
    }
    survey
}

#[test]
fn why_layers_are_new() {
    let from = survey(
        vec![
            layer("shared/1", &["a", "b", "gone"], "zstd"),
            layer("c", &["c"], "zstd"),
            layer("d", &["d"], "zstd"),
            layer("moving", &["moving"], "zstd"),
            layer("same", &["same"], "zstd"),
        ],
        &[("a", "1"), ("b", "1"), ("gone", "1"), ("c", "1"), ("d", "1"), ("moving", "1"), ("same", "1")],
    );
    let mut other = layer("d", &["d"], "zstd");
    other.digest = Digest::of(b"other files");
    let to = survey(
        vec![
            layer("shared/1", &["a", "b"], "zstd"),
            layer("shared/2", &["moving"], "zstd"),
            layer("c", &["c"], "gzip"),
            other,
            layer("new", &["new"], "zstd"),
            layer("same", &["same"], "zstd"),
            layer("same", &["same"], "zstd"),
        ],
        &[("a", "1"), ("b", "2"), ("moving", "1"), ("c", "1"), ("d", "1"), ("new", "1"), ("same", "1")],
    );
    let LayersDifference { layers, whole, chunked, size, .. } = compare(&from, &to, Architecture::Amd64);
    let reasons: Vec<_> = layers.iter().map(|layer| layer.reason).collect();
    let expected = [
        Some(Reason::Packages),
        Some(Reason::Packing),
        Some(Reason::Compression),
        Some(Reason::Contents),
        Some(Reason::Packages),
        None,
        None,
    ];
    assert_eq!(reasons, expected);
    assert_eq!(changes(&layers[0]), ["libb 1 2", "libgone 1 -"]);
    assert_eq!(changes(&layers[4]), ["libnew - 1"]);
    // Five new layers with their tables; of all chunks only that of `new` is not there.
    assert_eq!((size, whole, chunked), (7_000, 5_000, 5 * 7 + 10));
    assert!(compare(&to, &to, Architecture::Amd64).is_empty());
}
