//! Scans as a user makes them: a feed with known flaws is read, an image of the catalog is scanned, and gates, VEX statements and
//! ignore rules say what they should. The feed is made for the versions that the image has, so it holds on any day.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{Up, World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case { name: "a_scan_finds_what_the_feeds_tell", needs: &[Need::Mirror], run: finds },
    Case { name: "the_archive_s_changelogs_are_a_feed", needs: &[Need::Mirror], run: changelogs },
    Case { name: "a_layout_is_scanned_like_the_image_it_is_of", needs: &[Need::Mirror], run: foreign },
];

/// The year of the flaws that no real feed has.
pub const YEAR: &str = "CVE-2099-";
pub const OPEN: &str = "CVE-2099-10001";
pub const FIXABLE: &str = "CVE-2099-10002";
pub const FIXED: &str = "CVE-2099-10003";
pub const DEFERRED: &str = "CVE-2099-10004";

/// The shared store with a feed of our own, and files beside it.
pub struct Scans {
    directory: TempDir,
}

impl Scans {
    /// Debian's tracker as it were, of one source package of nginx's image.
    pub fn new(up: &Up) -> Result<Self> {
        let scans = Self { directory: TempDir::new()? };
        let shown = up.json(&["show", "nginx", "--arch", "amd64"])?;
        let packages = shown["packages"].as_array().context("no packages")?;
        let zlib =
            packages.iter().find(|package| package["source"] == "zlib").context("nginx needs no zlib")?;
        let version = zlib["version"].as_str().context("no version")?.to_owned();
        let release = |text: Value| json!({"description": "For a test.", "releases": {"sid": text}});
        let tracker = json!({"zlib": {
            OPEN: release(json!({"status": "open", "urgency": "high", "repositories": {"sid": version}})),
            FIXABLE: release(json!({"status": "resolved", "urgency": "medium", "fixed_version": format!("{version}+fixed1"), "repositories": {"sid": version}})),
            FIXED: release(json!({"status": "resolved", "urgency": "high", "fixed_version": version, "repositories": {"sid": version}})),
            DEFERRED: release(json!({"status": "open", "urgency": "low", "nodsa": "Minor issue", "nodsa_reason": "postponed", "repositories": {"sid": version}})),
        }});
        let file = scans.write("tracker.json", &tracker.to_string())?;
        let from = format!("debian-tracker:debian-tracker={file}");
        run(&mut up.calypte(&["advisories", "update", "--from", &from]))?;
        Ok(scans)
    }

    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.directory.path().join(name);
        fs_err::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

/// What counts, by flaw and package.
pub fn found(report: &Value) -> Result<Vec<(String, String)>> {
    let findings = report["findings"].as_array().context("no findings")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = findings
        .iter()
        .filter(|finding| finding["suppressed"].is_null())
        .map(|finding| (text(&finding["vulnerability"]), text(&finding["name"])))
        .filter(|(flaw, _)| flaw.starts_with("CVE-2099-"))
        .collect();
    found.sort();
    Ok(found)
}

/// Findings of these flaws, as [`found`] gives them.
pub fn pairs(flaws: &[&str]) -> Vec<(String, String)> {
    flaws.iter().map(|flaw| ((*flaw).to_owned(), "zlib1g".to_owned())).collect()
}

fn finds(world: &World) -> Result<()> {
    let up = world.up()?;
    let scans = Scans::new(up)?;
    let scan = ["scan", "nginx", "--arch", "amd64"];
    let report = up.json(&scan)?;
    ensure!(found(&report)? == pairs(&[OPEN, FIXABLE, DEFERRED]), "{report:#}");
    let finding =
        report["findings"].as_array().into_iter().flatten().find(|one| one["vulnerability"] == OPEN);
    let finding = finding.context("it is gone")?;
    ensure!(
        finding["severity"] == "high" && finding["layers"] != json!([]) && finding["files"] != json!([]),
        "{finding:#}"
    );
    // The gate.
    fails(&mut up.calypte(&[&scan[..], &["--fail-on", "high"]].concat()), 1)?;
    run(&mut up.calypte(&[&scan[..], &["--only-fixed", "--fail-on", "critical"]].concat()))?;
    fails(&mut up.calypte(&[&scan[..], &["--only-fixed", "--fail-on", "medium"]].concat()), 1)?;
    // Why, and why not.
    let why = stdout(&mut up.calypte(&[&scan[..], &["--explain", FIXED]].concat()))?;
    ensure!(why.contains("not matched: deb/zlib1g"), "{why}");
    // What others say.
    let image = report["digest"].as_str().context("no digest")?;
    let vex = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/1", "author": "A", "version": 1,
        "timestamp": "2026-01-01T00:00:00Z",
        "statements": [{
            "vulnerability": {"name": OPEN}, "status": "not_affected", "justification": "vulnerable_code_not_present",
            "products": [{"@id": format!("pkg:oci/nginx@{}", image.replace(':', "%3A"))}],
        }],
    });
    let vex = scans.write("vex.json", &vex.to_string())?;
    let report = up.json(&[&scan[..], &["--vex", &vex]].concat())?;
    ensure!(found(&report)? == pairs(&[FIXABLE, DEFERRED]), "{report:#}");
    // Ignore rules end.
    let rule = |until: &str| {
        format!("rules:\n  - flaw: {FIXABLE}\n    reason: For a test.\n    until: \"{until}\"\n")
    };
    let ignore = scans.write("ignore.yaml", &rule("2090-01-01"))?;
    let report = up.json(&[&scan[..], &["--ignore", &ignore]].concat())?;
    ensure!(found(&report)? == pairs(&[OPEN, DEFERRED]), "{report:#}");
    let ignore = scans.write("expired.yaml", &rule("2020-01-01"))?;
    let report = up.json(&[&scan[..], &["--ignore", &ignore]].concat())?;
    ensure!(found(&report)?.len() == 3 && report["expired"] != json!([]), "{report:#}");
    // Which images.
    let affected = up.calypte(&["affected", FIXABLE, "--arch", "amd64", "--format", "json"]).output()?;
    ensure!(affected.status.code() == Some(1), "{}", String::from_utf8_lossy(&affected.stderr));
    let affected: Value = serde_json::from_slice(&affected.stdout)?;
    let images = affected["images"].as_array().context("no images")?;
    ensure!(
        images.iter().any(|one| one["image"] == "nginx" && one["standing"] == "fix-missing"),
        "{affected:#}"
    );
    ensure!(!images.iter().any(|one| one["image"] == "static"), "static holds no zlib: {affected:#}");
    sarif(&stdout(&mut up.calypte(&[&scan[..], &["--sarif"]].concat()))?)
}

fn sarif(text: &str) -> Result<()> {
    let document: Value = serde_json::from_str(text)?;
    let results = document["runs"][0]["results"].as_array().context("no results")?;
    let rules = document["runs"][0]["tool"]["driver"]["rules"].as_array().context("no rules")?;
    ensure!(document["version"] == "2.1.0" && !results.is_empty(), "{document:#}");
    for result in results {
        let place = result["ruleIndex"].as_u64().context("no index")?;
        let rule = rules.get(usize::try_from(place)?).context("an index without a rule")?;
        ensure!(rule["id"] == result["ruleId"], "{result:#}");
    }
    Ok(())
}

fn changelogs(world: &World) -> Result<()> {
    let up = world.up()?;
    let report = up.json(&["advisories", "update", "changelog-debian-sid"])?;
    let changes = &report["feeds"][0]["changes"];
    let count = |key: &str| changes[key].as_u64().unwrap_or(0);
    ensure!(count("added") + count("unchanged") > 100, "{report:#}");
    let again = up.json(&["advisories", "update", "changelog-debian-sid"])?;
    ensure!(again["feeds"][0]["changes"]["added"] == 0, "{again:#}");
    fails(&mut up.calypte(&["advisories", "update", "no-such-feed"]), 2)?;
    Ok(())
}

fn foreign(world: &World) -> Result<()> {
    let up = world.up()?;
    let scans = Scans::new(up)?;
    let layout = layout(up, scans.directory.path())?;
    let own = up.json(&["scan", "nginx", "--arch", "amd64"])?;
    let read = up.json(&["scan", &layout, "--arch", "amd64"])?;
    ensure!(found(&own)? == found(&read)?, "{own:#}\n{read:#}");
    let names = |image: &str| -> Result<Vec<String>> {
        let bill = up.json(&["sbom", image, "--arch", "amd64"])?;
        let components = bill["components"].as_object().context("no components")?;
        Ok(components.values().map(|one| format!("{} {}", one["name"], one["version"])).collect())
    };
    ensure!(names("nginx")? == names(&layout)?, "the bills differ");
    Ok(())
}

fn layout(up: &Up, directory: &Path) -> Result<String> {
    let layout = format!("oci:{}:image", directory.join("layout").display());
    run(&mut up.calypte(&["build", "nginx", "--arch", "amd64", "--output", &layout]))?;
    Ok(layout)
}
