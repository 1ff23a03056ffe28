//! A machine in QEMU, emulated whole, that is watched until it is ready.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;

use crate::run;

/// How long a start may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);

/// The kernel's command line, beside what names the root: no waiting for what emulation makes slow, and patience.
pub const QUICK: &str = "console=ttyS0 mitigations=off nokaslr cryptomgr.notests panic=5 \
                     systemd.default_device_timeout_sec=600 systemd.default_timeout_start_sec=600";

/// What the unit prints that comes after multi-user.target.
const READY: &str = "the-system-is-ready";

/// The firmware, and its variables as they are at first.
const FIRMWARE: (&str, &str) = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd");

/// How a system starts.
#[derive(Debug, Clone)]
pub enum Start {
    /// Without firmware: kernel, initramfs, and what names the root.
    Direct { kernel: PathBuf, initramfs: PathBuf, root: String },
    /// By UEFI from its disks.
    Uefi,
}

/// A system to be started.
#[derive(Debug, Clone)]
pub struct System {
    pub start: Start,
    /// In this order: `vda` is the first.
    pub disks: Vec<PathBuf>,
}

/// How long a start took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Seconds from switching on until it was ready.
    pub ready: f64,
    /// CPU seconds that the emulation took until then.
    pub cpu: f64,
    /// Seconds since the kernel's start when the initramfs was unpacked and its first process began.
    pub init: f64,
    /// Seconds since the kernel's start when the first process of the root began.
    pub root: f64,
}

/// Ended when dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl System {
    /// Starts it with all that is written forgotten afterwards, and says how long that took.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub fn time(&self, scratch: &Path) -> Result<Times> {
        let console = scratch.join("console");
        // By the kernel: a login prompt hangs the line up for whoever has it open.
        let unit = format!("ExecStart=/usr/bin/echo {READY}\nStandardOutput=file:/dev/kmsg\n");
        let began = Instant::now();
        let mut machine = self.switch_on(scratch, &unit, true)?;
        loop {
            let text = read(&console);
            if text.contains(READY) {
                let ready = began.elapsed().as_secs_f64();
                let cpu = cpu(machine.0.id())?;
                let init = stamp(&text, "Run /init as init process");
                return Ok(Times { ready, cpu, init, root: stamp(&text, "systemd[1]: systemd ") });
            }
            let off = machine.0.try_wait()?.is_some();
            if off || began.elapsed() > LIMIT {
                bail!("the system did not become ready:\n{}", tail(&text));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it once for good: what a first start does is done then. Runs a command in it, and goes down.
    ///
    /// # Errors
    /// When it does not go down in time.
    pub fn first_start(&self, scratch: &Path, command: Option<&str>) -> Result<()> {
        let mut unit = String::new();
        if let Some(command) = command {
            unit.push_str(&format!("ExecStart={command}\n"));
        }
        unit.push_str("ExecStart=/usr/bin/systemctl --no-block poweroff\nTimeoutStartSec=900\n");
        let began = Instant::now();
        let mut machine = self.switch_on(scratch, &unit, false)?;
        while machine.0.try_wait()?.is_none() {
            if began.elapsed() > LIMIT {
                bail!("the system does not go down:\n{}", tail(&read(&scratch.join("console"))));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn switch_on(&self, scratch: &Path, service: &str, forget: bool) -> Result<Machine> {
        let mut qemu =
            run::command("qemu-system-x86_64", &["-nodefaults", "-no-user-config", "-display", "none"]);
        qemu.args(["-M", "q35", "-cpu", "max", "-smp", "1", "-accel", "tcg", "-m", "1024", "-no-reboot"]);
        qemu.args(["-device", "virtio-rng-pci", "-rtc", "base=utc", "-serial"]);
        let console = scratch.join("console");
        fs_err::write(&console, "")?;
        qemu.arg(format!("file:{}", console.display()));
        match &self.start {
            Start::Direct { kernel, initramfs, root } => {
                qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
                qemu.arg("-append").arg(format!("{QUICK} {root}"));
            }
            Start::Uefi => {
                let variables = scratch.join("variables");
                fs_err::copy(FIRMWARE.1, &variables)?;
                qemu.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={}", FIRMWARE.0));
                qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", variables.display()));
                smbios(&mut qemu, &format!("io.systemd.stub.kernel-cmdline-extra={QUICK}"));
            }
        }
        let snapshot = if forget { "on" } else { "off" };
        for disk in &self.disks {
            let file = disk.display();
            qemu.arg("-drive")
                .arg(format!("if=virtio,format=raw,cache=unsafe,snapshot={snapshot},file={file}"));
        }
        let unit = format!(
            "[Unit]\nDefaultDependencies=no\nAfter=multi-user.target\n[Service]\nType=oneshot\n{service}"
        );
        smbios(&mut qemu, &credential("systemd.extra-unit.bench.service", &unit));
        let wants = "[Unit]\nWants=bench.service\n";
        smbios(&mut qemu, &credential("systemd.unit-dropin.multi-user.target", wants));
        qemu.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Machine(qemu.spawn().context("QEMU could not be started")?))
    }
}

/// A text for the system, which systemd and its boot programs look for (SMBIOS, type 11).
fn smbios(qemu: &mut Command, text: &str) {
    qemu.arg("-smbios").arg(format!("type=11,value={}", text.replace(',', ",,")));
}

fn credential(name: &str, text: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("io.systemd.credential.binary:{name}={text}")
}

fn read(console: &Path) -> String {
    String::from_utf8_lossy(&fs_err::read(console).unwrap_or_default()).into_owned()
}

/// The kernel's time at the first line that has a text.
fn stamp(console: &str, text: &str) -> f64 {
    let line = console.lines().find(|line| line.contains(text)).unwrap_or_default();
    let time = line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(time, _)| time.trim());
    time.and_then(|time| time.parse().ok()).unwrap_or(f64::NAN)
}

/// User and system CPU time of a process so far, in seconds.
fn cpu(process: u32) -> Result<f64> {
    let text = fs_err::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = text.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    let ticks =
        |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).context("no ticks");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
