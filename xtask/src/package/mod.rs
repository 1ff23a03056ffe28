//! `cargo xtask package`: the programs of hosts as packages of both formats and for both architectures, in repositories
//! that `--overlay target/packages` takes (and apt and dnf as well). No packaging tool is needed, and the same sources give
//! the same bytes.

mod contents;
mod deb;
mod deb_repository;
mod rpm;
mod rpm_repository;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use self::contents::Package;
use crate::cross::{self, Target};
use crate::run;

/// What every package of this workspace says of itself.
const MAINTAINER: &str = "The Calypte maintainers <maintainers@calypte.example>";
const HOMEPAGE: &str = "https://github.com/calypte/calypte";
const LICENCE: &str = "MIT OR Apache-2.0";
const RELEASE: &str = "1";

/// The time of what tests make packages of.
const TIME_OF_TESTS: i64 = 1_790_000_000;

/// Makes .deb and .rpm packages of the programs of hosts, and the repositories that hold them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// An architecture, as Debian has it; all of them without it
    #[arg(long)]
    pub arch: Option<String>,
    /// Where to: `deb/` and `rpm/` below it are made anew
    #[arg(long, value_name = "DIR", default_value = "target/packages")]
    pub output: PathBuf,
    /// Cargo's profile
    #[arg(long, default_value = "small")]
    pub profile: String,
    /// The version of the packages, in place of the workspace's
    #[arg(long)]
    pub version: Option<String>,
}

/// A package as a file.
#[derive(Debug)]
struct Made {
    /// The file's name.
    file: String,
    bytes: Vec<u8>,
    /// What it was made of.
    package: Package,
    target: Target,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let targets = match &arguments.arch {
        Some(architecture) => vec![cross::target(architecture)?],
        None => cross::TARGETS.to_vec(),
    };
    let version = arguments.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    write(&run::workspace().join(&arguments.output), &targets, &arguments.profile, version, time()?)
}

/// The packages that end-to-end cases make hosts of, in a place of their own.
///
/// # Errors
/// When a program does not compile, or cannot for this architecture.
pub fn for_tests(architectures: &[&str]) -> Result<()> {
    let targets = architectures.iter().map(|name| cross::target(name)).collect::<Result<Vec<_>>>()?;
    let output = run::workspace().join("target/tools/packages");
    // One time whatever was committed last: what did not change is the same package.
    write(&output, &targets, "small", env!("CARGO_PKG_VERSION"), TIME_OF_TESTS)
}

fn write(output: &Path, targets: &[Target], profile: &str, version: &str, time: i64) -> Result<()> {
    let (mut debs, mut rpms) = (Vec::new(), Vec::new());
    for target in targets {
        for package in contents::packages(*target, profile, version, time)? {
            debs.push(deb::make(package.clone(), *target)?);
            rpms.push(rpm::make(package, *target)?);
        }
    }
    for directory in ["deb", "rpm"] {
        let directory = output.join(directory);
        if directory.exists() {
            fs_err::remove_dir_all(&directory)?;
        }
    }
    deb_repository::write(&output.join("deb"), &debs, targets, time)?;
    rpm_repository::write(&output.join("rpm"), &rpms, targets, time)?;
    for made in debs.iter().chain(&rpms) {
        println!("{} {} bytes", made.file, made.bytes.len());
    }
    Ok(())
}

/// The time of everything in the packages: that of the sources' last change.
fn time() -> Result<i64> {
    if let Some(given) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let given = given.to_string_lossy().into_owned();
        return given.parse().with_context(|| format!("SOURCE_DATE_EPOCH `{given}` is no number of seconds"));
    }
    let commit = run::output(&mut run::command("git", &["log", "-1", "--format=%ct"]))?;
    commit.trim().parse().context("git tells no time of the last commit")
}
