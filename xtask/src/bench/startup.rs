//! `bench startup`: how long programs take to start in an image's root, beside the same packages in a plain root that
//! mmdebstrap made with all maintainer scripts run (so with whatever caches they write). Both roots lie unpacked on the same
//! disk, and programs are started by chroot, turn by turn, so that no container engine is in the figure.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::measure::{Cost, measure};
use crate::run;

/// How often a program is started in one measurement.
const STARTS: usize = 20;

/// Measurements of each; the best counts.
const RUNS: usize = 5;

/// The image, the packages that hold the same software, and what is started.
const PROGRAMS: [(&str, &str, &[&str]); 5] = [
    ("python:3.14", "python3.14", &["/usr/bin/python3.14", "-c", "import ssl, sqlite3, json"]),
    ("nodejs", "nodejs", &["/usr/bin/node", "--eval", "require('node:http')"]),
    ("nginx", "nginx", &["/usr/sbin/nginx", "-e", "stderr", "-v"]),
    ("postgresql", "postgresql-18", &["/usr/lib/postgresql/18/bin/psql", "--version"]),
    ("valkey", "valkey-server", &["/usr/bin/valkey-cli", "--version"]),
];

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let scratch = tempfile::tempdir()?;
    let mut rows = Vec::new();
    println!("{:14} {:>16} {:>16} {:>8}", "", "image, CPU ms", "mmdebstrap, ms", "ratio");
    for (image, package, program) in PROGRAMS {
        let directory = scratch.path().join(package);
        fs_err::create_dir_all(&directory)?;
        let (ours, theirs) = (our_root(image, &directory)?, their_root(package, &directory)?);
        let (mut best, mut peer) = (f64::MAX, f64::MAX);
        for _ in 0..RUNS {
            best = best.min(start(&ours, program)?.cpu);
            peer = peer.min(start(&theirs, program)?.cpu);
        }
        let each = |cpu: f64| cpu * 1000.0 / STARTS as f64;
        println!("{image:14} {:16.1} {:16.1} {:8.2}", each(best), each(peer), best / peer);
        rows.push(json!({"image": image, "cpu_ms": each(best), "mmdebstrap_cpu_ms": each(peer), "ratio": best / peer}));
        fs_err::remove_dir_all(&directory)?;
    }
    println!("{}", json!({"startup": rows}));
    Ok(())
}

/// The image's root, unpacked.
fn our_root(image: &str, directory: &Path) -> Result<PathBuf> {
    let layout = directory.join("layout");
    let mut build = run::command(run::workspace().join("target/release/calypte"), &["--quiet", "build", image]);
    // umoci reads gzip only.
    build.args(["--arch", "amd64", "--compression", "gzip", "--output"]).arg(format!("oci:{}:image", layout.display()));
    run::succeed(&mut build)?;
    let bundle = directory.join("bundle");
    run::succeed(Command::new("umoci").args(["unpack", "--image"]).arg(format!("{}:image", layout.display())).arg(&bundle))?;
    Ok(bundle.join("rootfs"))
}

fn their_root(package: &str, directory: &Path) -> Result<PathBuf> {
    let root = directory.join("peer");
    let mirror = mirror()?;
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", "--mode=root", "--architectures=amd64", "--format=directory"]);
    // The index may be past its date here.
    make.arg("--aptopt=Acquire::Check-Valid-Until \"false\"").arg(format!("--include={package}"));
    make.arg("sid").arg(&root).arg(mirror).current_dir("/");
    run::succeed(&mut make)?;
    Ok(root)
}

/// The mirror of the machine's own sources, or Debian's primary one.
fn mirror() -> Result<String> {
    let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let text: String = sources.iter().filter_map(|path| fs_err::read_to_string(path).ok()).collect();
    let words = text.split_ascii_whitespace();
    let found = words.filter(|word| word.starts_with("http")).find(|word| word.trim_end_matches('/').ends_with("/debian"));
    Ok(found.unwrap_or("http://ftp.debian.org/debian").to_owned())
}

/// Starts a program so many times inside of a root.
fn start(root: &Path, program: &[&str]) -> Result<Cost> {
    let mut command = Command::new("sh");
    let script = "count=$1; shift; while [ $count -gt 0 ]; do chroot \"$@\" > /dev/null 2>&1 || exit 1; count=$((count - 1)); done";
    command.args(["-c", script, "sh", &STARTS.to_string()]).arg(root).args(program);
    measure(&command).with_context(|| format!("{program:?} in {}", root.display()))
}
