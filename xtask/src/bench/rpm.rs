//! `bench rpm`: locking and building out of an RPM repository of Rawhide's size, beside `dnf --installroot` on the same
//! repository and the same machine.
//!
//! Both are asked for the same names: those that the image's definition gives. The image is one that holds a shell and
//! tools, so that both also choose about the same packages; dnf adds what only scripts want, which we assume. dnf runs no
//! scripts and no triggers here, as we never do, and checks no signatures, which we do when locking. Both have the
//! packages on the disk already; dnf reads the repository from the disk, ours comes over a server on the loopback.
//!
//! `calypte lock` does more than `dnf install --downloadonly`: it locks both variants of the family. What comes
//! nearest to dnf's choosing is the index out of the store and the choosing for the one image.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
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
    let ours = Ours::new(fixture, &server, scratch.path())?;
    let (request, chosen, mut figures) = ours.measure()?;
    let dnf = Dnf { scratch: scratch.path(), repository: &root };
    let (installed, theirs) = dnf.measure(&request)?;
    figures.extend(theirs);

    println!(
        "{} packages in the repository; asked for {}; {IMAGE}: {chosen} packages, dnf: {installed}",
        rawhide::PACKAGES,
        request.join(", ")
    );
    println!("{:44} {:>9} {:>9} {:>10}", "", "CPU s", "wall s", "peak MB");
    for (_, name, cost) in &figures {
        // Of a part of a run, no memory is known.
        let memory = if cost.memory.is_nan() { String::new() } else { format!("{:.0}", cost.memory) };
        println!("{name:44} {:9.4} {:9.4} {memory:>10}", cost.cpu, cost.wall);
    }
    let cpu =
        |key: &str| figures.iter().find(|(known, ..)| *known == key).map_or(f64::NAN, |(.., cost)| cost.cpu);
    println!(
        "dnf / calypte, CPU: metadata {:.1}, choosing {:.1} (all of lock: {:.1}), cold build {:.1}, warm build {:.1}",
        cpu("dnf_makecache") / cpu("lock_first"),
        cpu("dnf_resolve") / (cpu("index_load") + cpu("resolve")),
        cpu("dnf_resolve") / cpu("lock_cached"),
        cpu("dnf_install") / cpu("build_cold"),
        cpu("dnf_install") / cpu("build_warm"),
    );
    let mut summary = json!({
        "packages": rawhide::PACKAGES, "requested": request.len(), "chosen": chosen, "dnf_chosen": installed,
    });
    for (key, _, cost) in figures {
        summary[key] = json!({"cpu": cost.cpu, "wall": cost.wall, "memory_mb": cost.memory});
    }
    println!("{summary}");
    Ok(())
}

/// A measurement: its key in the summary, what was done, the cost.
type Figure = (&'static str, &'static str, Cost);

/// The program over a catalog and a store of its own.
struct Ours {
    catalog: PathBuf,
    store: PathBuf,
    output: String,
}

impl Ours {
    fn new(fixture: &Fixture, server: &Server, scratch: &Path) -> Result<Self> {
        let catalog = scratch.join("catalog");
        run::succeed(run::command("cp", &["-r"]).arg(run::workspace().join("catalog")).arg(&catalog))?;
        fixture.adapt_catalog(server, &catalog)?;
        // Only one architecture is made up.
        let universe = catalog.join("universes").join(format!("{UNIVERSE}.yaml"));
        let text = fs_err::read_to_string(&universe)?.replace("[amd64, arm64]", "[amd64]");
        fs_err::write(&universe, text)?;
        let output = format!("oci:{}", scratch.join("image").display());
        Ok(Self { catalog, store: scratch.join("store"), output })
    }

    fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command =
            run::command(run::workspace().join("target/release/calypte"), &["--quiet", "--catalog"]);
        command.arg(&self.catalog).arg("--store").arg(&self.store);
        command.args(arguments).args(["--universe", UNIVERSE]);
        command
    }

    /// What loading the kept index costs, and what choosing the packages of one image does.
    fn resolve(&self, request: &[String]) -> Result<(Cost, Cost)> {
        let example =
            ["run", "--release", "--quiet", "--package", "calypte-resolve", "--example", "measure", "--"];
        let mut command = run::cargo(&example);
        command.arg(self.catalog.join("universes").join(format!("{UNIVERSE}.yaml")));
        command.arg(self.catalog.join("keys")).arg(&self.store);
        command.arg(self.catalog.join("universes/fedora/assumed.yaml")).args(request);
        let report: Value = serde_json::from_str(&run::output(&mut command)?)?;
        let cost = |key: &str| {
            let seconds = |kind: &str| report[key][kind].as_f64().unwrap_or(f64::NAN);
            Cost { cpu: seconds("cpu"), wall: seconds("wall"), memory: f64::NAN }
        };
        Ok((cost("index"), cost("resolve")))
    }

    /// The names that the image's definition asks for and how many packages it gets, after a lock.
    fn request(&self) -> Result<(Vec<String>, usize)> {
        let shown = run::output(&mut self.calypte(&["show", IMAGE, "--arch", "amd64", "--format", "json"]))?;
        let shown: Value = serde_json::from_str(&shown)?;
        let packages = shown["packages"].as_array().context("no packages")?;
        let asked = packages.iter().filter(|package| {
            package["by"].as_array().is_some_and(|by| by.iter().any(|by| by == "definition"))
        });
        let names: Vec<String> =
            asked.filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect();
        ensure!(!names.is_empty(), "the definition of {IMAGE} asks for nothing");
        Ok((names, packages.len()))
    }

    /// What the image asks for, how many packages that gives, and what each step costs.
    fn measure(&self) -> Result<(Vec<String>, usize, Vec<Figure>)> {
        let lock = self.calypte(&["lock", FAMILY]);
        let first = measure(&lock)?;
        let again = best(RUNS, &lock, || Ok(()))?;
        let (request, packages) = self.request()?;
        let (load, resolve) = self.resolve(&request)?;
        let build = self.calypte(&[
            "build",
            IMAGE,
            "--arch",
            "amd64",
            "--output",
            &self.output,
            "--compression",
            "zstd:3",
        ]);
        let cold = best(RUNS, &build, || forget(&self.store))?;
        let warm = best(RUNS, &build, || Ok(()))?;
        Ok((
            request,
            packages,
            vec![
                ("lock_first", "calypte lock, both variants, nothing cached", first),
                ("lock_cached", "calypte lock, both variants, index cached", again),
                ("index_load", "  of that: index out of the store", load),
                ("resolve", "  of that: choosing for the one image", resolve),
                ("build_cold", "calypte build, packages on the disk", cold),
                ("build_warm", "calypte build, warm", warm),
            ],
        ))
    }
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
    /// How many packages dnf installs for these names, and what each step costs.
    fn measure(&self, names: &[String]) -> Result<(usize, Vec<Figure>)> {
        fs_err::create_dir_all(self.scratch.join("dnf/log"))?;
        fs_err::write(self.scratch.join("dnf/dnf.conf"), "[main]\n")?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let first = measure(&self.command(&["makecache"]))?;
        let resolve =
            self.command(&[&["--cacheonly", "install", "--downloadonly"], names.as_slice()].concat());
        let resolved = best(RUNS, &resolve, || self.forget_root())?;
        let install = self.command(&[&["--cacheonly", "install"], names.as_slice()].concat());
        let installed = best(RUNS, &install, || self.forget_root())?;
        Ok((
            self.count()?,
            vec![
                ("dnf_makecache", "dnf makecache, nothing cached", first),
                ("dnf_resolve", "dnf install --downloadonly, cached", resolved),
                ("dnf_install", "dnf install, cached", installed),
            ],
        ))
    }

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
