//! The host's image for benchmarks: out of the catalog, from the mirror's packages and the programs of hosts, as the
//! end-to-end cases build it. Catalog and store lie below `target/tmp/bench-os`, and stay for the next run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{package, run};

/// The image as it is built first.
pub const FIRST: &str = "one";

/// The host's image and what it is made with.
pub struct Os {
    root: PathBuf,
    catalog: PathBuf,
    overlay: PathBuf,
}

impl Os {
    /// Builds the programs, their packages and the image.
    ///
    /// # Errors
    /// When there is no mirror, or something does not build.
    pub fn new() -> Result<Self> {
        run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
        package::for_tests(&["amd64"])?;
        let root = run::workspace().join("target/tmp/bench-os");
        let catalog = root.join("catalog");
        let os = Self { root, catalog: catalog.clone(), overlay: Self::overlay() };
        if catalog.exists() {
            fs_err::remove_dir_all(&catalog)?;
        }
        fs_err::create_dir_all(&os.root)?;
        run::succeed(Command::new("cp").arg("-r").arg(run::workspace().join("catalog")).arg(&catalog))?;
        // The packages are made for one architecture alone.
        let universe = catalog.join("universes/debian-sid.yaml");
        let text = fs_err::read_to_string(&universe)?;
        let one = text.replace("architectures: [amd64, arm64]", "architectures: [amd64]");
        ensure!(one != text, "{} does not name its architectures as it did", universe.display());
        fs_err::write(&universe, one)?;
        run::output(&mut os.calypte(&["lock", "os"]))?;
        os.build(FIRST, &[])?;
        Ok(os)
    }

    /// The packages of the programs of hosts.
    pub fn overlay() -> PathBuf {
        run::workspace().join("target/tools/packages")
    }

    /// The same image of other packages, with a catalog of this name for its lock.
    ///
    /// # Errors
    /// When they cannot be chosen.
    pub fn locked_with(&self, overlay: &Path, catalog: &str) -> Result<Self> {
        let place = self.path(catalog);
        if place.exists() {
            fs_err::remove_dir_all(&place)?;
        }
        run::succeed(Command::new("cp").arg("-r").arg(self.path("catalog")).arg(&place))?;
        let other = Self { root: self.root.clone(), catalog: place, overlay: overlay.to_owned() };
        run::output(&mut other.calypte(&["lock", "os"]))?;
        Ok(other)
    }

    /// A file or directory of the benchmark.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The factory's program over this catalog and store.
    pub fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = run::command(run::workspace().join("target/release/calypte"), &["--quiet"]);
        command.arg("--catalog").arg(&self.catalog).arg("--store").arg(self.path("store"));
        command.arg("--overlay").arg(&self.overlay);
        command.args(arguments).env("CALYPTE_COMPRESSION", "zstd:3").env_remove("SOURCE_DATE_EPOCH");
        command
    }

    /// Builds the image into a layout of this name.
    ///
    /// # Errors
    /// When it does not build.
    pub fn build(&self, name: &str, more: &[&str]) -> Result<PathBuf> {
        let layout = self.path(name);
        if layout.exists() {
            fs_err::remove_dir_all(&layout)?;
        }
        let output = format!("oci:{}", layout.display());
        run::succeed(
            self.calypte(&["build", "os", "--arch", "amd64", "--output", &output])
                .args(more)
                .stdout(std::process::Stdio::null()),
        )?;
        Ok(layout)
    }

    /// The program of hosts, as it is in the package.
    pub fn host_program() -> PathBuf {
        run::workspace().join("target/cross/x86_64-unknown-linux-gnu/small/calypte-host")
    }
}

/// The descriptors of an image's layers, lowest first.
///
/// # Errors
/// When the directory is no layout of one image.
pub fn layers(layout: &Path) -> Result<Vec<Value>> {
    let mut document: Value = serde_json::from_slice(&fs_err::read(layout.join("index.json"))?)?;
    while let Some(next) = document["manifests"][0]["digest"].as_str() {
        document = serde_json::from_slice(&fs_err::read(blob(layout, next))?)?;
    }
    document["layers"].as_array().cloned().context("no layers")
}

/// Where a blob lies.
pub fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Unpacks an image into a new directory. Layers of ours take nothing away from those below.
///
/// # Errors
/// When it cannot be unpacked.
pub fn unpack(layout: &Path, root: &Path) -> Result<()> {
    fs_err::create_dir_all(root)?;
    for layer in layers(layout)? {
        let digest = layer["digest"].as_str().context("no digest")?;
        run::succeed(
            Command::new("tar").args(["--zstd", "-xpf"]).arg(blob(layout, digest)).arg("-C").arg(root),
        )?;
    }
    Ok(())
}
