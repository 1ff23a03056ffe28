//! The host's image: that its indexes are those of its own tools, that it passes its own rules, runs as a container, and
//! becomes the same disk twice. `cargo xtask test` makes the packages of the programs of hosts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use calypte_base::Architecture;
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "os_has_the_indexes_that_its_own_tools_make",
        needs: &[Need::Mirror, Need::Root, Need::HostPackages],
        run: indexes,
    },
    Case { name: "os_passes_its_own_rules", needs: &[Need::Mirror, Need::HostPackages], run: lint },
    Case { name: "os_is_the_same_twice", needs: &[Need::Mirror, Need::HostPackages], run: twice },
    Case {
        name: "os_runs_as_a_container",
        needs: &[Need::Mirror, Need::Root, Need::HostPackages, Need::Program("systemd-nspawn")],
        run: container,
    },
    Case {
        name: "os_becomes_the_same_disk_twice",
        needs: &[
            Need::Mirror,
            Need::Root,
            Need::HostPackages,
            Need::Program("sfdisk"),
            Need::Program("qemu-img"),
        ],
        run: disk,
    },
];

/// The repositories of the packages that `cargo xtask test` makes.
pub fn packages() -> PathBuf {
    World::target().join("tools/packages")
}

/// The image, built once for an architecture: catalog, store, and a layout.
pub struct Os {
    architecture: Architecture,
    directory: TempDir,
    digest: String,
}

impl Os {
    pub fn get() -> Result<&'static Self> {
        Self::get_for(Architecture::Amd64)
    }

    pub fn get_for(architecture: Architecture) -> Result<&'static Self> {
        static AMD64: OnceLock<Result<Os, String>> = OnceLock::new();
        static ARM64: OnceLock<Result<Os, String>> = OnceLock::new();
        let place = match architecture {
            Architecture::Amd64 => &AMD64,
            Architecture::Arm64 => &ARM64,
        };
        let made = place.get_or_init(|| Self::new(architecture).map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|error| anyhow::anyhow!("the host's image cannot be made: {error}"))
    }

    fn new(architecture: Architecture) -> Result<Self> {
        let directory = TempDir::new()?;
        let catalog = World::copy_catalog(directory.path())?;
        // The packages may have been made for one architecture alone.
        let universe = catalog.join("universes/debian-sid.yaml");
        let text = fs_err::read_to_string(&universe)?;
        let one = format!("architectures: [{}]", architecture.deb());
        fs_err::write(&universe, text.replace("architectures: [amd64, arm64]", &one))?;
        // What the machine is upgraded to: the same packages, and one file.
        let family = catalog.join("os/os.yaml");
        let text = fs_err::read_to_string(&family)?;
        let next = "variants:\n  next:\n    description: The next version, in tests.\n    fs:\n      \
                    - file: /usr/share/next\n        content: |\n          next\n";
        ensure!(text.contains("\nvariants:\n"), "the host has no variants");
        fs_err::write(&family, text.replacen("variants:\n", next, 1))?;
        let mut os = Self { architecture, directory, digest: String::new() };
        run(&mut os.calypte(&["lock", "os"]))?;
        os.digest = os.build("os", &["--output", &format!("oci:{}", os.path("os").display())])?;
        Ok(os)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command
            .arg("--quiet")
            .arg("--catalog")
            .arg(self.path("catalog"))
            .arg("--store")
            .arg(self.path("store"));
        command.arg("--overlay").arg(packages()).args(arguments);
        command.env("CALYPTE_COMPRESSION", "zstd:3").env_remove("SOURCE_DATE_EPOCH").stdin(Stdio::null());
        command
    }

    /// A disk of one of its images, in QEMU's format.
    pub fn disk(&self, image: &str) -> Result<PathBuf> {
        let disk = self.path(&format!("{image}.qcow2"));
        let output = disk.display().to_string();
        let architecture = self.architecture.deb();
        run(&mut self.calypte(&[
            "disk",
            image,
            "--arch",
            architecture,
            "--as",
            "qcow2",
            "--output",
            &output,
        ]))?;
        Ok(disk)
    }

    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    pub fn build(&self, image: &str, more: &[&str]) -> Result<String> {
        let mut command =
            self.calypte(&["build", image, "--arch", self.architecture.deb(), "--format", "json"]);
        let report: Value = serde_json::from_str(&stdout(command.args(more))?)?;
        Ok(report["digest"].as_str().context("no digest")?.to_owned())
    }

    /// The image's files, for tools that need them on a disk.
    fn root(&self) -> Result<TempDir> {
        let root = TempDir::new()?;
        let layout = self.path("os");
        let index: Value = serde_json::from_slice(&fs_err::read(layout.join("index.json"))?)?;
        let mut document = index;
        while let Some(next) = document["manifests"][0]["digest"].as_str() {
            document = serde_json::from_slice(&fs_err::read(blob(&layout, next))?)?;
        }
        for layer in document["layers"].as_array().context("no layers")? {
            let digest = layer["digest"].as_str().context("no digest")?;
            let mut tar = Command::new("tar");
            tar.args(["--zstd", "-xpf"]).arg(blob(&layout, digest)).arg("-C").arg(root.path());
            run(&mut tar)?;
        }
        Ok(root)
    }
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// depmod and systemd-hwdb of the image itself, in its own root: the same bytes, but for the list of symbols, which theirs
/// writes in the order of a hash.
fn indexes(_: &World) -> Result<()> {
    let root = Os::get()?.root()?;
    let modules = root.path().join("usr/lib/modules");
    let kernel = fs_err::read_dir(&modules)?.next().context("no kernel")??.path();
    let release = kernel.file_name().context("no release")?.to_owned();
    let names: BTreeSet<PathBuf> = fs_err::read_dir(&kernel)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("modules.")))
        .collect();
    ensure!(names.len() > 12, "{names:?}");
    let ours: Vec<(PathBuf, Vec<u8>)> =
        names.into_iter().map(|path| Ok((path.clone(), fs_err::read(path)?))).collect::<Result<_>>()?;
    run(Command::new("chroot").arg(root.path()).arg("depmod").arg(&release))?;
    for (path, ours) in ours {
        let theirs = fs_err::read(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "modules.symbols" {
            let sorted = |bytes: &[u8]| {
                let mut lines: Vec<Vec<u8>> =
                    bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                lines.sort();
                lines
            };
            ensure!(sorted(&ours) == sorted(&theirs), "{name} differs");
        } else {
            ensure!(ours == theirs, "{name} differs");
        }
    }
    let database = root.path().join("usr/lib/udev/hwdb.bin");
    let ours = fs_err::read(&database)?;
    fs_err::remove_file(&database)?;
    // It writes by way of /proc/self/fd.
    let script = "mount -t proc proc \"$1/proc\" && exec chroot \"$1\" systemd-hwdb --usr update";
    run(Command::new("unshare").args(["--mount", "sh", "-c", script, "sh"]).arg(root.path()))?;
    ensure!(ours == fs_err::read(&database)?, "hwdb.bin differs");
    Ok(())
}

fn lint(_: &World) -> Result<()> {
    let os = Os::get()?;
    let layout = format!("oci:{}", os.path("os").display());
    for subject in ["os", &layout] {
        let report: Value = serde_json::from_str(&stdout(
            &mut os.calypte(&["os", "lint", subject, "--arch", "amd64", "--format", "json"]),
        )?)?;
        ensure!(report["passes"] == true, "{report:#}");
        let broken: Vec<&Value> = report["outcomes"]
            .as_array()
            .context("no outcomes")?
            .iter()
            .filter(|outcome| outcome["problems"] != serde_json::json!([]))
            .collect();
        ensure!(broken.is_empty(), "{broken:#?}");
    }
    // A rule that does not hold: an image of the catalog that is none of a host.
    run(&mut os.calypte(&["lock", "static"]))?;
    let output = os.calypte(&["os", "lint", "static"]).output()?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("kernel (fatal)") && text.contains("bootc-label (fatal)"), "{text}");
    let error = fails(&mut os.calypte(&["os", "lint", "static", "--skip", "kernels"]), 2)?;
    ensure!(error.contains("no rule is called `kernels`"), "{error}");
    Ok(())
}

/// Out of another store, which has nothing but the packages.
fn twice(_: &World) -> Result<()> {
    let os = Os::get()?;
    let other = os.path("other");
    fs_err::create_dir_all(&other)?;
    run(Command::new("cp").arg("-r").arg(os.path("store/blobs")).arg(&other))?;
    let mut command = Command::new(World::program());
    command.args(["--quiet", "--offline", "--catalog"]).arg(os.path("catalog")).arg("--store").arg(&other);
    command.args(["--jobs", "1", "build", "os", "--arch", "amd64", "--format", "json"]);
    command.env("CALYPTE_COMPRESSION", "zstd:3").env("TZ", "Pacific/Kiritimati");
    let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
    ensure!(report["digest"] == os.digest.as_str(), "{} instead of {}", report["digest"], os.digest);
    Ok(())
}

/// systemd as the first process, up to the login prompt.
fn container(_: &World) -> Result<()> {
    let root = Os::get()?.root()?;
    let script = "mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec systemd-nspawn \
                  --register=no --keep-unit -D \"$1\" --volatile=overlay --private-network --console=read-only --boot";
    let log = root.path().with_extension("log");
    let mut child = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(root.path())
        .stdin(Stdio::null())
        .stdout(fs_err::File::create(&log)?.into_file())
        .stderr(Stdio::null())
        .spawn()?;
    let started = Instant::now();
    let mut text = String::new();
    while started.elapsed() < Duration::from_secs(120) && !text.contains("login:") {
        std::thread::sleep(Duration::from_millis(200));
        text = String::from_utf8_lossy(&fs_err::read(&log)?).into_owned();
    }
    // It asks the system inside to stop, and ends with it.
    run(Command::new("kill").arg(child.id().to_string()))?;
    child.wait()?;
    fs_err::remove_file(&log)?;
    ensure!(text.contains("login:"), "no login prompt:\n{text}");
    ensure!(text.contains("Reached target") && !text.contains("FAILED"), "a unit failed:\n{text}");
    Ok(())
}

fn disk(_: &World) -> Result<()> {
    let os = Os::get()?;
    let make = |name: &str, form: &str| -> Result<(PathBuf, String)> {
        let file = os.path(name);
        let output = file.display().to_string();
        let options = ["disk", "os", "--arch", "amd64", "--as", form, "--output", &output];
        let mut command = os.calypte(&["--format", "json"]);
        command.args(options);
        let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
        Ok((file, report["digest"].as_str().context("no digest")?.to_owned()))
    };
    let (raw, first) = make("one.raw", "raw")?;
    let table = stdout(Command::new("sfdisk").arg("--json").arg(&raw))?;
    ensure!(
        table.contains("C12A7328-F81F-11D2-BA4B-00A0C93EC93B") && table.contains("\"name\": \"root\""),
        "{table}"
    );
    let verified = stdout(Command::new("sfdisk").arg("--verify").arg(&raw))?;
    ensure!(verified.contains("No errors detected"), "{verified}");
    // The image lay in another directory then, and nothing of that is on the disk.
    let (again, second) = make("two.raw", "raw")?;
    ensure!(first == second, "{first} and {second}");
    fs_err::remove_file(again)?;
    let (packed, _) = make("one.qcow2", "qcow2")?;
    run(Command::new("qemu-img").arg("check").arg(&packed))?;
    run(Command::new("qemu-img").arg("compare").arg(&raw).arg(&packed))?;
    fs_err::remove_file(raw)?;
    fs_err::remove_file(packed)?;
    Ok(())
}
