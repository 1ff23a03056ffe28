//! The catalog as it is shipped: every image built, checked, run and exercised; and a sample of it made again over an empty
//! store.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "catalog_every_image_does_what_it_is_for",
        needs: &[Need::Mirror, Need::Root, Need::Program("podman"), Need::Program("qemu-aarch64-static")],
        run: every_image,
    },
    Case { name: "catalog_sample_is_reproduced_over_an_empty_store", needs: &[Need::Mirror], run: sample },
];

const UNIVERSE: &str = "debian-sid";

/// How many images are made again.
const SAMPLE: usize = 10;

/// Families and images that there must at least be.
const FAMILIES: usize = 50;
const IMAGES: usize = 160;

#[expect(clippy::print_stderr, reason = "the table is part of what the run leaves behind")]
fn every_image(world: &World) -> Result<()> {
    let up = world.up()?;
    let arguments =
        ["test", "--all", "--universe", UNIVERSE, "--arch", "amd64,arm64", "--emulate-one-in", "3"];
    let output = up.calypte(&arguments).args(["--format", "json"]).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no JSON; it wrote:\n{}", String::from_utf8_lossy(&output.stderr)))?;
    let images = report["images"].as_array().context("no images")?;
    let mut families = std::collections::BTreeSet::new();
    for image in images {
        let name = image["image"].as_str().unwrap_or_default();
        families.insert(name.split([':', '-']).next().unwrap_or_default().to_owned());
        for test in image["tests"].as_array().into_iter().flatten() {
            let result = match (test["failure"].as_str(), test["skipped"].as_str()) {
                (Some(_), _) => "FAILED",
                (None, Some(_)) => "skipped",
                (None, None) => "passed",
            };
            eprintln!(
                "{name:28} {:6} {result:8} {}",
                image["architecture"].as_str().unwrap_or_default(),
                test["name"].as_str().unwrap_or_default()
            );
        }
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for test in images.iter().filter_map(|image| image["tests"].as_array()).flatten() {
        if let Some(why) = test["skipped"].as_str() {
            *reasons.entry(why).or_default() += 1;
        }
    }
    eprintln!(
        "{} images of {} families: {} tests passed, {} failed, {} skipped {reasons:?}",
        images.len(),
        families.len(),
        report["passed"],
        report["failed"],
        report["skipped"]
    );
    let failed: Vec<String> = images
        .iter()
        .flat_map(|image| {
            let name = format!(
                "{} for {}",
                image["image"].as_str().unwrap_or_default(),
                image["architecture"].as_str().unwrap_or_default()
            );
            let tests = image["tests"].as_array().into_iter().flatten();
            let failed =
                tests.filter_map(|test| Some(format!("{}: {}", test["name"], test["failure"].as_str()?)));
            failed.map(|failure| format!("{name}, {failure}")).collect::<Vec<_>>()
        })
        .collect();
    ensure!(
        failed.is_empty() && report["failures"] == serde_json::json!([]),
        "{}\n{:#}",
        failed.join("\n"),
        report["failures"]
    );
    ensure!(output.status.success(), "{}", output.status);
    ensure!(images.len() >= IMAGES, "{} images", images.len());
    let of_catalog = fs_err::read_dir(up.catalog().join("images"))?.count();
    ensure!(of_catalog >= FAMILIES, "{of_catalog} families");
    Ok(())
}

/// Images evenly taken out of all, by name: the same ones each time.
fn sample(world: &World) -> Result<()> {
    let up = world.up()?;
    let all = up.json(&["build", "--all", "--universe", UNIVERSE])?;
    let images: Vec<(&str, &str, &str)> = all["images"]
        .as_array()
        .context("no images")?
        .iter()
        .filter_map(|image| {
            Some((image["image"].as_str()?, image["architecture"].as_str()?, image["digest"].as_str()?))
        })
        .collect();
    ensure!(images.len() >= SAMPLE, "{} images", images.len());
    let directory = TempDir::new()?;
    let archive = directory.path().join("archive");
    for (image, architecture, digest) in images.iter().step_by(images.len() / SAMPLE) {
        run(&mut up.calypte(&["archive", &archive.display().to_string(), image]))?;
        let mut command = Command::new(World::program());
        command
            .arg("--quiet")
            .arg("--catalog")
            .arg(up.catalog())
            .arg("--store")
            .arg(directory.path().join("store"));
        command.args(["--offline", "--archive"]).arg(&archive);
        command.args(["build", image, "--arch", architecture, "--universe", UNIVERSE, "--format", "json"]);
        command.env("TZ", "Pacific/Kiritimati").env("LC_ALL", "tr_TR.UTF-8").env_remove("SOURCE_DATE_EPOCH");
        let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
        let again = &report["images"][0]["digest"];
        ensure!(again == digest, "{image} for {architecture}: {again} instead of {digest}");
        fs_err::remove_dir_all(directory.path().join("store"))?;
    }
    Ok(())
}
