//! A machine in QEMU, emulated whole: its console is a log that is waited on, orders go to the guest program over a second
//! serial line, its power can be cut at any moment. Everything is bounded in time, and nothing outlives the case.
//!
//! One processor: QEMU 7.2 with several of them in threads makes guests' kernels crash now and then.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use calypte_base::Architecture;
use tempfile::TempDir;

/// Words for the kernel's command line: no waiting for what emulation makes slow.
pub const QUICK: &str = "mitigations=off nokaslr cryptomgr.notests panic=5";

/// Machines take a whole processor each: one at a time.
static ONE: Mutex<()> = Mutex::new(());

/// The firmware of machines with UEFI, and its variables as they are at first.
const OVMF: (&str, &str) = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd");
const AAVMF: (&str, &str) = ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd");

/// A machine to be.
#[derive(Debug, Clone)]
pub struct Plan {
    arm: bool,
    memory: u32,
    arguments: Vec<String>,
    uefi: bool,
    stays_off: bool,
}

/// A machine that runs.
pub struct Machine {
    process: Child,
    directory: TempDir,
    began: Instant,
    last_step: Instant,
    orders: Option<Orders>,
    _one: MutexGuard<'static, ()>,
}

/// The line to the guest program.
struct Orders {
    line: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Plan {
    /// A machine with 64-bit x86 processor.
    pub fn new() -> Self {
        Self { arm: false, memory: 1024, arguments: Vec::new(), uefi: false, stays_off: false }
    }

    /// A machine with 64-bit Arm processor.
    pub fn arm() -> Self {
        Self { arm: true, ..Self::new() }
    }

    /// Memory in MiB.
    pub fn memory(mut self, megabytes: u32) -> Self {
        self.memory = megabytes;
        self
    }

    /// Boots a kernel without firmware.
    pub fn kernel(self, kernel: &Path, initramfs: &Path, line: &str) -> Self {
        let console = if self.arm { "ttyAMA0" } else { "ttyS0" };
        let line = format!("console={console} {QUICK} {line}");
        self.with("-kernel", kernel).with("-initrd", initramfs).argument("-append").argument(&line)
    }

    /// Boots from its disks by UEFI.
    pub fn uefi(mut self) -> Self {
        self.uefi = true;
        self
    }

    /// A disk; the first one is `vda`.
    pub fn disk(self, image: &Path) -> Self {
        let drive = format!("if=virtio,format=raw,cache=writeback,file={}", image.display());
        self.argument("-drive").argument(&drive)
    }

    /// The same, of QEMU's own format.
    pub fn qcow2(self, image: &Path) -> Self {
        let drive = format!("if=virtio,format=qcow2,cache=writeback,file={}", image.display());
        self.argument("-drive").argument(&drive)
    }

    /// A text for the system, which systemd and its boot programs look for (SMBIOS, type 11).
    pub fn smbios(self, text: &str) -> Self {
        self.argument("-smbios").argument(&format!("type=11,value={}", text.replace(',', ",,")))
    }

    /// Goes off in place of restarting.
    pub fn stays_off(mut self) -> Self {
        self.stays_off = true;
        self
    }

    fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    fn with(self, option: &str, path: &Path) -> Self {
        self.argument(option).argument(&path.display().to_string())
    }

    /// Switches it on. The firmware's variables are kept in `variables` where there is such a file; where not, it is made.
    pub fn start(&self, variables: Option<&Path>) -> Result<Machine> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = TempDir::new()?;
        let mut qemu = Command::new(if self.arm { "qemu-system-aarch64" } else { "qemu-system-x86_64" });
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-smp", "1", "-accel", "tcg"]);
        qemu.args(["-device", "virtio-rng-pci", "-rtc", "base=utc", "-m"]).arg(self.memory.to_string());
        match (self.arm, self.uefi) {
            (false, _) => qemu.args(["-M", "q35", "-cpu", "max"]),
            (true, false) => qemu.args(["-M", "virt", "-cpu", "max,pauth-impdef=on"]),
            (true, true) => qemu.args(["-M", "virt", "-cpu", "neoverse-n1"]),
        };
        if self.uefi {
            let (code, fresh) = if self.arm { AAVMF } else { OVMF };
            let own = directory.path().join("variables");
            let variables = variables.unwrap_or(&own);
            if !variables.exists() {
                fs_err::copy(fresh, variables)?;
            }
            let flash =
                |path: &Path, more: &str| format!("if=pflash,format=raw,file={}{more}", path.display());
            qemu.arg("-drive").arg(flash(Path::new(code), ",readonly=on"));
            qemu.arg("-drive").arg(flash(variables, ""));
        }
        let console = directory.path().join("console");
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        let orders = directory.path().join("orders");
        qemu.arg("-chardev").arg(format!("socket,id=orders,path={},server=on,wait=off", orders.display()));
        // A board of Arm has one serial line; another one comes as a card.
        let line =
            if self.arm { ["-device", "pci-serial,chardev=orders"] } else { ["-serial", "chardev:orders"] };
        qemu.args(line);
        if self.stays_off {
            qemu.arg("-no-reboot");
        }
        qemu.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        qemu.stderr(fs_err::File::create(directory.path().join("errors"))?.into_file());
        let process = qemu.spawn().with_context(|| format!("{qemu:?} could not be started"))?;
        let began = Instant::now();
        Ok(Machine { process, directory, began, last_step: began, orders: None, _one: one })
    }
}

impl Machine {
    /// What was on the console until now.
    pub fn console(&self) -> String {
        let bytes = fs_err::read(self.directory.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Prints what was done, and how long that took.
    pub fn step(&mut self, what: &str) {
        say(self.last_step, what);
        self.last_step = Instant::now();
    }

    /// Waits until a text has been on the console so many times, and says how long after the start that was.
    pub fn wait_for_times(&mut self, text: &str, times: usize, limit: Duration) -> Result<Duration> {
        let end = Instant::now() + limit;
        loop {
            let is_off = self.process.try_wait()?.is_some();
            let console = self.console();
            if console.matches(text).count() >= times {
                return Ok(self.began.elapsed());
            }
            if is_off || Instant::now() > end {
                let what = if is_off { "the machine went off" } else { "the time is over" };
                bail!(
                    "{what}, and `{text}` was not {times} times on the console:\n{}{}",
                    tail(&console),
                    self.errors()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a text is on the console.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<Duration> {
        self.wait_for_times(text, 1, limit)
    }

    /// Waits until the machine is off.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while self.process.try_wait()?.is_none() {
            ensure!(Instant::now() < end, "the machine does not go off:\n{}", tail(&self.console()));
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Waits for the guest program, which greets once it listens; after each start of the system once.
    pub fn meet_guest(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        // The line stays when the system restarts; QEMU would lose what is on its way if it did not.
        if self.orders.is_none() {
            self.orders = Some(self.connect(end)?);
        }
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Firmware and kernel may say something on this line too.
            if self.answer(left.max(Duration::from_millis(1)))?.ends_with("ready") {
                return Ok(());
            }
        }
    }

    fn connect(&self, end: Instant) -> Result<Orders> {
        let path = self.directory.path().join("orders");
        loop {
            match UnixStream::connect(&path) {
                Ok(line) => return Ok(Orders { answers: BufReader::new(line.try_clone()?), line }),
                Err(error) => ensure!(Instant::now() < end, "no line to the guest program: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has the guest program do something, and gives its output.
    pub fn order(&mut self, order: &[&str]) -> Result<String> {
        self.order_within(order, Duration::from_secs(60))
    }

    /// The same, with another limit than a minute.
    pub fn order_within(&mut self, order: &[&str], limit: Duration) -> Result<String> {
        self.send(order)?;
        let answer = self.answer(limit)?;
        match answer.split_once('\t') {
            Some(("done", output)) => Ok(unescape(output)),
            Some(("failed", reason)) => bail!("{}: {}", order.join(" "), unescape(reason)),
            _ => bail!("{}: not an answer: {answer}", order.join(" ")),
        }
    }

    /// Has the guest program begin something, and waits for nothing.
    pub fn send(&mut self, order: &[&str]) -> Result<()> {
        let orders = self.orders.as_mut().context("the guest program was not met yet")?;
        let fields: Vec<String> = order.iter().map(|field| escape(field)).collect();
        orders.line.write_all(format!("{}\n", fields.join("\t")).as_bytes())?;
        Ok(())
    }

    fn answer(&mut self, limit: Duration) -> Result<String> {
        let orders = self.orders.as_mut().context("the guest program was not met yet")?;
        orders.line.set_read_timeout(Some(limit))?;
        let mut answer = Vec::new();
        let read = orders.answers.read_until(b'\n', &mut answer);
        let text = String::from_utf8_lossy(&answer).trim_end_matches(['\n', '\r']).to_owned();
        match read {
            Ok(1..) => Ok(text),
            Ok(0) => bail!("the machine went off:\n{}", tail(&self.console())),
            Err(error) => {
                bail!(
                    "no answer from the guest program: {error}; {text}; {}\n{}",
                    self.state(),
                    tail(&self.console())
                )
            }
        }
    }

    /// Cuts the power.
    pub fn cut_power(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Whether the machine runs, and what QEMU complained of.
    fn state(&mut self) -> String {
        let state = match self.process.try_wait() {
            Ok(Some(status)) => format!("QEMU ended with {status}"),
            Ok(None) => "the machine runs".to_owned(),
            Err(error) => error.to_string(),
        };
        format!("{state}; {}", self.errors().trim())
    }

    fn errors(&self) -> String {
        fs_err::read_to_string(self.directory.path().join("errors")).unwrap_or_default()
    }
}

/// Prints what was done since then.
#[expect(clippy::print_stdout, reason = "the report of a test")]
pub fn say(since: Instant, what: &str) {
    println!("  {:6.1} s  {what}", since.elapsed().as_secs_f64());
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may be off already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The last lines of a console.
fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                other => other.unwrap_or('\\'),
            },
            (letter, _) => letter,
        });
    }
    plain
}

/// The programs of hosts and of tests, built statically by the project's own chore.
pub fn static_program(package: &str) -> Result<PathBuf> {
    static_program_for(package, Architecture::Amd64)
}

/// The same for an architecture.
pub fn static_program_for(package: &str, architecture: Architecture) -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["xtask", "cross", "--arch", architecture.deb(), package])
        .current_dir(crate::world::World::repository());
    let output = cargo.output()?;
    ensure!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?;
    let path = said.lines().last().and_then(|line| line.split(' ').next());
    Ok(PathBuf::from(path.context("no program was named")?))
}
