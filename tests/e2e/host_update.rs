//! A machine's life: installed from an image, upgraded, rolled back, given images that fail, and its power cut in between.
//! With the smallest of hosts and the real `calypte-host`, by UEFI, the boot loader and its counting.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::machine::{self, Machine, Plan};
use crate::needs::Need;
use crate::small_image::{self, Fault, Programs};
use crate::world::World;

const NEEDS: &[Need] = &[
    Need::Program("qemu-system-x86_64"),
    Need::Program("/usr/share/OVMF/OVMF_CODE_4M.fd"),
    Need::Program("cpio"),
    Need::Program("e2fsck"),
    Need::Program("fsck.fat"),
    Need::HostKernel,
];

/// What takes many starts, too.
const LONG: &[Need] = &[
    Need::Program("qemu-system-x86_64"),
    Need::Program("/usr/share/OVMF/OVMF_CODE_4M.fd"),
    Need::Program("cpio"),
    Need::Program("e2fsck"),
    Need::Program("fsck.fat"),
    Need::HostKernel,
    Need::ManyMachines,
];

pub const CASES: &[Case] = &[
    Case { name: "host_update_and_rollback", needs: NEEDS, run: update_and_rollback },
    Case { name: "host_update_falls_back_from_bad_images", needs: NEEDS, run: falls_back_from_bad_images },
    Case { name: "host_update_survives_power_cuts", needs: LONG, run: survives_power_cuts },
];

/// How long a start by UEFI may take on a busy machine, with the tries of an image that cannot start before it.
const LIMIT: Duration = Duration::from_secs(600);

/// How often the power is cut.
const CUTS: u32 = 20;

/// An installed machine, and a disk with images for it.
struct Installed {
    directory: TempDir,
}

impl Installed {
    /// Installs version 1 onto an empty disk, and writes the images `names` (with version and fault) onto another.
    fn new(images: &[(&str, u32, Fault)]) -> Result<Self> {
        let began = Instant::now();
        let directory = TempDir::new()?;
        let programs = Programs::build(directory.path())?;
        let layouts: Vec<(&str, PathBuf)> =
            images.iter().map(|(name, ..)| (*name, directory.path().join(name))).collect();
        for ((_, layout), (_, version, fault)) in layouts.iter().zip(images) {
            small_image::write_layout(layout, &programs, *version, *fault)?;
        }
        small_image::write_disk(&directory.path().join("images"), &layouts)?;
        let first = directory.path().join("first");
        small_image::write_layout(&first, &programs, 1, Fault::None)?;
        let installed = Self { directory };
        let host = machine::static_program("calypte-host")?;
        let config = installed.path("config");
        fs_err::create_dir_all(config.join("etc/calypte"))?;
        fs_err::write(config.join("etc/calypte/policy.toml"), "accept = [\"insecure\"]\n")?;
        let mut install = Command::new(host);
        install.args(["install", "to-disk"]).arg(installed.path("disk"));
        install.arg("--source").arg(format!("oci:{}", first.display()));
        install.args([
            "--upgrades",
            "oci:/run/images/next",
            "--seed",
            "test",
            "--size",
            "700",
            "--esp-size",
            "200",
        ]);
        let output = install.arg("--config-root").arg(config).output()?;
        ensure!(output.status.success(), "{install:?}: {}", String::from_utf8_lossy(&output.stderr));
        machine::say(began, "images made, and the first installed to an empty disk");
        Ok(installed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Switches the machine on; its variables and disk are as it left them.
    fn start(&self) -> Result<Machine> {
        let plan = Plan::new().memory(768).uefi().disk(&self.path("disk")).disk(&self.path("images"));
        plan.start(Some(&self.path("variables")))
    }

    /// What the tools that check file systems say of the disk while the machine is off. The journal is replayed first, as
    /// every mount does; a mark that the boot partition was in use is all that a power cut may leave on it.
    fn check_disk(&self) -> Result<()> {
        let bytes = fs_err::read(self.path("disk"))?;
        let table = calypte_disk::gpt::parse(&bytes, 512)?;
        let extract = |number| -> Result<PathBuf> {
            let place = &table.partitions[&number];
            let (start, size) = (usize::try_from(place.start)?, usize::try_from(place.size)?);
            let part = self.path(&format!("part-{number}"));
            fs_err::write(&part, &bytes[start..start + size])?;
            Ok(part)
        };
        let root = extract(calypte_disk::image::ROOT_NUMBER)?;
        for arguments in [&["-E", "journal_only", "-p"][..], &["-f", "-n"]] {
            let (is_clean, said) = check("e2fsck", arguments, &root)?;
            ensure!(is_clean, "e2fsck {arguments:?}:\n{said}");
        }
        let esp = extract(calypte_disk::image::ESP_NUMBER)?;
        let (mut is_clean, mut said) = check("fsck.fat", &["-n"], &esp)?;
        if !is_clean && said.contains("Dirty bit is set.") {
            clear_mark(&esp)?;
            (is_clean, said) = check("fsck.fat", &["-n"], &esp)?;
        }
        ensure!(is_clean, "fsck.fat:\n{said}");
        Ok(())
    }
}

/// Whether a tool finds nothing wrong with a file system, and what it says.
fn check(program: &str, arguments: &[&str], part: &Path) -> Result<(bool, String)> {
    let output = Command::new(program).args(arguments).arg(part).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Takes the mark off a FAT file system that it was in use (byte 65 of its first sector).
fn clear_mark(part: &Path) -> Result<()> {
    let mut bytes = fs_err::read(part)?;
    bytes[65] &= !1;
    fs_err::write(part, bytes)?;
    Ok(())
}

/// Waits for the system, and mounts what systemd would.
fn meet(machine: &mut Machine) -> Result<()> {
    machine.meet_guest(LIMIT)?;
    let mounts = machine.order(&["read", "/proc/self/mounts"])?;
    let disk = if mounts.contains("/dev/vda2 /sysroot") { "vda" } else { "vdb" };
    let images = if disk == "vda" { "/dev/vdb" } else { "/dev/vda" };
    machine.order(&["mount", "vfat", &format!("/dev/{disk}1"), "/boot"])?;
    machine.order(&["mount", "ext4", images, "/run/images"])?;
    let version = version(machine)?;
    machine.step(&format!("version {version} runs"));
    Ok(())
}

fn host(machine: &mut Machine, arguments: &[&str]) -> Result<String> {
    let order: Vec<&str> = ["run", "/usr/bin/calypte-host"].iter().chain(arguments).copied().collect();
    machine.order_within(&order, LIMIT)
}

fn status(machine: &mut Machine) -> Result<Value> {
    let text = host(machine, &["status", "--quiet", "--format", "json"])?;
    serde_json::from_str(&text).with_context(|| text.clone())
}

fn version(machine: &mut Machine) -> Result<String> {
    let release = machine.order(&["read", "/usr/lib/os-release"])?;
    let line = release.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="));
    Ok(line.context("os-release has no version")?.to_owned())
}

/// The boot was good, as the units of a host would say.
fn accept(machine: &mut Machine) -> Result<()> {
    host(machine, &["health", "run"])?;
    host(machine, &["health", "good"])?;
    machine.step("the boot is good");
    Ok(())
}

/// Takes an image and restarts into it. It has fewer tries than three where starts are to be saved.
fn switch(machine: &mut Machine, image: &str, tries: usize) -> Result<()> {
    host(machine, &["switch", &format!("oci:/run/images/{image}")])?;
    host(machine, &["finalize"])?;
    let entries = machine.order(&["list", "/boot/loader/entries"])?;
    let entry = entries.lines().find_map(|name| name.strip_suffix("+3.conf"));
    let entry = format!("/boot/loader/entries/{}", entry.context("no entry has three tries")?);
    if tries != 3 {
        let fewer = format!("{entry}+{tries}.conf");
        machine.order(&["rename", &format!("{entry}+3.conf"), &fewer])?;
    }
    machine.step(&format!("switched to the image `{image}`"));
    machine.send(&["reboot"])
}

fn update_and_rollback(_: &World) -> Result<()> {
    let installed = Installed::new(&[("next", 2, Fault::None), ("replayed", 1, Fault::Unhealthy)])?;
    let mut machine = installed.start()?;
    meet(&mut machine)?;
    ensure!(version(&mut machine)? == "1");
    accept(&mut machine)?;
    machine.order(&["write", "/etc/own.conf", "the administrator's\n"])?;
    machine.order(&["write", "/etc/fixed.conf", "changed\n"])?;
    machine.order(&["write", "/var/lib/data", "kept\n"])?;
    host(&mut machine, &["upgrade"])?;
    host(&mut machine, &["finalize"])?;
    machine.step("upgraded");
    machine.send(&["reboot"])?;
    meet(&mut machine)?;
    ensure!(version(&mut machine)? == "2", "the upgrade does not run");
    for (path, contents) in [
        ("/etc/own.conf", "the administrator's\n"),
        ("/etc/fixed.conf", "changed\n"),
        ("/etc/version.conf", "version 2\n"),
        ("/var/lib/data", "kept\n"),
        ("/var/lib/first", "of the first image\n"),
    ] {
        let found = machine.order(&["read", path])?;
        ensure!(found == contents, "{path} holds {found:?}");
    }
    let refused = machine.order(&["write", "/usr/share/load-0", "changed"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("Read-only file system"), "{refused:#}");
    accept(&mut machine)?;
    host(&mut machine, &["fsck"])?;
    machine.step("every object was read and checked");
    let refused = host(&mut machine, &["switch", "oci:/run/images/replayed"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("--allow-older"), "{refused:#}");
    machine.step("an older build is refused");
    host(&mut machine, &["rollback"])?;
    machine.step("rolled back");
    machine.send(&["reboot"])?;
    meet(&mut machine)?;
    ensure!(version(&mut machine)? == "1", "the rollback does not run");
    ensure!(machine.order(&["read", "/var/lib/data"])? == "kept\n");
    machine.send(&["power-off"])?;
    machine.wait_for_end(LIMIT)?;
    installed.check_disk()
}

fn falls_back_from_bad_images(_: &World) -> Result<()> {
    let images =
        [("unhealthy", 2, Fault::Unhealthy), ("no-init", 3, Fault::NoInit), ("panics", 4, Fault::Panic)];
    let installed = Installed::new(&images)?;
    let mut machine = installed.start()?;
    meet(&mut machine)?;
    accept(&mut machine)?;
    for (image, tried, sign, tries) in [
        ("unhealthy", "2", "starting /usr/bin/calypte-guest", 2),
        ("no-init", "3", "/usr/bin/none cannot be started", 3),
        ("panics", "4", "] Kernel panic - not syncing", 1),
    ] {
        let before = machine.console().matches(sign).count();
        switch(&mut machine, image, tries)?;
        let began = Instant::now();
        loop {
            meet(&mut machine)?;
            let version = version(&mut machine)?;
            if version == "1" {
                break;
            }
            ensure!(version == tried && image == "unhealthy", "{image}: version {version} runs");
            ensure!(began.elapsed() < LIMIT * 3, "{image}: it is tried without end");
            machine.step("its health check is to fail");
            // Restarts the machine, so that there is no answer.
            machine.send(&["run", "/usr/bin/calypte-host", "health", "run"])?;
        }
        // The start of the good one shows the first sign once more.
        let console = machine.console();
        let shown = console.matches(sign).count();
        let expected = before + 1 + usize::from(image == "unhealthy");
        // How often is not for certain: a kernel that emulation makes crash is a try as well, and a line may be shown twice.
        ensure!(shown >= expected, "{image}: {shown} signs of it on the console:\n{console}");
        let status = status(&mut machine)?;
        ensure!(status["status"]["booted"]["image"]["version"] == "1", "{image}: {status:#}");
    }
    machine.send(&["power-off"])?;
    machine.wait_for_end(LIMIT)?;
    installed.check_disk()
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn survives_power_cuts(_: &World) -> Result<()> {
    let installed = Installed::new(&[("next", 2, Fault::None)])?;
    let mut machine = installed.start()?;
    meet(&mut machine)?;
    accept(&mut machine)?;
    machine.order(&["write", "/var/lib/data", "kept\n"])?;
    machine.order(&["sync"])?;
    machine.cut_power()?;
    let pristine = installed.path("pristine");
    fs_err::copy(installed.path("disk"), &pristine)?;
    // How long it takes when nobody cuts.
    let mut machine = installed.start()?;
    meet(&mut machine)?;
    let began = Instant::now();
    host(&mut machine, &["upgrade"])?;
    host(&mut machine, &["finalize"])?;
    let whole = u64::try_from(began.elapsed().as_millis())?;
    machine.cut_power()?;
    let mut random = Random(0x5eed_ca1b_0e51);
    let (mut old, mut new) = (0, 0);
    for cut in 0..CUTS {
        fs_err::copy(&pristine, installed.path("disk"))?;
        let after = Duration::from_millis(random.below(whole + whole / 10));
        let at = format!("cut {cut}, after {} ms of {whole}", after.as_millis());
        let running = cut_while_upgrading(&installed, after).with_context(|| at.clone())?;
        machine::say(began, &format!("{at}: version {running} started, all is well"));
        match running.as_str() {
            "1" => old += 1,
            "2" => new += 1,
            other => bail!("{at}: version {other} runs"),
        }
    }
    let sum = format!("{CUTS} power cuts: {old} times the old system started, {new} times the new one");
    machine::say(began, &sum);
    Ok(())
}

/// Cuts the power so long after an upgrade began, and looks whether everything is well: the disk, what starts, what it
/// keeps, and the next upgrade. Gives the version that started.
fn cut_while_upgrading(installed: &Installed, after: Duration) -> Result<String> {
    let mut machine = installed.start()?;
    meet(&mut machine)?;
    machine.send(&["run", "/usr/bin/calypte-host", "upgrade"])?;
    machine.send(&["run", "/usr/bin/calypte-host", "finalize"])?;
    std::thread::sleep(after);
    machine.cut_power()?;
    installed.check_disk()?;
    let mut machine = installed.start()?;
    meet(&mut machine)?;
    let running = version(&mut machine)?;
    ensure!(machine.order(&["read", "/var/lib/data"])? == "kept\n");
    accept(&mut machine)?;
    host(&mut machine, &["fsck"])?;
    if running == "1" {
        host(&mut machine, &["upgrade"])?;
        host(&mut machine, &["finalize"])?;
        machine.send(&["reboot"])?;
        meet(&mut machine)?;
        ensure!(version(&mut machine)? == "2", "the next upgrade does not run");
    }
    machine.send(&["power-off"])?;
    machine.wait_for_end(LIMIT)?;
    installed.check_disk()?;
    Ok(running)
}
