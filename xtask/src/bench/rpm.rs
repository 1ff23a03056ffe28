//! `bench rpm`: locking and building out of an RPM repository of Rawhide's size, beside `dnf --installroot` on the same
//! repository and the same machine.
//!
//! The image is one that holds a shell and tools, so that both choose about the same packages. dnf runs no scripts and
//! no triggers here, as we never do, and checks no signatures, which we do when locking. Both have the packages on the
//! disk already; dnf reads the repository from the disk, ours comes over a server on the loopback.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use calypte_rpm_universe::{Behaviour, Fixture, Server};
use serde_json::{Value, json};

use super::measure::{Cost, best, measure};
use super::rawhide;
use crate::run;

const FAMILY: &str = "nginx";

/// What is built: with the tools that dnf cannot do without.
const IMAGE: &str = "nginx-builder";

const UNIVERSE: &str = "fedora-rawhide";

/// Runs of each measurement; the best counts.
const RUNS: usize = 3;

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let fixture = Fixture::get().map_err(|skip| anyhow!("no RPM fixture: {skip}"))?;
    let root = rawhide::make(&fixture.repository("x86_64"))?;
    let server = Server::start(root.clone(), Behaviour::Honest)?;
    let scratch = tempfile::tempdir()?;
    let catalog = scratch.path().join("catalog");
    run::succeed(run::command("cp", &["-r"]).arg(run::workspace().join("catalog")).arg(&catalog))?;
    fixture.adapt_catalog(&server, &catalog)?;
    // Only one architecture is made up.
    let universe = catalog.join("universes").join(format!("{UNIVERSE}.yaml"));
    let text = fs_err::read_to_string(&universe)?.replace("[amd64, arm64]", "[amd64]");
    fs_err::write(&universe, text)?;

    let store = scratch.path().join("store");
    let calypte = |arguments: &[&str]| {
        let mut command =
            run::command(run::workspace().join("target/release/calypte"), &["--quiet", "--catalog"]);
        command.arg(&catalog).arg("--store").arg(&store).args(arguments).args(["--universe", UNIVERSE]);
        command
    };
    let lock = calypte(&["lock", FAMILY]);
    let first = measure(&lock)?;
    let lock_again = best(RUNS, &lock, || Ok(()))?;
    let output = format!("oci:{}", scratch.path().join("image").display());
    let build = calypte(&["build", IMAGE, "--arch", "amd64", "--output", &output]);
    let cold = best(RUNS, &build, || forget(&store))?;
    let warm = best(RUNS, &build, || Ok(()))?;
    let shown = run::output(&mut calypte(&["show", IMAGE, "--arch", "amd64", "--format", "json"]))?;
    let shown: Value = serde_json::from_str(&shown)?;
    let packages = shown["packages"].as_array().context("no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();

    let dnf = Dnf { scratch: scratch.path(), repository: &root };
    fs_err::create_dir_all(scratch.path().join("dnf/log"))?;
    fs_err::write(scratch.path().join("dnf/dnf.conf"), "[main]\n")?;
    let dnf_first = measure(&dnf.command(&["makecache"]))?;
    let resolve = dnf.command(&[&["--cacheonly", "install", "--downloadonly"], names.as_slice()].concat());
    let dnf_resolve = best(RUNS, &resolve, || dnf.forget_root())?;
    let install = dnf.command(&[&["--cacheonly", "install"], names.as_slice()].concat());
    let dnf_install = best(RUNS, &install, || dnf.forget_root())?;
    let installed = dnf.count()?;

    println!(
        "{} packages in the repository; {IMAGE}: {} packages, dnf: {installed}",
        rawhide::PACKAGES,
        names.len()
    );
    println!("{:44} {:>9} {:>9} {:>10}", "", "CPU s", "wall s", "peak MB");
    for (name, cost) in [
        ("calypte lock, nothing cached", first),
        ("calypte lock, index cached", lock_again),
        ("dnf makecache, nothing cached", dnf_first),
        ("dnf install --downloadonly, cached", dnf_resolve),
        ("calypte build, packages on the disk", cold),
        ("calypte build, warm", warm),
        ("dnf install, cached", dnf_install),
    ] {
        row(name, cost);
    }
    println!(
        "dnf / calypte: metadata {:.1}, resolve {:.1}, build {:.1}, warm build {:.1}",
        dnf_first.cpu / first.cpu,
        dnf_resolve.cpu / lock_again.cpu,
        dnf_install.cpu / cold.cpu,
        dnf_install.cpu / warm.cpu
    );
    let figures = |cost: Cost| json!({"cpu": cost.cpu, "wall": cost.wall, "memory_mb": cost.memory});
    println!(
        "{}",
        json!({
            "packages": rawhide::PACKAGES, "chosen": names.len(), "dnf_chosen": installed,
            "lock_first": figures(first), "lock_cached": figures(lock_again), "build_cold": figures(cold),
            "build_warm": figures(warm), "dnf_makecache": figures(dnf_first), "dnf_resolve": figures(dnf_resolve),
            "dnf_install": figures(dnf_install),
        })
    );
    Ok(())
}

/// Removes from a store everything but the downloaded files.
fn forget(store: &Path) -> Result<()> {
    for directory in ["packs", "cache"] {
        let directory = store.join(directory);
        if directory.exists() {
            fs_err::remove_dir_all(&directory)?;
        }
    }
    Ok(())
}

/// dnf with everything in a directory of its own.
struct Dnf<'a> {
    scratch: &'a Path,
    repository: &'a Path,
}

impl Dnf<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let place = |part: &str| self.scratch.join("dnf").join(part).display().to_string();
        let repository = self.repository.join("current/development/rawhide/Everything/x86_64/os");
        let mut command =
            run::command("dnf", &["--quiet", "--assumeyes", "--noplugins", "--nogpgcheck", "--repo=fixture"]);
        command.args(["--releasever=44", "--forcearch=x86_64"]);
        command.arg(format!("--config={}", place("dnf.conf")));
        command.arg(format!("--installroot={}", place("root")));
        command.arg(format!("--repofrompath=fixture,file://{}", repository.display()));
        for (option, value) in [
            ("cachedir", place("cache")),
            ("logdir", place("log")),
            ("persistdir", place("persist")),
            ("install_weak_deps", "False".to_owned()),
            ("metadata_expire", "-1".to_owned()),
            ("keepcache", "True".to_owned()),
            ("tsflags", "noscripts,notriggers".to_owned()),
        ] {
            command.arg(format!("--setopt={option}={value}"));
        }
        command.args(arguments);
        command
    }

    fn forget_root(&self) -> Result<()> {
        let root = self.scratch.join("dnf/root");
        if root.exists() {
            fs_err::remove_dir_all(root)?;
        }
        Ok(())
    }

    /// How many packages are installed.
    fn count(&self) -> Result<usize> {
        let mut command = run::command("rpm", &["-qa", "--root"]);
        Ok(run::output(command.arg(self.scratch.join("dnf/root")))?.lines().count())
    }
}

fn row(name: &str, cost: Cost) {
    println!("{name:44} {:9.2} {:9.2} {:10.0}", cost.cpu, cost.wall, cost.memory);
}
