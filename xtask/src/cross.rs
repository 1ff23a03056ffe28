//! The programs of a host, built statically for each of its architectures: what packages and initramfs hold.
//!
//! For the machine's own architecture cargo does it alone. For another one, the compiler must bring that one's standard
//! library, and the one that is at hand here may not be able to fetch it: Debian's `rustc-web` has its standard library
//! for every architecture as a package, which is unpacked below `target/cross` and is all that a static program needs;
//! nothing foreign is installed. C code is compiled by Debian's cross compiler.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::run;

/// An architecture that hosts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// As Debian has it.
    pub architecture: &'static str,
    /// As Rust's `std::env::consts::ARCH` has it.
    pub machine: &'static str,
    triple: &'static str,
    /// C compiler and linker, of Debian.
    compiler: &'static str,
}

/// The architectures of hosts.
pub const TARGETS: &[Target] = &[
    Target {
        architecture: "amd64",
        machine: "x86_64",
        triple: "x86_64-unknown-linux-gnu",
        compiler: "x86_64-linux-gnu-gcc",
    },
    Target {
        architecture: "arm64",
        machine: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        compiler: "aarch64-linux-gnu-gcc",
    },
];

/// Debian's compiler of Rust, and the package of its standard library.
const COMPILER: &str = "/usr/bin/rustc";
const COMPILER_PACKAGE: &str = "rustc-web";
const LIBRARY_PACKAGE: &str = "libstd-rust-web-dev";

/// The architecture of this name.
///
/// # Errors
/// When hosts have no such architecture.
pub fn target(architecture: &str) -> Result<Target> {
    let found = TARGETS.iter().find(|target| target.architecture == architecture);
    found.copied().with_context(|| format!("hosts are not built for {architecture}"))
}

impl Target {
    /// Builds a program (a package of the workspace with a program of the same name) statically, and gives its file.
    ///
    /// # Errors
    /// When it does not compile, or what it takes for a foreign architecture is not there.
    pub fn build(self, package: &str, profile: &str) -> Result<PathBuf> {
        let directory = run::workspace().join("target/cross");
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        // The same bytes wherever the sources lie.
        flags.push(format!("--remap-path-prefix={}=calypte", run::workspace().display()));
        flags.extend(cargo_home().map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
        let mut cargo = run::cargo(&["build", "--locked", "--package", package, "--profile", profile]);
        cargo.arg("--target").arg(self.triple).arg("--target-dir").arg(&directory);
        if self.machine != std::env::consts::ARCH {
            let sysroot = self.sysroot(&directory)?;
            flags.push(format!("--sysroot={}", sysroot.display()));
            flags.push(format!("-Clinker={}", self.compiler));
            cargo.env("RUSTC", COMPILER);
        }
        // Of the target alone: programs that run while it is built are ordinary ones.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo.env(format!("CARGO_TARGET_{}_RUSTFLAGS", variable(self.triple)), flags.join(" "));
        run::succeed(&mut cargo)?;
        Ok(directory.join(self.triple).join(profile).join(package))
    }

    /// The standard library of a foreign architecture, as a sysroot.
    fn sysroot(self, directory: &Path) -> Result<PathBuf> {
        if !Path::new(COMPILER).is_file() || !run::is_installed(self.compiler) {
            bail!(
                "building for {} takes {COMPILER_PACKAGE} and {}: `cargo xtask test` installs them where it may",
                self.architecture,
                self.compiler
            );
        }
        let version = run::output(&mut run::command(COMPILER, &["--version"]))?;
        let version = version.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let place = directory.join(format!("sysroot-{}-{version}", self.architecture));
        if !place.is_dir() {
            let scratch = tempfile::tempdir_in(make(directory)?)?;
            let package = self.download(scratch.path())?;
            let unpacked = scratch.path().join("sysroot");
            run::succeed(run::command("dpkg-deb", &["--extract"]).arg(&package).arg(&unpacked))?;
            fs_err::rename(&unpacked, &place)?;
        }
        Ok(place.join("usr"))
    }

    /// The package of the standard library, by lists of its own: the machine's need not know the architecture.
    fn download(self, scratch: &Path) -> Result<PathBuf> {
        let apt = || {
            let mut apt = run::command("apt-get", &["-q"]);
            // The machine's own stays the first one.
            for architecture in TARGETS.iter().map(|target| target.architecture) {
                apt.arg("-o").arg(format!("APT::Architectures::={architecture}"));
            }
            apt.arg("-o").arg(format!("Dir::State::lists={}", scratch.join("lists").display()));
            apt.arg("-o").arg(format!("Dir::Cache={}", scratch.join("cache").display()));
            apt.args(["-o", "APT::Sandbox::User=root"]).current_dir(scratch);
            apt
        };
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs_err::create_dir_all(scratch.join(directory))?;
        }
        run::succeed(apt().arg("update"))?;
        run::succeed(apt().arg("download").arg(format!("{LIBRARY_PACKAGE}:{}", self.architecture)))?;
        let found = fs_err::read_dir(scratch)?.filter_map(Result::ok).map(|entry| entry.path());
        let found = found.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
        found.with_context(|| format!("apt-get downloaded no {LIBRARY_PACKAGE}"))
    }
}

fn make(directory: &Path) -> Result<&Path> {
    fs_err::create_dir_all(directory)?;
    Ok(directory)
}

/// Where cargo keeps the sources of others.
fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

fn variable(triple: &str) -> String {
    triple.to_uppercase().replace('-', "_")
}

/// Builds the programs of a host for its architectures, statically, and says where they are.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Packages of the workspace
    #[arg(default_values = ["calypte-init"])]
    pub packages: Vec<String>,
    /// An architecture, as Debian has it; all of them without it
    #[arg(long)]
    pub arch: Option<String>,
    /// Cargo's profile
    #[arg(long, default_value = "small")]
    pub profile: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let chosen = match &arguments.arch {
        Some(architecture) => vec![target(architecture)?],
        None => TARGETS.to_vec(),
    };
    for target in chosen {
        for package in &arguments.packages {
            let program = target.build(package, &arguments.profile)?;
            let size = fs_err::metadata(&program)?.len();
            println!("{} {size} bytes", program.display());
        }
    }
    Ok(())
}
