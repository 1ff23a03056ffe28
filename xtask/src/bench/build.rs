//! `bench build`: a cold and a warm build of one image, beside `mmdebstrap --variant=extract` on the same packages.
//!
//! Beside them stands the floor: `dpkg-deb | zstd -3`, which only decodes and compresses; on a slow or busy machine it
//! tells what a second is worth. All start from packages that are on the disk already. mmdebstrap is given a repository of exactly these packages,
//! without their dependency fields, so that it need not choose any; it runs no script, and writes one plain tar, while
//! ours is compressed, hashed and checked.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::measure::{Cost, best};
use crate::run;

/// The image that is built: its packages unpack to about 64 MB.
const IMAGE: &str = "python";

/// Runs of each measurement; the best counts.
const RUNS: usize = 5;

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let scratch = tempfile::tempdir()?;
    let store = scratch.path().join("store");
    let calypte = |arguments: &[&str]| {
        let mut command =
            run::command(run::workspace().join("target/release/calypte"), &["--quiet", "--store"]);
        command.arg(&store).args(arguments);
        command
    };
    let output = format!("oci:{}", scratch.path().join("image").display());
    let mut build = calypte(&["build", IMAGE, "--arch", "amd64", "--output", &output, "--format", "json"]);
    // The level of the floor: what is published is compressed harder, once for each version of a package.
    build.args(["--compression", "zstd:3"]);

    // Once for real: fetches the packages, and tells how large the tree is.
    let report: Value = serde_json::from_str(&run::output(&mut clone(&build))?)?;
    let tree = report["images"][0]["unpacked_size"].as_f64().unwrap_or_default() / 1e6;
    let image = report["images"][0]["size"].as_f64().unwrap_or_default() / 1e6;

    let cold = best(RUNS, &build, || forget_results(&store))?;
    let one = {
        let mut command = clone(&build);
        command.args(["--jobs", "1"]);
        best(RUNS, &command, || forget_results(&store))?
    };
    let warm = best(RUNS, &build, || Ok(()))?;

    let repository = scratch.path().join("repository");
    let names = make_repository(
        &calypte(&["show", IMAGE, "--arch", "amd64", "--format", "json"]),
        &store,
        &repository,
    )?;
    let tar = scratch.path().join("peer.tar");
    let peer = best(RUNS, &mmdebstrap(&names, &repository, &tar), || Ok(()))?;
    let peer_tar = fs_err::metadata(&tar)?.len() as f64 / 1e6;
    let floor = best(RUNS, &decode_and_compress(&repository), || Ok(()))?;

    println!("{IMAGE}, amd64: {} packages, tree {tree:.1} MB, compressed image {image:.1} MB", names.len());
    println!("{:38} {:>9} {:>9} {:>10}", "", "CPU s", "wall s", "peak MB");
    row("calypte build, cold", cold);
    row("calypte build, cold, --jobs 1", one);
    row("calypte build, warm", warm);
    row("dpkg-deb | zstd -3, nothing else", floor);
    row(&format!("mmdebstrap --variant=extract ({peer_tar:.0} MB tar)"), peer);
    let per_64_mb = cold.cpu * 64.0 / peer_tar;
    println!(
        "cold CPU per 64 MB unpacked: {per_64_mb:.2} s; mmdebstrap / cold: {:.1}; cold / floor: {:.2}",
        peer.cpu / cold.cpu,
        cold.cpu / floor.cpu
    );
    println!(
        "{}",
        json!({
            "tree_mb": tree, "image_mb": image, "packages": names.len(),
            "cold_cpu": cold.cpu, "unpacked_mb": peer_tar, "cold_cpu_per_64_mb": per_64_mb, "cold_memory_mb": cold.memory,
            "cold_one_thread_cpu": one.cpu, "cold_one_thread_memory_mb": one.memory,
            "warm_cpu": warm.cpu, "warm_memory_mb": warm.memory,
            "mmdebstrap_cpu": peer.cpu, "mmdebstrap_memory_mb": peer.memory, "mmdebstrap_per_cold": peer.cpu / cold.cpu,
            "floor_cpu": floor.cpu, "cold_per_floor": cold.cpu / floor.cpu,
        })
    );
    Ok(())
}

/// A command with the same program, arguments and directory.
fn clone(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).current_dir(run::workspace());
    copy
}

/// Removes from a store everything but the downloaded files: what a build finds when it is the first.
fn forget_results(store: &Path) -> Result<()> {
    for directory in ["packs", "cache"] {
        let directory = store.join(directory);
        if directory.exists() {
            fs_err::remove_dir_all(&directory)?;
        }
    }
    Ok(())
}

/// Makes a flat repository out of the image's packages in the store; the packages' names.
fn make_repository(show: &Command, store: &Path, repository: &Path) -> Result<Vec<String>> {
    fs_err::create_dir_all(repository)?;
    let shown: Value = serde_json::from_str(&run::output(&mut clone(show))?)?;
    let lock = fs_err::read_to_string(run::workspace().join("catalog/locks/debian-sid/python.lock"))?;
    let lock: Value = serde_json::from_str(&lock)?;
    let locked = lock["packages"]["amd64"].as_array().context("the lock has no amd64 packages")?;
    let mut index = String::new();
    let mut names = Vec::new();
    for package in shown["packages"].as_array().into_iter().flatten() {
        let entry =
            locked.iter().find(|entry| entry["id"] == package["name"]).context("package not in the lock")?;
        let hex = entry["sha256"]
            .as_str()
            .and_then(|digest| digest.strip_prefix("sha256:"))
            .context("no digest")?;
        let file = store.join("blobs").join(&hex[..2]).join(hex);
        ensure!(file.exists(), "{} is not in the store", file.display());
        let name = format!("{hex}.deb");
        fs_err::copy(&file, repository.join(&name))?;
        let control = run::output(run::command("dpkg-deb", &["--field"]).arg(&file))?;
        index.push_str(&without_relations(&control));
        writeln!(index, "Filename: ./{name}\nSize: {}\nSHA256: {hex}\n", fs_err::metadata(&file)?.len())?;
        names.push(package["name"].as_str().unwrap_or_default().to_owned());
    }
    fs_err::write(repository.join("Packages"), index)?;
    Ok(names)
}

/// A control paragraph without the fields that would make apt look for other packages.
fn without_relations(control: &str) -> String {
    let dropped = [
        "Depends:",
        "Pre-Depends:",
        "Recommends:",
        "Suggests:",
        "Conflicts:",
        "Breaks:",
        "Replaces:",
        "Enhances:",
    ];
    let mut kept = String::new();
    let mut dropping = false;
    for line in control.lines() {
        if !line.starts_with(' ') {
            dropping = dropped.iter().any(|field| line.starts_with(field));
        }
        if !dropping {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn mmdebstrap(names: &[String], repository: &Path, tar: &Path) -> Command {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=extract", "--mode=root", "--architectures=amd64", "--format=tar"]);
    command.arg(format!("--include={}", names.join(",")));
    command.arg("sid").arg(tar).arg(format!("deb [trusted=yes] copy:{} ./", repository.display()));
    command.current_dir("/");
    command
}

/// The two things that cannot be saved, and nothing else: decoding every package and compressing the sum.
fn decode_and_compress(repository: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = "for package in *.deb; do dpkg-deb --fsys-tarfile \"$package\"; done | zstd -3 --single-thread -q -c > /dev/null";
    command.args(["-c", script]).current_dir(repository);
    command
}

fn row(name: &str, cost: Cost) {
    println!("{name:38} {:9.2} {:9.2} {:10.0}", cost.cpu, cost.wall, cost.memory);
}
