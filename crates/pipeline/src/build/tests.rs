//! All images of a small catalog at once: what is built, what is found, what is compressed, what fails.

use std::collections::BTreeSet;

use calypte_base::Architecture;
use calypte_image::read_layout;

use super::all::{BuildAllRequest, BuiltAll, State};
use crate::fixture::{Fixture, Package, UNIVERSE, names, package};

const COMMON: Package = package("common", "1");
const ALPHA: &[Package] = &[COMMON, package("alpha", "1")];
const BETA: &[Package] = &[COMMON, package("beta", "1"), package("extra", "1")];

fn locked() -> Fixture {
    let fixture = Fixture::new();
    fixture.lock("alpha", ALPHA);
    fixture.lock("beta", BETA);
    fixture
}

fn build(fixture: &Fixture, change: impl FnOnce(&mut BuildAllRequest)) -> BuiltAll {
    counted(fixture, change).0
}

/// Builds, and counts the segments that were compressed for it.
fn counted(fixture: &Fixture, change: impl FnOnce(&mut BuildAllRequest)) -> (BuiltAll, usize) {
    let factory = fixture.factory();
    let mut request = BuildAllRequest {
        universe: UNIVERSE.to_owned(),
        families: Vec::new(),
        architectures: Vec::new(),
        layers: factory.layer_options(),
        output: None,
        at_once: 3,
    };
    change(&mut request);
    let report = factory.build_all(&request).unwrap();
    (report, factory.compressed_segments())
}

/// The images that were built, as `name architecture`.
fn built(report: &BuiltAll) -> BTreeSet<String> {
    let built = report.images.iter().filter(|image| image.state == State::Built);
    built.map(|image| format!("{} {}", image.image, image.built.architecture)).collect()
}

#[test]
fn each_thing_is_made_once_and_found_again() {
    let fixture = locked();
    let first = build(&fixture, |_| {});
    assert_eq!(first.failures, []);
    let all = ["alpha", "alpha-builder", "beta", "beta-builder"];
    let all: BTreeSet<String> =
        all.iter().flat_map(|image| [format!("{image} amd64"), format!("{image} arm64")]).collect();
    assert_eq!(built(&first), all);
    // Four packages, with and without documentation, for two architectures.
    assert_eq!(fixture.cached("unpacked"), 4 * 2);
    let packages = 4 * 2 * 2;
    let kept = fixture.cached("segment");
    assert!(kept >= packages, "{kept}");
    assert!(first.distinct_size < first.size, "{first:?}");

    let second = build(&fixture, |_| {});
    assert_eq!(built(&second), BTreeSet::new());
    assert_eq!(second.images.len(), all.len());
    let digests =
        |report: &BuiltAll| -> Vec<_> { report.images.iter().map(|image| image.built.digest).collect() };
    assert_eq!(digests(&first), digests(&second));
    assert_eq!((first.size, first.distinct_size), (second.size, second.distinct_size));

    // One after the other in another store, the same comes out.
    let other = locked();
    let (third, compressed) = counted(&other, |request| request.at_once = 1);
    assert_eq!(digests(&third), digests(&first));
    assert_eq!((other.cached("segment"), compressed), (kept, kept));
}

/// Locks families anew, builds with at most so many layers, and gives what was built, how many segments were compressed
/// and how many layers were made.
fn after(fixture: &Fixture, limit: usize, locks: &[(&str, &[Package])]) -> (BTreeSet<String>, usize, usize) {
    let before = fixture.cached("layer");
    for (family, packages) in locks {
        fixture.lock(family, packages);
    }
    let (report, compressed) = counted(fixture, |request| request.layers.limit = limit);
    assert_eq!(report.failures, []);
    (built(&report), compressed, fixture.cached("layer") - before)
}

#[test]
fn a_changed_package_rebuilds_the_images_that_hold_it_and_compresses_itself() {
    changed(64, [4, 4]);
}

/// All packages of an image in one layer: what shares the layer of a changed package is copied into the new one.
#[test]
fn a_changed_package_compresses_nothing_that_shares_its_layer() {
    changed(2, [4, 8]);
}

/// Changes a package of one family, then one of all, and expects so many new layers each time.
fn changed(limit: usize, layers: [usize; 2]) {
    let fixture = locked();
    let of = |images: &[&str]| -> BTreeSet<String> {
        images.iter().flat_map(|image| [format!("{image} amd64"), format!("{image} arm64")]).collect()
    };
    build(&fixture, |request| request.layers.limit = limit);
    // With and without documentation, for two architectures: four segments.
    let changed = [COMMON, package("beta", "1"), package("extra", "2")];
    assert_eq!(after(&fixture, limit, &[("beta", &changed)]), (of(&["beta", "beta-builder"]), 4, layers[0]));
    // What all images hold is compressed no more often.
    let common = package("common", "2");
    let (alpha, beta) =
        ([common, package("alpha", "1")], [common, package("beta", "1"), package("extra", "2")]);
    let all = of(&["alpha", "alpha-builder", "beta", "beta-builder"]);
    assert_eq!(after(&fixture, limit, &[("alpha", &alpha), ("beta", &beta)]), (all, 4, layers[1]));
    // What was there before is found.
    assert_eq!(after(&fixture, limit, &[("alpha", ALPHA), ("beta", BETA)]), (of(&[]), 0, 0));
}

/// An image is not taken out of the store when another compressor would make its layers.
#[test]
fn another_version_of_the_compressor_makes_another_image() {
    let fixture = locked();
    let factory = fixture.factory();
    let lock = factory.current_lock(UNIVERSE, "alpha").unwrap();
    let image = factory.image_id("alpha", UNIVERSE).unwrap();
    let inputs = factory.inputs(&lock, &image, Architecture::Amd64).unwrap();
    let options = factory.layer_options();
    let own = options.compression.identity();
    let key = |compressor: &str| factory.key_with(&inputs, &options, compressor).unwrap();
    assert_eq!(key(&own), factory.key(&inputs, &options).unwrap());
    assert_ne!(key(&own), key(&own.replacen("libzstd 1.", "libzstd 2.", 1)));
    assert_ne!(own, own.replacen("libzstd 1.", "libzstd 2.", 1));
}

#[test]
fn a_failure_is_told_by_name_and_stops_no_other_image() {
    let fixture = locked();
    fs_err::remove_file(fixture.path("catalog/locks/sample/beta.lock")).unwrap();
    let output = fixture.path("images");
    let report = build(&fixture, |request| request.output = Some(output.clone()));
    let failed: Vec<_> = report.failures.iter().map(|failure| failure.image.as_str()).collect();
    assert_eq!(failed, ["beta", "beta-builder"]);
    let error = "beta was never locked in sample\nhint: run `calypte lock beta --universe sample`";
    assert_eq!(report.failures[0].error, error);
    assert_eq!(names(&output), ["alpha"]);
    let layout = read_layout(&output.join("alpha")).unwrap();
    let tags: BTreeSet<_> = layout.images().iter().filter_map(|image| image.name.as_deref()).collect();
    assert_eq!((layout.images().len(), tags), (4, BTreeSet::from(["builder", "latest"])));
}

#[test]
fn an_image_that_lacks_an_architecture_is_not_written() {
    let fixture = Fixture::new();
    fixture.lock("alpha", ALPHA);
    fixture.lock("beta", BETA);
    let lock = fixture.factory().current_lock(UNIVERSE, "beta").unwrap();
    let extra =
        lock.packages_of(Architecture::Arm64, "default").find(|package| package.id == "extra").unwrap();
    fixture.store().remove(&extra.sha256).unwrap();
    let output = fixture.path("images");
    let report = build(&fixture, |request| request.output = Some(output.clone()));
    let failed: Vec<_> = report.failures.iter().map(|failure| failure.image.as_str()).collect();
    assert_eq!(failed, ["beta for arm64", "beta-builder for arm64"]);
    assert!(report.failures[0].error.contains("extra"), "{:?}", report.failures);
    assert_eq!((report.images.len(), names(&output)), (6, vec!["alpha".to_owned()]));
    // Of the architectures that are asked for, none is lacking.
    let report = build(&fixture, |request| {
        request.architectures = vec![Architecture::Amd64];
        request.output = Some(output.clone());
    });
    assert_eq!(report.failures, []);
    assert_eq!(built(&report), BTreeSet::new());
    assert_eq!(names(&output), ["alpha", "beta"]);
}
