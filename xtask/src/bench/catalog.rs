//! `bench catalog`: what `calypte build --all` costs over the whole catalog, the first time and when nothing has changed.
//!
//! Three kinds of *nothing*: nothing is looked at but locks and blobs; the layouts are written out too; and the images are
//! not remembered, so that every tree is put together again and only packs and layers are found. The packages are
//! on the disk already. Layers are compressed at the quick level: how long the first time takes is `bench build`'s matter.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::measure::{Cost, best, measure};
use crate::run;

/// The universe whose images are built.
const UNIVERSE: &str = "debian-sid";

/// Runs of each warm measurement; the best counts.
const RUNS: usize = 3;

/// What a warm run may cost for an image, in CPU seconds.
const TARGET: f64 = 0.05;

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    // The store stays, so that nothing is downloaded twice.
    let root = run::workspace().join("target/tmp/bench-catalog");
    let (store, layouts) = (root.join("store"), root.join("images"));
    fs_err::create_dir_all(&root)?;
    let build = build_all(&store);
    let mut written = build_all(&store);
    written.arg("--output").arg(format!("oci:{}", layouts.display()));

    // Once for real: fetches the packages, and tells how many images there are.
    let report: Value = serde_json::from_str(&run::output(&mut build_all(&store))?)?;
    let images = report["images"].as_array().map(Vec::len).context("no images")?;
    ensure!(images > 0 && report["failures"] == json!([]), "{:#}", report["failures"]);
    let megabytes = |key: &str| report[key].as_f64().unwrap_or_default() / 1e6;

    forget(&store, &["packs", "cache"])?;
    let cold = measure(&build)?;
    let warm = best(RUNS, &build, || Ok(()))?;
    measure(&written)?;
    let written = best(RUNS, &written, || Ok(()))?;
    let assembled = best(RUNS, &build, || forget(&store, &["cache/image"]))?;

    println!(
        "{images} images of {UNIVERSE}: {:.0} MB, each layer once {:.0} MB",
        megabytes("size"),
        megabytes("distinct_size")
    );
    println!(
        "{:38} {:>9} {:>11} {:>9} {:>10}",
        "calypte build --all", "CPU s", "CPU s/image", "wall s", "peak MB"
    );
    let rows = [
        ("cold", "the first time", cold),
        ("warm", "nothing changed", warm),
        ("written", "nothing changed, layouts written", written),
        ("assembled", "nothing changed, trees made again", assembled),
    ];
    let mut summary =
        json!({"images": images, "size_mb": megabytes("size"), "distinct_mb": megabytes("distinct_size")});
    for (key, name, Cost { cpu, wall, memory }) in rows {
        let each = cpu / images as f64;
        println!("{name:38} {cpu:9.2} {each:11.3} {wall:9.2} {memory:10.0}");
        summary[key] = json!({"cpu": cpu, "cpu_per_image": each, "wall": wall, "memory_mb": memory});
    }
    let each = warm.cpu / images as f64;
    println!(
        "target: {TARGET} CPU s/image when nothing changed: {}",
        if each <= TARGET { "met" } else { "missed" }
    );
    println!("{summary}");
    Ok(())
}

fn build_all(store: &Path) -> Command {
    let mut command = run::command(run::workspace().join("target/release/calypte"), &["--quiet", "--store"]);
    command.arg(store).args(["build", "--all", "--universe", UNIVERSE, "--format", "json"]);
    command.args(["--compression", "zstd:3"]);
    command
}

fn forget(store: &Path, directories: &[&str]) -> Result<()> {
    for directory in directories {
        let directory = store.join(directory);
        if directory.exists() {
            fs_err::remove_dir_all(&directory)?;
        }
    }
    Ok(())
}
