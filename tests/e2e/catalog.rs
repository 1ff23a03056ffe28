//! The catalog as it is shipped: images built, checked, run and exercised, a sample of them or all, as [`Sample`] says; ten
//! made again over an empty store; and a scan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::sample::{self, Sample};
use crate::scan;
use crate::world::{Up, World, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "catalog_every_image_does_what_it_is_for",
        needs: &[Need::Mirror, Need::Root, Need::Program("podman"), Need::Program("qemu-aarch64-static")],
        run: every_image,
    },
    Case { name: "catalog_sample_is_reproduced_over_an_empty_store", needs: &[Need::Mirror], run: sample },
    Case { name: "catalog_scan_finds_nothing_that_has_a_fix", needs: &[Need::Mirror], run: fixable },
];

const UNIVERSE: &str = "debian-sid";

/// How many images are made again.
const SAMPLE: usize = 10;

/// Families and images that there must at least be.
const FAMILIES: usize = 50;
const IMAGES: usize = 160;

/// One family in so many is gone through where CI has no time for all.
const ONE_FAMILY_IN: usize = 24;

/// One family of the sample in so many is emulated too.
const EMULATED_ONE_IN: usize = 3;

fn every_image(world: &World) -> Result<()> {
    let up = world.up()?;
    let sample = Sample::one_in(up, ONE_FAMILY_IN)?;
    sample.tell("images that are started");
    let table = if sample.is_all() { table_of_all(up)? } else { table_of(up, &sample)? };
    table.print();
    ensure!(table.failures.is_empty(), "{}", table.failures.join("\n"));
    ensure!(!sample.is_all() || table.images >= IMAGES, "{} images", table.images);
    // What there is, whether it was started or not.
    let all = images(up)?;
    let families: BTreeSet<&str> = all.iter().map(|image| sample::family(image)).collect();
    ensure!(all.len() * 2 >= IMAGES && families.len() >= FAMILIES, "{} images", all.len());
    Ok(())
}

/// The names of the universe's images.
fn images(up: &Up) -> Result<Vec<String>> {
    let list = up.json(&["list", "--universe", UNIVERSE])?;
    let images = list["images"].as_array().context("no images")?;
    Ok(images.iter().filter_map(|image| Some(image["image"].as_str()?.to_owned())).collect())
}

/// Images × tests × results.
#[derive(Debug, Default)]
struct Table {
    images: usize,
    rows: Vec<String>,
    passed: usize,
    /// The reasons of skips, and how many there are of each.
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Table {
    /// Takes in what `calypte test` reports of an image.
    fn add(&mut self, image: &Value) {
        self.images += 1;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, architecture) = (text(&image["image"]), text(&image["architecture"]));
        for test in image["tests"].as_array().into_iter().flatten() {
            let title = text(&test["name"]);
            let result = match (test["failure"].as_str(), test["skipped"].as_str()) {
                (Some(failure), _) => {
                    self.failures.push(format!("{name} for {architecture}, {title}: {failure}"));
                    "FAILED"
                }
                (None, Some(why)) => {
                    *self.skipped.entry(why.to_owned()).or_default() += 1;
                    "skipped"
                }
                (None, None) => {
                    self.passed += 1;
                    "passed"
                }
            };
            self.rows.push(format!("{name:28} {architecture:6} {result:8} {title}"));
        }
    }

    #[expect(clippy::print_stderr, reason = "the table is part of what the run leaves behind")]
    fn print(&self) {
        for row in &self.rows {
            eprintln!("{row}");
        }
        eprintln!(
            "{} images: {} tests passed, {} failed, skipped {:?}",
            self.images,
            self.passed,
            self.failures.len(),
            self.skipped
        );
    }
}

fn table_of_all(up: &Up) -> Result<Table> {
    let arguments =
        ["test", "--all", "--universe", UNIVERSE, "--arch", "amd64,arm64", "--emulate-one-in", "3"];
    let report = report(up.calypte(&arguments))?;
    let mut table = Table::default();
    report["images"].as_array().context("no images")?.iter().for_each(|image| table.add(image));
    let failures = report["failures"].as_array().into_iter().flatten();
    table.failures.extend(failures.map(ToString::to_string));
    Ok(table)
}

/// Over a store of its own, which is gone at the end: what the other cases share stays as small as it is.
fn table_of(up: &Up, sample: &Sample) -> Result<Table> {
    let directory = TempDir::new()?;
    let calypte = |arguments: &[&str]| {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(up.catalog());
        command.arg("--store").arg(directory.path()).args(arguments);
        command
    };
    let mut table = Table::default();
    let mut families = BTreeMap::new();
    for image in images(up)?.iter().filter(|image| sample.holds(sample::family(image))) {
        let count = families.len();
        let number = *families.entry(sample::family(image).to_owned()).or_insert(count);
        let is_default = !image.contains('-') || image == sample::family(image);
        let emulated = is_default && number % EMULATED_ONE_IN == 0;
        for architecture in if emulated { &["amd64", "arm64"][..] } else { &["amd64"] } {
            let test = ["test", image, "--universe", UNIVERSE, "--arch", architecture];
            match report(calypte(&test)) {
                Ok(report) => table.add(&report),
                Err(error) => table.failures.push(format!("{image} for {architecture}: {error:#}")),
            }
        }
    }
    Ok(table)
}

/// The report of a command whose exit code may say that tests failed.
fn report(mut command: Command) -> Result<Value> {
    let output = command.args(["--format", "json"]).env_remove("SOURCE_DATE_EPOCH").output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no JSON; it wrote:\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// Images evenly taken out of all, by name: the same ones each time. Each is made once with the mirror, and once more out
/// of an archive, over a store that holds nothing.
fn sample(world: &World) -> Result<()> {
    let up = world.up()?;
    let images = images(up)?;
    ensure!(images.len() >= SAMPLE, "{} images", images.len());
    for (number, image) in images.iter().step_by(images.len() / SAMPLE).take(SAMPLE).enumerate() {
        let architecture = if number % 2 == 0 { "amd64" } else { "arm64" };
        let directory = TempDir::new()?;
        let (first, second) = (directory.path().join("first"), directory.path().join("second"));
        let archive = directory.path().join("archive");
        let calypte = |store: &Path, arguments: &[&str]| {
            let mut command = Command::new(World::program());
            command.arg("--quiet").arg("--catalog").arg(up.catalog()).arg("--store").arg(store);
            command.args(arguments).args(["--universe", UNIVERSE, "--format", "json"]);
            command.env_remove("SOURCE_DATE_EPOCH");
            command
        };
        let build = ["build", image, "--arch", architecture];
        let digest = |text: String| -> Result<Value> {
            let report: Value = serde_json::from_str(&text)?;
            Ok(report["images"][0]["digest"].clone())
        };
        let made = digest(stdout(&mut calypte(&first, &build))?)?;
        run(&mut calypte(&first, &["archive", &archive.display().to_string(), image]))?;
        fs_err::remove_dir_all(&first)?;
        let mut command = calypte(&second, &build);
        command.args(["--offline", "--archive"]).arg(&archive);
        command.env("TZ", "Pacific/Kiritimati").env("LC_ALL", "tr_TR.UTF-8");
        let again = digest(stdout(&mut command)?)?;
        ensure!(made.is_string() && again == made, "{image} for {architecture}: {again} instead of {made}");
    }
    Ok(())
}

/// The archive's own changelogs are the feed: they tell of every fix that a newer version in the universe has. Images of
/// the shared store are scanned.
fn fixable(world: &World) -> Result<()> {
    let up = world.up()?;
    run(&mut up.calypte(&["advisories", "update", &format!("changelog-{UNIVERSE}")]))?;
    let mut scanned = 0;
    for image in up.report["images"].as_array().context("no images")? {
        let (Some(name), Some("amd64")) = (image["image"].as_str(), image["architecture"].as_str()) else {
            continue;
        };
        let report = up.json(&["scan", name, "--universe", UNIVERSE, "--arch", "amd64", "--only-fixed"])?;
        let findings = report["findings"].as_array().context("no findings")?;
        // Other cases give the shared store a feed of flaws that no real one has.
        let is_invented = |finding: &Value| {
            finding["advisory"].as_str().is_some_and(|advisory| advisory.starts_with(scan::YEAR))
        };
        let open: Vec<&Value> = findings
            .iter()
            .filter(|finding| finding["suppressed"].is_null() && !is_invented(finding))
            .collect();
        ensure!(open.is_empty(), "{name}: {open:#?}");
        scanned += 1;
    }
    ensure!(scanned >= 14, "{scanned} images");
    Ok(())
}
