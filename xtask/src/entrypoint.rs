//! `cargo xtask entrypoint`: builds the program that images start with, out of `crates/entrypoint`, for each
//! architecture, with the compiler of the catalog's own image `rust`. The outcome is committed, and the same inputs give
//! the same bytes: the sources, this file and the lock of `rust` decide them, and nothing of the machine.
//!
//! Nothing is fetched while it compiles: rustc alone reads the sources, which use the standard library and nothing else.
//! For a foreign architecture the machine's own rustc runs inside the root of that architecture's image, so that only the
//! linker is emulated.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run;

/// The image of the catalog that has the compiler.
const IMAGE: &str = "rust";

/// Where the programs are kept.
const PROGRAMS: &str = "catalog/programs/entrypoint";

/// How the program is compiled: small, static, and without anything that would differ from one build to the next.
const OPTIONS: &[&str] = &[
    "--edition=2024",
    "--crate-name=entrypoint",
    "--crate-type=bin",
    // The linker warns of what the standard library could ask of glibc at run time, and the program never does.
    "--allow=linker-messages",
    "-Copt-level=z",
    "-Clto=fat",
    "-Ccodegen-units=1",
    "-Cpanic=abort",
    "-Cstrip=symbols",
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
    "-Clink-arg=-Wl,--build-id=none",
    "-Clinker=gcc",
];

/// What an architecture is called, and where its images keep the loader of programs.
struct Target {
    architecture: &'static str,
    /// As Rust's `std::env::consts::ARCH` has it.
    machine: &'static str,
    triplet: &'static str,
    loader: &'static str,
}

const TARGETS: &[Target] = &[
    Target {
        architecture: "amd64",
        machine: "x86_64",
        triplet: "x86_64-linux-gnu",
        loader: "usr/lib64/ld-linux-x86-64.so.2",
    },
    Target {
        architecture: "arm64",
        machine: "aarch64",
        triplet: "aarch64-linux-gnu",
        loader: "usr/lib/ld-linux-aarch64.so.1",
    },
];

/// Builds the program that images start with, for each architecture, with the catalog's own compiler.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when a committed program is not what its sources give
    #[arg(long)]
    pub check: bool,
    /// The `calypte` that makes the compiler's images, in place of one that is built for it
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let own = TARGETS.iter().find(|target| target.machine == std::env::consts::ARCH);
    let own = own.with_context(|| format!("images cannot be built for {}", std::env::consts::ARCH))?;
    let scratch = tempfile::tempdir()?;
    let podman = Podman::new(arguments.program.clone())?;
    let compiler = podman.load(own, scratch.path())?;
    let mut stale = Vec::new();
    for target in TARGETS {
        eprintln!("compiling entrypoint for {}", target.architecture);
        let other;
        let root = if std::ptr::eq(target, own) {
            &compiler
        } else {
            other = podman.load(target, scratch.path())?;
            &other
        };
        let made = podman.compile(own, &compiler, target, root, scratch.path())?;
        let committed = run::workspace().join(PROGRAMS).join(target.architecture);
        let bytes = fs_err::read(&made)?;
        if fs_err::read(&committed).is_ok_and(|committed| committed == bytes) {
            continue;
        }
        if arguments.check {
            stale.push(target.architecture);
        } else {
            fs_err::create_dir_all(committed.parent().unwrap_or(&committed))?;
            fs_err::copy(&made, &committed)?;
            eprintln!("{} has changed", committed.display());
        }
    }
    if !stale.is_empty() {
        bail!("not what the sources give: {PROGRAMS}/{{{}}}; run `cargo xtask entrypoint`", stale.join(","));
    }
    Ok(())
}

/// What is there where systemd runs.
const SYSTEMD: &str = "/run/systemd/system";

/// An image in podman's storage, for as long as this lives.
struct Loaded<'a> {
    podman: &'a Podman,
    name: String,
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a failure here but to leave the image in podman's storage.
        let _ = run::output(self.podman.command().args(["rmi", "--force", &self.name]));
    }
}

/// podman, with a runtime of its that works here.
struct Podman {
    calypte: Option<PathBuf>,
    runtime: Option<&'static str>,
}

impl Podman {
    fn new(calypte: Option<PathBuf>) -> Result<Self> {
        if !run::is_installed("podman") {
            bail!("the program is compiled in a container, and podman is not installed");
        }
        // crun, podman's usual choice, asks more of the kernel's control groups than a machine without systemd sets up.
        let runc = !Path::new(SYSTEMD).exists() && run::is_installed("runc");
        Ok(Self { calypte, runtime: runc.then_some("runc") })
    }

    fn command(&self) -> Command {
        let mut command = run::command("podman", &[]);
        if let Some(runtime) = self.runtime {
            command.args(["--runtime", runtime]);
        }
        if !Path::new(SYSTEMD).exists() {
            command.args(["--cgroup-manager", "cgroupfs"]);
        }
        command
    }

    /// Builds the compiler's image for an architecture out of its lock, and takes it in.
    fn load(&self, target: &Target, scratch: &Path) -> Result<Loaded<'_>> {
        let architecture = target.architecture;
        let tag = format!("calypte-compiler-{architecture}-{}", std::process::id());
        let archive = scratch.join(format!("{architecture}.tar"));
        let mut build = match &self.calypte {
            Some(calypte) => run::command(calypte, &["build"]),
            None => run::cargo(&["run", "--quiet", "--package", "calypte-cli", "--", "build"]),
        };
        build.args([IMAGE, "--arch", architecture, "--compression", "zstd:1", "--output"]);
        build.arg(format!("oci-archive:{}:{tag}", archive.display()));
        run::output(&mut build)?;
        run::output(self.command().args(["load", "--quiet", "--input"]).arg(&archive))?;
        fs_err::remove_file(archive)?;
        Ok(Loaded { podman: self, name: format!("localhost/{tag}:latest") })
    }

    /// Compiles the program for a target inside its own root, and gives the file.
    fn compile(
        &self,
        own: &Target,
        compiler: &Loaded<'_>,
        target: &Target,
        root: &Loaded<'_>,
        scratch: &Path,
    ) -> Result<PathBuf> {
        let out = scratch.join(format!("out-{}", target.architecture));
        fs_err::create_dir_all(&out)?;
        let sources = run::workspace().join("crates/entrypoint/src");
        let mut command = self.command();
        command.args(["run", "--rm", "--pull=never", "--network=none", "--user=0:0", "--workdir=/src"]);
        // Low limits: podman's own may be above what the machine allows.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        command.args(["--read-only", "--tmpfs", "/tmp:rw,exec,mode=1777"]);
        command.arg(format!("--volume={}:/src:ro", sources.display()));
        command.arg(format!("--volume={}:/out", out.display()));
        command.arg(format!("--mount=type=image,source={},destination=/compiler", compiler.name));
        // By way of its own loader, since the root may be that of another architecture.
        command.arg(format!("--entrypoint=[\"/compiler/{}\"]", own.loader)).arg(&root.name);
        command.args([
            "--library-path",
            &format!("/compiler/usr/lib/{}", own.triplet),
            "/compiler/usr/bin/rustc",
        ]);
        let triple = format!("{}-unknown-linux-gnu", target.machine);
        command.args(["--sysroot", "/usr", "--target", &triple]).args(OPTIONS);
        run::succeed(command.args(["-o", "/out/entrypoint", "/src/main.rs"]))?;
        Ok(out.join("entrypoint"))
    }
}
