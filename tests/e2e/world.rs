//! What the cases share: the program under test, a store that fills up once, and a catalog of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::fedora::Fedora;

/// What the cases share.
#[derive(Default)]
pub struct World {
    up: OnceLock<Result<Up, String>>,
    fedora: OnceLock<Result<Fedora, String>>,
}

/// The outcome of `calypte up`, which the cases build on.
pub struct Up {
    /// Holds catalog, store and images; gone at the end.
    directory: TempDir,
    /// Its report.
    pub report: Value,
}

impl World {
    /// The root of the repository.
    pub fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// The program under test, as released.
    pub fn program() -> PathBuf {
        Self::target().join("release/calypte")
    }

    /// Where cargo and the project's chores put what they make.
    pub fn target() -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Self::repository().join("target"), PathBuf::from)
    }

    /// A copy of the repository's catalog below `directory`, to lock and to break.
    pub fn copy_catalog(directory: &Path) -> Result<PathBuf> {
        let catalog = directory.join("catalog");
        run(Command::new("cp").arg("-r").arg(Self::repository().join("catalog")).arg(&catalog))?;
        Ok(catalog)
    }

    /// Everything built and tested once, by whichever case asks first.
    pub fn up(&self) -> Result<&Up> {
        let up = self.up.get_or_init(|| Up::new().map_err(|error| format!("{error:#}")));
        up.as_ref().map_err(|error| anyhow::anyhow!("calypte up failed: {error}"))
    }

    /// The RPM fixture's images locked once, by whichever case asks first.
    pub fn fedora(&self) -> Result<&Fedora> {
        let fedora = self.fedora.get_or_init(|| Fedora::locked().map_err(|error| format!("{error:#}")));
        fedora.as_ref().map_err(|error| anyhow::anyhow!("the Fedora images cannot be locked: {error}"))
    }
}

impl Up {
    fn new() -> Result<Self> {
        let directory = TempDir::new()?;
        World::copy_catalog(directory.path())?;
        let mut up = Self { directory, report: Value::Null };
        let output = up.calypte(&["up", "--once", "--format", "json"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // What failed of it is for its own case to tell; the images that are there serve the others.
        up.report = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{}, and no JSON; it wrote:\n{said}", output.status))?;
        ensure!(
            up.report["images"] != serde_json::json!([]),
            "no image was made: {:#}",
            up.report["failures"]
        );
        Ok(up)
    }

    /// The catalog's directory.
    pub fn catalog(&self) -> PathBuf {
        self.directory.path().join("catalog")
    }

    /// The store's directory; `CALYPTE_TEST_STORE` names one that is kept, so that a second run need not fetch again.
    pub fn store(&self) -> PathBuf {
        std::env::var_os("CALYPTE_TEST_STORE")
            .map_or_else(|| self.directory.path().join("store"), PathBuf::from)
    }

    /// The program under test over the shared catalog and store.
    pub fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(self.catalog()).arg("--store").arg(self.store());
        command.args(arguments).stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    /// Runs the program and gives the JSON that it prints.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = stdout(self.calypte(arguments).args(["--format", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("calypte {arguments:?} printed `{text}`"))
    }
}

/// Builds an image and unpacks it with umoci, as root; its root directory. `calypte` makes the program's command of
/// arguments.
pub fn unpack(
    calypte: impl Fn(&[&str]) -> Command,
    image: &str,
    universe: &str,
    directory: &Path,
) -> Result<PathBuf> {
    let layout = directory.join("layout");
    let output = format!("oci:{}:image", layout.display());
    let universe = ["build", image, "--universe", universe];
    // umoci 0.4 reads gzip only.
    let form = ["--arch", "amd64", "--compression", "gzip", "--output", &output];
    run(&mut calypte(&[&universe[..], &form].concat()))?;
    let bundle = directory.join("bundle");
    run(Command::new("umoci")
        .args(["unpack", "--image", &format!("{}:image", layout.display())])
        .arg(&bundle))?;
    Ok(bundle.join("rootfs"))
}

/// Runs a command; what it prints to standard output.
pub fn stdout(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Result<Output> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} could not be started"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// Runs a command that must fail with this exit code; what it prints to standard error.
pub fn fails(command: &mut Command, code: i32) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} could not be started"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(code),
        "{command:?}: {} instead of exit code {code}\n{}{stderr}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(stderr)
}
