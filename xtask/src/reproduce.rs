//! `cargo xtask reproduce`: every image of the catalog made twice out of the same locks, each time over a store that holds
//! nothing but downloaded files, under different circumstances; the digests must be the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::run;

/// Builds the whole catalog twice and compares the digests.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The universe
    #[arg(long, default_value = "debian-sid")]
    universe: String,
    /// How layers are compressed; `zstd:19` is what is published, and takes its time
    #[arg(long, default_value = "zstd:3")]
    compression: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let root = run::workspace().join("target/tmp/reproduce");
    let store = root.join("store");
    fs_err::create_dir_all(&store)?;
    let first = build(arguments, &store, |_| {})?;
    let again = root.join("again");
    if again.exists() {
        fs_err::remove_dir_all(&again)?;
    }
    fs_err::create_dir_all(again.join("blobs"))?;
    take_packages(&store, &again)?;
    let second = build(arguments, &again, |command| {
        command.arg("--offline").args(["--jobs", "1"]).env("TZ", "Pacific/Kiritimati").env("LC_ALL", "tr_TR.UTF-8");
    })?;
    let mut different = Vec::new();
    for (image, digest) in &first {
        if second.get(image) != Some(digest) {
            different.push(format!("{image}: {digest}, then {}", second.get(image).map_or("nothing", String::as_str)));
        }
    }
    ensure!(first.len() == second.len(), "{} images, then {}", first.len(), second.len());
    if !different.is_empty() {
        bail!("these came out differently:\n{}", different.join("\n"));
    }
    println!("{} images of {}: the same digests twice", first.len(), arguments.universe);
    Ok(())
}

/// Builds all; the digests by image and architecture.
fn build(arguments: &Arguments, store: &Path, change: impl FnOnce(&mut Command)) -> Result<BTreeMap<String, String>> {
    // What an earlier run made must not be found again; downloaded files may.
    for made in ["packs", "cache"] {
        if store.join(made).exists() {
            fs_err::remove_dir_all(store.join(made))?;
        }
    }
    let mut command = run::command(run::workspace().join("target/release/calypte"), &["--quiet", "--store"]);
    command.arg(store).args(["build", "--all", "--format", "json", "--universe", &arguments.universe]);
    command.args(["--compression", &arguments.compression]);
    change(&mut command);
    let report: Value = serde_json::from_str(&run::output(&mut command)?)?;
    ensure!(report["failures"] == serde_json::json!([]), "{:#}", report["failures"]);
    let images = report["images"].as_array().context("no images")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(images
        .iter()
        .map(|image| (format!("{} for {}", text(&image["image"]), text(&image["architecture"])), text(&image["digest"])))
        .collect())
}

/// Links the packages that the locks name into another store: nothing that was made out of them.
fn take_packages(from: &Path, to: &Path) -> Result<()> {
    let locks = run::workspace().join("catalog/locks");
    for universe in fs_err::read_dir(&locks)? {
        for lock in fs_err::read_dir(universe?.path())? {
            let lock: Value = serde_json::from_str(&fs_err::read_to_string(lock?.path())?)?;
            let of_architectures = lock["packages"].as_object().into_iter().flat_map(|packages| packages.values());
            for package in of_architectures.filter_map(Value::as_array).flatten() {
                let hex = package["sha256"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
                let Some((directory, hex)) = hex.and_then(|hex| Some((hex.get(..2)?, hex))) else { continue };
                let (source, target) = (from.join("blobs").join(directory), to.join("blobs").join(directory));
                fs_err::create_dir_all(&target)?;
                if source.join(hex).exists() && !target.join(hex).exists() {
                    fs_err::hard_link(source.join(hex), target.join(hex))?;
                }
            }
        }
    }
    Ok(())
}
