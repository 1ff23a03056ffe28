//! `bench boot`: the size of the host's initramfs beside those that Debian's own programs make for the same kernel, and the
//! seconds until the image is ready, under emulation, beside the same files and the same packages with Debian's initramfs.
//!
//! Ready is where a unit prints a line that comes after multi-user.target: the same unit for all, given by the machine's
//! firmware. All are the same machine (q35, one processor, 1 GiB, no KVM) with the same kernel and the same words on its
//! command line; each has started once before, and what a measured start writes is forgotten. They take turns, and the
//! median counts. Needs root.

mod initramfs;
mod machine;
mod systems;

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use self::initramfs::Initramfs;
use self::machine::Times;
use super::os::Os;
use crate::run;

/// Starts of each system.
const ROUNDS: usize = 3;

pub fn run() -> Result<()> {
    ensure!(
        run::output(&mut run::command("id", &["-u"]))?.trim() == "0",
        "this needs root, for Debian's packages"
    );
    for program in ["qemu-system-x86_64", "mmdebstrap", "mke2fs", "debugfs", "mcopy", "mkfs.vfat"] {
        ensure!(run::is_installed(program), "{program} is not installed: `cargo xtask test` installs it");
    }
    let os = Os::new()?;
    let systems = systems::make(&os)?;
    let mut figures = Map::new();
    sizes(&systems.initramfs, &mut figures)?;
    let mut all: Vec<Vec<Times>> = vec![Vec::new(); systems.systems.len()];
    for round in 0..ROUNDS {
        for (system, times) in systems.systems.iter().zip(&mut all) {
            eprintln!("start {} of {ROUNDS}: {}", round + 1, system.name);
            times.push(system.system.time(&os.path("boot"))?);
        }
    }
    println!("{:44} {:>8} {:>8} {:>12} {:>12}", "", "ready s", "CPU s", "initramfs at", "root at");
    for (system, times) in systems.systems.iter().zip(&all) {
        let Times { ready, cpu, init, root } = median(times);
        println!("{:44} {ready:8.1} {cpu:8.1} {init:12.1} {root:12.1}", system.name);
        figures.insert(
            system.key.to_owned(),
            json!({ "ready_s": ready, "cpu_s": cpu, "initramfs_at_s": init, "root_at_s": root }),
        );
    }
    fs_err::remove_dir_all(os.path("boot"))?;
    println!("{}", Value::Object(figures));
    Ok(())
}

fn sizes(all: &[systems::Made], figures: &mut Map<String, Value>) -> Result<()> {
    println!("{:44} {:>8} {:>8} {:>12} {:>8} {:>8}", "", "MB", "files", "files' MB", "modules", "init");
    let mb = |bytes: u64| bytes as f64 / 1e6;
    for made in all {
        let Initramfs { size, files, count, modules, init } = Initramfs::read(&made.path)?;
        let (size, files, modules, init) = (mb(size), mb(files), mb(modules), mb(init));
        println!("{:44} {size:8.2} {count:8} {files:12.2} {modules:8.2} {init:8.2}", made.name);
        figures.insert(
            format!("initramfs_{}", made.key),
            json!({ "mb": size, "files": count, "files_mb": files, "modules_mb": modules, "init_mb": init }),
        );
    }
    Ok(())
}

/// The median of each figure.
fn median(times: &[Times]) -> Times {
    let of = |figure: fn(&Times) -> f64| {
        let mut figures: Vec<f64> = times.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    Times {
        ready: of(|times| times.ready),
        cpu: of(|times| times.cpu),
        init: of(|times| times.init),
        root: of(|times| times.root),
    }
}
