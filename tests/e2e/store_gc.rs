//! `calypte gc`: what is published stays whole, what a lock names stays, and what was removed comes back the same.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::case::Case;
use crate::needs::Need;
use crate::rebuild_from_provenance::Published;
use crate::world::{World, fails, run, stdout};

pub const CASES: &[Case] = &[Case {
    name: "gc_keeps_what_is_published",
    needs: &[Need::Mirror, Need::Program("skopeo")],
    run: keeps,
}];

const IMAGE: &str = "static";

/// As if nothing in a directory had been used for so many days.
fn age(directory: &Path, days: u32) -> Result<()> {
    let mut find = Command::new("find");
    find.arg(directory).args([
        "-type",
        "f",
        "-exec",
        "touch",
        "--date",
        &format!("{days} days ago"),
        "{}",
        "+",
    ]);
    run(&mut find).map(drop)
}

fn copied(published: &Published, reference: &str) -> Command {
    let mut command = Command::new("skopeo");
    command.args(["copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false"]);
    command.arg(format!("docker://{reference}"));
    command.arg(format!("oci:{}", published.directory.path().join("copy").display()));
    command
}

fn keeps(_: &World) -> Result<()> {
    let published = Published::new()?;
    let json = |arguments: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&stdout(&mut published.calypte(arguments))?)?)
    };
    let built = |offline: &[&str]| json(&[offline, &["build", IMAGE, "--format", "json"]].concat());
    let digest = |built: &Value| built["digest"].as_str().map(str::to_owned).context("no digest");
    published.push(IMAGE)?;
    let old = digest(&built(&[])?)?;
    // The same packages, so the same tags, which now lead elsewhere.
    let definition = published.directory.path().join(format!("catalog/images/{IMAGE}.yaml"));
    let text = fs_err::read_to_string(&definition)?;
    fs_err::write(&definition, text.replace("title: Static", "title: Static root"))?;
    published.push(IMAGE)?;
    let new = digest(&built(&[])?)?;
    ensure!(old != new, "the definition makes no difference");
    let store = published.directory.path().join("publisher");
    let at = |digest: &str| format!("{}@{digest}", published.reference(IMAGE));

    // What was just used stays, whoever asks.
    let removed = json(&["gc", "--untagged-days", "30", "--format", "json"])?;
    ensure!(removed["bytes"] == 0 && removed["manifests"] == 0, "{removed}");
    run(&mut copied(&published, &at(&old)))?;
    age(&store, 60)?;
    let gc = ["gc", "--untagged-days", "30", "--format", "json"];
    let would = json(&[&gc[..], &["--dry-run"]].concat())?;
    let removed = json(&gc)?;
    ensure!(removed["dry_run"] == false && would["dry_run"] == true, "{would} {removed}");
    for part in ["blobs", "packs", "cache", "manifests", "bytes"] {
        ensure!(removed[part] == would[part] && removed[part] != 0, "{part}: {would} {removed}");
    }
    fails(&mut copied(&published, &at(&old)), 1)?;
    run(&mut copied(&published, &at(&new)))?;
    run(&mut published.calypte(&["verify", &at(&new), "--plain-http", "--key", &published.public()]))?;
    // The packages are there without the mirror, and make the same image.
    let again = built(&["--offline"])?;
    ensure!(digest(&again)? == new, "{again}");
    let removed = json(&gc)?;
    ensure!(removed["blobs"]["files"] == 0 && removed["manifests"] == 0, "{removed}");
    let error = fails(&mut published.calypte(&["gc", "--unused-days", "1"]), 2)?;
    ensure!(error.contains("1 is not in 2.."), "{error}");
    Ok(())
}
