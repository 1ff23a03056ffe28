//! The scanner Trivy, with a database that the test writes: without a network it reads nothing else, so it is an oracle for
//! advisories of any kind (trivy-db, `pkg/db`, `pkg/types`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bolt::{self, Bucket, Item};
use crate::synthetic::{Advisory, Findings, State};
use crate::world::{World, stdout};

/// Where `cargo xtask test` puts the scanner: the program itself, out of its package on PyPI.
pub fn program() -> PathBuf {
    World::target().join("tools/trivy/bin/trivy")
}

/// A cache directory with a database, and nothing else.
pub struct Trivy {
    cache: PathBuf,
}

impl Trivy {
    /// Trivy with these advisories of Debian 13 below `directory`.
    pub fn new(directory: &Path, advisories: &[Advisory]) -> Result<Self> {
        Self::of_release(directory, "debian 13", advisories)
    }

    /// The same with advisories of another release, as Trivy calls it.
    pub fn of_release(directory: &Path, release: &str, advisories: &[Advisory]) -> Result<Self> {
        let cache = directory.join("trivy");
        fs_err::create_dir_all(cache.join("db"))?;
        fs_err::write(cache.join("db/trivy.db"), bolt::file(&database(release, advisories)))?;
        let far = "2100-01-01T00:00:00Z";
        let metadata = json!({"Version": 2, "NextUpdate": far, "UpdatedAt": far, "DownloadedAt": far});
        fs_err::write(cache.join("db/metadata.json"), metadata.to_string())?;
        Ok(Self { cache })
    }

    /// Looks for flaws: `arguments` are its command, its target and what belongs to these.
    pub fn flaws(&self, arguments: &[&str]) -> Result<Value> {
        self.report(arguments, &["--scanners", "vuln", "--skip-db-update", "--skip-java-db-update"])
    }

    /// Lists packages. When it looks for flaws, it lists none of a distribution that it has no advisories of; when it
    /// looks for licences, it lists all.
    pub fn packages(&self, arguments: &[&str]) -> Result<Value> {
        self.report(arguments, &["--scanners", "license"])
    }

    fn report(&self, arguments: &[&str], scanner: &[&str]) -> Result<Value> {
        let mut trivy = Command::new(program());
        trivy.args(arguments).args(scanner).arg("--cache-dir").arg(&self.cache).arg("--offline-scan");
        trivy.args(["--skip-version-check", "--disable-telemetry"]);
        trivy.args(["--quiet", "--list-all-pkgs", "--format", "json"]);
        let text = stdout(trivy.env("HOME", &self.cache))?;
        serde_json::from_str(&text).with_context(|| format!("trivy {arguments:?} printed `{text}`"))
    }
}

/// The buckets: of each release its packages with their flaws, who says so, and what the flaws are.
fn database(release: &str, advisories: &[Advisory]) -> Bucket {
    let release = release.as_bytes().to_vec();
    let source = json!({"ID": "debian", "Name": "Debian Security Tracker", "URL": "https://example.org"});
    let (mut packages, mut flaws) = (Bucket::new(), Bucket::new());
    for advisory in advisories {
        let row = match &advisory.fixed {
            Some(fixed) => json!({"FixedVersion": fixed}),
            None => json!({"Status": number(advisory.state)}),
        };
        let package = packages.entry(advisory.source.clone().into_bytes());
        if let Item::Bucket(rows) = package.or_insert_with(|| Item::Bucket(Bucket::new())) {
            rows.insert(advisory.flaw.clone().into_bytes(), value(&row));
        }
        let flaw = json!({"Title": "made up", "VendorSeverity": {"debian": 2}});
        flaws.insert(advisory.flaw.clone().into_bytes(), value(&flaw));
    }
    let sources = Bucket::from([(release.clone(), value(&source))]);
    Bucket::from([
        (b"data-source".to_vec(), Item::Bucket(sources)),
        (release, Item::Bucket(packages)),
        (b"vulnerability".to_vec(), Item::Bucket(flaws)),
    ])
}

fn value(document: &Value) -> Item {
    Item::Value(document.to_string().into_bytes())
}

/// The number of a state in the database (trivy-db, `pkg/types/status.go`).
const fn number(state: State) -> u8 {
    match state {
        State::Affected => 2,
        State::Fixed => 3,
        State::UnderInvestigation => 4,
        State::WillNotFix => 5,
        State::Deferred => 6,
        State::EndOfLife => 7,
    }
}

/// What a report found.
pub fn findings(report: &Value) -> Findings {
    let flaws = results(report, "Vulnerabilities");
    flaws
        .map(|flaw| {
            let word = |key: &str| flaw[key].as_str().unwrap_or_default().to_owned();
            (word("PkgName"), word("VulnerabilityID"), word("FixedVersion"), word("Status"))
        })
        .collect()
}

/// The entries of all lists of this name in a report.
pub fn results<'a>(report: &'a Value, list: &'a str) -> impl Iterator<Item = &'a Value> {
    let results = report["Results"].as_array().into_iter().flatten();
    results.flat_map(move |result| result[list].as_array().into_iter().flatten())
}
