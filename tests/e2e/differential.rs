//! Findings beside those of Trivy, which has the same advisories, over a release that is made up: the same set, whichever
//! document it reads; and where ours are others, by a rule that has a name (`docs/reference/scan.md`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use calypte_sbom::write::{Tool, cyclonedx16, spdx23};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::synthetic::{Backports, Findings, Found, Release};
use crate::trivy::{self, Trivy};
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[
    Case { name: "trivy_finds_the_same_flaws_with_the_same_advisories", needs: &[Need::Trivy], run: trivy_s },
    Case { name: "a_scan_finds_what_trivy_finds_but_for_its_own_rules", needs: &[Need::Trivy], run: ours },
];

const SOURCES: usize = 800;
const PACKAGES: usize = 2_000;
const ADVISORIES: usize = 34;

/// Fewer would prove little.
const LEAST: usize = 30_000;

fn trivy_s(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let (release, expected) = release()?;
    let trivy = Trivy::new(directory.path(), &release.advisories)?;
    let root = root_directory(&release, directory.path())?;
    let (spdx, cyclonedx) = documents(&release, directory.path())?;
    for (command, target) in [("rootfs", root), ("sbom", spdx), ("sbom", cyclonedx)] {
        let report = trivy.flaws(&[command, &target.display().to_string()])?;
        compare(&target.display().to_string(), &trivy::findings(&report), &expected)?;
    }
    Ok(())
}

fn release() -> Result<(Release, Findings)> {
    let release = Release::new(SOURCES, PACKAGES, ADVISORIES);
    let expected = release.findings()?;
    ensure!(expected.len() > LEAST, "only {} findings", expected.len());
    Ok((release, expected))
}

/// The rule that has a name: what the installed changelog names as fixed (`changelog`) is not found. Trivy reads no changelogs.
fn ours(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let (release, expected) = release()?;
    let backports = release.backports(&expected);
    let root = root_directory(&release, directory.path())?;
    changelogs(&backports, &root)?;
    let root = root.display().to_string();
    let trivy = Trivy::new(directory.path(), &release.advisories)?;
    compare("trivy", &trivy::findings(&trivy.flaws(&["rootfs", &root])?), &expected)?;

    let calypte = Calypte::new(directory.path(), &release.tracker())?;
    let report = calypte.scan(&root, &[])?;
    let (named, rest): (Findings, Findings) =
        expected.into_iter().partition(|(package, flaw, ..)| backports.names(package, flaw));
    ensure!(named.len() > 100, "only {} backports", named.len());
    compare("calypte", &found(&report)?, &rest)?;
    let nothing = [&report["unknown"], &report["gaps"]];
    ensure!(nothing.iter().all(|list| **list == json!([])) && report["verdict"] == "found", "{nothing:?}");
    ensure!(report["packages"] == PACKAGES, "{}", report["packages"]);
    for (package, flaw, ..) in [named.first(), named.last()].into_iter().flatten() {
        let why = calypte.scan(&root, &["--explain", flaw])?;
        let mut told = why["explanations"].as_array().into_iter().flatten();
        let component = format!("deb/{package}@");
        let is_it = |told: &Value| {
            told["rule"] == "changelog"
                && told["component"].as_str().is_some_and(|id| id.starts_with(&component))
        };
        ensure!(told.any(is_it), "{component}: {why:#}");
    }
    Ok(())
}

/// The program under test with a store whose one feed is this tracker's document.
struct Calypte {
    catalog: PathBuf,
    store: PathBuf,
}

impl Calypte {
    fn new(directory: &Path, tracker: &Value) -> Result<Self> {
        let calypte = Self { catalog: World::copy_catalog(directory)?, store: directory.join("store") };
        let file = directory.join("tracker.json");
        fs_err::write(&file, tracker.to_string())?;
        let from = format!("debian-tracker:debian-tracker={}", file.display());
        run(&mut calypte.command(&["advisories", "update", "--from", &from]))?;
        Ok(calypte)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(&self.catalog).arg("--store").arg(&self.store);
        command.args(arguments);
        command
    }

    fn scan(&self, root: &str, arguments: &[&str]) -> Result<Value> {
        let subject = format!("dir:{root}");
        let scan = [&["scan", &subject, "--format", "json"], arguments].concat();
        Ok(serde_json::from_str(&stdout(&mut self.command(&scan))?)?)
    }
}

/// What one of our reports found, in Trivy's words.
fn found(report: &Value) -> Result<Findings> {
    let findings = report["findings"].as_array().context("no findings")?;
    findings.iter().map(one).collect()
}

fn one(finding: &Value) -> Result<Found> {
    ensure!(finding["suppressed"].is_null(), "nothing was said of {finding:#}");
    let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let (state, fixed) = match &finding["state"] {
        Value::String(state) => (state.as_str(), ""),
        state => {
            let [fixed] = state["fixed"].as_array().map_or(&[][..], Vec::as_slice) else {
                anyhow::bail!("not fixed in one version: {finding:#}")
            };
            ("fixed", fixed.as_str().unwrap_or_default())
        }
    };
    let state = match state {
        "not-fixed" => "affected",
        "unknown" => "under_investigation",
        "wont-fix" => "will_not_fix",
        "deferred" => "fix_deferred",
        "end-of-life" => "end_of_life",
        other => other,
    };
    Ok((word("name"), word("vulnerability"), fixed.to_owned(), state.to_owned()))
}

/// Two sets of findings, of which the second is right.
pub fn compare(what: &str, found: &Findings, expected: &Findings) -> Result<()> {
    let some = |one: &Findings, other: &Findings| -> Vec<Found> {
        one.difference(other).take(10).cloned().collect()
    };
    ensure!(
        found == expected,
        "{what}: {} findings instead of {}\ntoo many: {:#?}\nmissing: {:#?}",
        found.len(),
        expected.len(),
        some(found, expected),
        some(expected, found)
    );
    Ok(())
}

/// A root directory with the records of dpkg alone.
pub fn root_directory(release: &Release, directory: &Path) -> Result<PathBuf> {
    let root = directory.join("root");
    for (path, text) in [
        ("etc/debian_version", "13.1\n".to_owned()),
        ("etc/os-release", "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n".to_owned()),
        ("var/lib/dpkg/status", release.dpkg_status()),
    ] {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap_or(&root))?;
        fs_err::write(path, text)?;
    }
    Ok(root)
}

/// The changelogs of a few packages, as dpkg installs them: packed, or not.
fn changelogs(backports: &Backports, root: &Path) -> Result<()> {
    for (number, (package, text)) in backports.changelogs.iter().enumerate() {
        let directory = root.join("usr/share/doc").join(package);
        fs_err::create_dir_all(&directory)?;
        let file = directory.join("changelog.Debian");
        fs_err::write(&file, text)?;
        if number % 4 != 0 {
            run(Command::new("gzip").args(["-9", "-n"]).arg(&file).stdin(Stdio::null()))?;
        }
    }
    Ok(())
}

/// The release's bill, as our own writers write it.
fn documents(release: &Release, directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let tool = Tool { name: "calypte".to_owned(), version: "0".to_owned(), organization: "N".to_owned() };
    let sbom = release.sbom();
    let (spdx, cyclonedx) = (directory.join("spdx.json"), directory.join("cyclonedx.json"));
    fs_err::write(&spdx, spdx23(&sbom, &tool))?;
    fs_err::write(&cyclonedx, cyclonedx16(&sbom, &tool))?;
    Ok((spdx, cyclonedx))
}
