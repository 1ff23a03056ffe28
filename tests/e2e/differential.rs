//! Findings beside those of Trivy, which has the same advisories, over a release that is made up: the same set, whichever
//! document it reads.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use calypte_sbom::write::{Tool, cyclonedx16, spdx23};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::synthetic::{Findings, Release};
use crate::trivy::{self, Trivy, results};
use crate::world::World;

pub const CASES: &[Case] = &[Case {
    name: "trivy_finds_the_same_flaws_with_the_same_advisories",
    needs: &[Need::Trivy],
    run: same_findings,
}];

const SOURCES: usize = 800;
const PACKAGES: usize = 2_000;
const ADVISORIES: usize = 32;

/// Fewer would prove little.
const LEAST: usize = 30_000;

fn same_findings(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let release = Release::new(SOURCES, PACKAGES, ADVISORIES);
    let expected = release.findings()?;
    ensure!(expected.len() > LEAST, "only {} findings", expected.len());
    let trivy = Trivy::new(directory.path(), &release.advisories)?;
    let root = root_directory(&release, directory.path())?;
    let (spdx, cyclonedx) = documents(&release, directory.path())?;
    let states = release.states();
    for (command, target) in [("rootfs", root), ("sbom", spdx), ("sbom", cyclonedx)] {
        let report = trivy.flaws(&[command, &target.display().to_string()])?;
        compare(&target.display().to_string(), &trivy::findings(&report), &expected)?;
        for flaw in results(&report, "Vulnerabilities") {
            let word = |key: &str| flaw[key].as_str().unwrap_or_default();
            let state = states.get(&(word("PkgName"), word("VulnerabilityID")));
            ensure!(state.is_some_and(|state| state.word() == word("Status")), "not {state:?}: {flaw:#}");
        }
    }
    Ok(())
}

/// Two sets of findings, of which the second is right.
pub fn compare(what: &str, found: &Findings, expected: &Findings) -> Result<()> {
    let some = |one: &Findings, other: &Findings| -> Vec<(String, String, String)> {
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

/// The release's bill, as our own writers write it.
fn documents(release: &Release, directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let tool = Tool { name: "calypte".to_owned(), version: "0".to_owned(), organization: "N".to_owned() };
    let sbom = release.sbom();
    let (spdx, cyclonedx) = (directory.join("spdx.json"), directory.join("cyclonedx.json"));
    fs_err::write(&spdx, spdx23(&sbom, &tool))?;
    fs_err::write(&cyclonedx, cyclonedx16(&sbom, &tool))?;
    Ok((spdx, cyclonedx))
}
