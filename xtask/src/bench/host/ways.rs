//! How each program installs the first state and upgrades to the second one, up to where the next start would be the new
//! system: objects, image or checkout, boot files, `/etc`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::disk::Disk;
use crate::bench::os::Os;
use crate::run;

/// A program, and where its images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// calypte-host, from a layout.
    Host,
    /// calypte-host, from a registry.
    HostRegistry,
    /// calypte-host, from a layout with one layer.
    HostOneLayer,
    /// cfsctl, from a layout.
    Cfsctl,
    /// cfsctl, from a layout with one layer.
    CfsctlOneLayer,
    /// ostree, from a repository on the same machine.
    Ostree,
    /// ostree, from a web server.
    OstreeWeb,
}

/// All, in the order in which they take turns.
pub const WAYS: [Way; 7] = [
    Way::Host,
    Way::Cfsctl,
    Way::HostOneLayer,
    Way::CfsctlOneLayer,
    Way::Ostree,
    Way::HostRegistry,
    Way::OstreeWeb,
];

/// Which of the two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    First,
    Second,
}

/// Where the images are.
pub struct Sources {
    /// Layouts of both states, signed.
    pub layouts: [PathBuf; 2],
    /// The same, packed as one layer.
    pub one_layer: [PathBuf; 2],
    /// ostree's repository, and its revisions.
    pub ostree: PathBuf,
    /// `127.0.0.1:PORT` of the registry.
    pub registry: String,
    /// The same of the web server.
    pub web: String,
    /// The public key that signed them.
    pub key: PathBuf,
    /// cfsctl.
    pub cfsctl: PathBuf,
}

impl Way {
    /// What it is called in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "calypte-host, layout",
            Self::HostRegistry => "calypte-host, registry",
            Self::HostOneLayer => "calypte-host, layout of one layer",
            Self::Cfsctl => "cfsctl, layout",
            Self::CfsctlOneLayer => "cfsctl, layout of one layer",
            Self::Ostree => "ostree, local repository",
            Self::OstreeWeb => "ostree, web server",
        }
    }

    /// What it is called in the JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::HostRegistry => "host_registry",
            Self::HostOneLayer => "host_one_layer",
            Self::Cfsctl => "cfsctl",
            Self::CfsctlOneLayer => "cfsctl_one_layer",
            Self::Ostree => "ostree",
            Self::OstreeWeb => "ostree_web",
        }
    }

    /// What is done once before the first state comes, and not measured.
    ///
    /// # Errors
    /// When it fails.
    pub fn prepare(self, sources: &Sources, disk: &Disk) -> Result<()> {
        match self {
            Self::Host | Self::HostRegistry | Self::HostOneLayer => {
                for directory in ["root", "esp", "config"] {
                    fs_err::create_dir(disk.path(directory))?;
                }
            }
            Self::Cfsctl | Self::CfsctlOneLayer => {
                fs_err::create_dir(disk.path("boot"))?;
                let mut init = Command::new(&sources.cfsctl);
                run::output(init.args(["init", "--insecure"]).arg(disk.path("composefs")))?;
            }
            Self::Ostree | Self::OstreeWeb => {
                let sysroot = disk.path("root");
                fs_err::create_dir(&sysroot)?;
                run::output(Command::new("ostree").args(["admin", "init-fs", "--modern"]).arg(&sysroot))?;
                let sysroot = format!("--sysroot={}", sysroot.display());
                run::output(Command::new("ostree").args(["admin", "os-init", &sysroot, "os"]))?;
                let repository = format!("--repo={}", disk.path("root/ostree/repo").display());
                let address = format!("http://{}", sources.web);
                let add = [&repository, "remote", "add", "--no-gpg-verify", "web", &address];
                run::output(Command::new("ostree").args(add))?;
            }
        }
        Ok(())
    }

    /// The commands that bring a state onto the disk.
    ///
    /// # Errors
    /// When the state before cannot be found.
    pub fn commands(self, sources: &Sources, disk: &Disk, state: State) -> Result<Vec<Command>> {
        let number = usize::from(state == State::Second);
        let layouts = match self {
            Self::HostOneLayer | Self::CfsctlOneLayer => &sources.one_layer,
            _ => &sources.layouts,
        };
        let layout = format!("oci:{}", layouts[number].display());
        Ok(match self {
            Self::Host | Self::HostOneLayer => host(sources, disk, state, &layout)?,
            Self::HostRegistry => {
                let name = ["one", "two"][number];
                host(sources, disk, state, &format!("http://{}/{name}/os:latest", sources.registry))?
            }
            Self::Cfsctl | Self::CfsctlOneLayer => cfsctl(sources, disk, &layout),
            Self::Ostree | Self::OstreeWeb => ostree(self, sources, disk, number)?,
        })
    }
}

/// Signatures are checked; the switch itself, which a shutdown makes, is counted too.
fn host(sources: &Sources, disk: &Disk, state: State, image: &str) -> Result<Vec<Command>> {
    let command = |arguments: &[&str]| {
        let mut command = Command::new(Os::host_program());
        command.args(["--quiet", "--config-root"]).arg(disk.path("config")).arg("--key").arg(&sources.key);
        command.arg("--sysroot").arg(disk.path("root")).arg("--esp").arg(disk.path("esp")).args(arguments);
        command
    };
    if state == State::First {
        let root = disk.path("root").display().to_string();
        return Ok(vec![command(&["install", "to-filesystem", &root, "--source", image])]);
    }
    let deployed =
        fs_err::read_dir(disk.path("root/state/deploy"))?.next().context("nothing is installed")??;
    let running = deployed.file_name().to_string_lossy().into_owned();
    Ok(vec![
        command(&["--running", &running, "switch", image]),
        command(&["--running", &running, "finalize"]),
    ])
}

/// `pull`, and `prepare-boot`, which makes and commits the image, writes the unified kernel image and makes the directories
/// of `/etc` and `/var`. Neither looks whether the layers' bytes are those of their digests.
fn cfsctl(sources: &Sources, disk: &Disk, layout: &str) -> Vec<Command> {
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&sources.cfsctl);
        command.arg("--repo").arg(disk.path("composefs")).args(arguments);
        command
    };
    let mut prepare = command(&["oci", "prepare-boot", "os", "--bootdir"]);
    prepare.arg(disk.path("boot"));
    vec![command(&["oci", "pull", layout, "os"]), prepare]
}

fn ostree(way: Way, sources: &Sources, disk: &Disk, number: usize) -> Result<Vec<Command>> {
    let option = format!("--repo={}", sources.ostree.display());
    let parent = if number == 0 { "os^" } else { "os" };
    let revision = run::output(Command::new("ostree").args([&option, "rev-parse", parent]))?;
    let revision = revision.trim();
    let mut pull = Command::new("ostree");
    pull.arg(format!("--repo={}", disk.path("root/ostree/repo").display()));
    if way == Way::Ostree {
        pull.arg("pull-local").arg(&sources.ostree).arg(revision);
    } else {
        pull.args(["pull", "web", revision]);
    }
    let mut deploy = Command::new("ostree");
    deploy.args(["admin", "deploy", "--os=os", "--karg=rw"]);
    deploy.arg(format!("--sysroot={}", disk.path("root").display())).arg(revision);
    Ok(vec![pull, deploy])
}

/// cfsctl of the version that the workspace uses composefs in, built once below `target/tools`.
///
/// # Errors
/// When it does not build.
pub fn cfsctl_program() -> Result<PathBuf> {
    let lock = fs_err::read_to_string(run::workspace().join("Cargo.lock"))?;
    let version = version(&lock, "composefs").context("the workspace locks no composefs")?;
    let directory = run::workspace().join("target/tools").join(format!("cfsctl-{version}"));
    let program = directory.join("bin/cfsctl");
    if !program.is_file() {
        let exact = format!("={version}");
        let mut cargo = run::cargo(&["install", "--quiet", "--locked", "composefs-ctl", "--version", &exact]);
        // Without what mounts and containers-storage need of the system.
        cargo.args(["--no-default-features", "--features", "pre-6.15,oci", "--no-track", "--root"]);
        // Not in the workspace: its replacement of OpenSSL is not the peer's.
        run::succeed(cargo.arg(&directory).current_dir(Path::new("/")))?;
    }
    Ok(program)
}

fn version(lock: &str, package: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(rest.split('"').next()?.to_owned())
}
