//! The host's image in a machine, as it is: by UEFI, the boot loader, the unified kernel image and systemd to where its boot
//! counts as good; upgraded at a shutdown, and rolled back. Nothing of a test is in it: the guest program lies on a disk of
//! its own, and systemd starts it by a credential that the machine's firmware holds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use calypte_base::Architecture;
use serde_json::Value;

use crate::case::Case;
use crate::machine::{self, Machine, Plan};
use crate::needs::Need;
use crate::os::Os;
use crate::small_image;
use crate::world::{World, run};

const NEEDS: &[Need] = &[
    Need::Mirror,
    Need::Root,
    Need::HostPackages,
    Need::Program("qemu-system-x86_64"),
    Need::Program("/usr/share/OVMF/OVMF_CODE_4M.fd"),
];

/// What takes three starts, too.
const LONG: &[Need] = &[
    Need::Mirror,
    Need::Root,
    Need::HostPackages,
    Need::Program("qemu-system-x86_64"),
    Need::Program("/usr/share/OVMF/OVMF_CODE_4M.fd"),
    Need::ManyMachines,
];

/// The same on Arm's processor.
const ARM: &[Need] = &[
    Need::Mirror,
    Need::Root,
    Need::HostPackages,
    Need::Program("qemu-system-aarch64"),
    Need::Program("/usr/share/AAVMF/AAVMF_CODE.fd"),
    Need::HostKernelArm,
    Need::ManyMachines,
];

pub const CASES: &[Case] = &[
    Case { name: "os_boots_to_where_its_boot_is_good", needs: NEEDS, run: boots },
    Case { name: "os_boots_on_arm64", needs: ARM, run: boots_on_arm },
    Case { name: "os_boots_without_a_shell", needs: LONG, run: boots_without_a_shell },
    Case { name: "os_upgrades_at_a_shutdown_and_rolls_back", needs: LONG, run: upgrades_and_rolls_back },
];

/// How long a start of the whole system may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(480);

/// Words for systemd's: devices come late on a busy machine.
const PATIENCE: &str = "systemd.default_device_timeout_sec=600 systemd.default_timeout_start_sec=600";

/// Starts the guest program, which listens on this line, when the boot was found good or bad.
fn guest_unit(line: &str) -> String {
    format!(
        "[Unit]\nDescription=Takes the orders of a test\nDefaultDependencies=no\n\
         After=multi-user.target calypte-health.service calypte-boot-good.service\n\
         [Service]\nRuntimeDirectory=images\nExecStartPre=/usr/bin/mount -o ro /dev/vdb /run/images\n\
         ExecStart=/run/images/guest/calypte-guest {line}\n"
    )
}

/// Units without which a boot is not good, or would not be found so.
const UNITS: &[&str] = &[
    "multi-user.target",
    "boot-complete.target",
    "calypte-health.service",
    "calypte-boot-good.service",
    "calypte-host-finalize.service",
    "ssh.service",
    "systemd-networkd.service",
];

/// The machine with a disk of one of the images, and another with the guest program.
fn plan(os: &Os, image: &str) -> Result<Plan> {
    let images = os.path("images");
    // Made by the case before.
    if !images.exists() {
        write_images(os)?;
    }
    let credential = |name: &str, text: &str| {
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("io.systemd.credential.binary:{name}={text}")
    };
    let (plan, console, line) = match os.architecture() {
        Architecture::Amd64 => (Plan::new(), "ttyS0", "/dev/ttyS1"),
        Architecture::Arm64 => (Plan::arm(), "ttyAMA0", "/dev/ttyS0"),
    };
    Ok(plan
        .memory(1024)
        .uefi()
        .qcow2(&os.disk(image)?)
        .disk(&images)
        // The image's own command line is sealed, and names no console.
        .smbios(&format!(
            "io.systemd.stub.kernel-cmdline-extra=console={console} {} {}",
            machine::QUICK,
            PATIENCE
        ))
        .smbios(&credential("systemd.extra-unit.guest.service", &guest_unit(line)))
        .smbios(&credential("systemd.unit-dropin.multi-user.target", "[Unit]\nWants=guest.service\n")))
}

/// The disk with the guest program, and on the first architecture the next image with and without a signature.
fn write_images(os: &Os) -> Result<()> {
    let guest = os.path("guest");
    fs_err::create_dir_all(&guest)?;
    let program = machine::static_program_for("calypte-guest", os.architecture())?;
    fs_err::copy(program, guest.join("calypte-guest"))?;
    let mut trees = vec![("guest", guest)];
    if os.architecture() == Architecture::Amd64 {
        let (unsigned, signed) = (os.path("next"), os.path("signed/next"));
        os.build("os-next", &["--output", &format!("oci:{}", unsigned.display())])?;
        let key = os.path("key").display().to_string();
        run(&mut os.calypte(&["key", &key]))?;
        fs_err::create_dir_all(os.path("signed"))?;
        run(Command::new("cp").arg("-r").arg(&unsigned).arg(&signed))?;
        run(&mut os.calypte(&["sign", "--key", &key, &format!("oci:{}", signed.display())]))?;
        trees.extend([("unsigned", unsigned), ("signed", signed)]);
    }
    small_image::write_disk(&os.path("images"), &trees)
}

fn host(machine: &mut Machine, arguments: &[&str]) -> Result<String> {
    let order: Vec<&str> =
        ["run", "/usr/bin/calypte-host", "--quiet"].iter().chain(arguments).copied().collect();
    machine.order_within(&order, LIMIT)
}

/// Waits until the boot is good, and looks whether everything runs that should; the booted deployment.
fn meet(machine: &mut Machine, what: &str) -> Result<Value> {
    machine.meet_guest(LIMIT)?;
    machine.step(&format!("{what}: started, and its boot is good"));
    let journal = "run\t/usr/bin/journalctl\t--no-pager\t--boot\t--unit=calypte*";
    for unit in UNITS {
        let active = machine.order(&["run", "/usr/bin/systemctl", "is-active", unit]);
        if let Err(error) = active {
            let order: Vec<&str> = journal.split('\t').collect();
            let said = machine.order_within(&order, LIMIT)?;
            return Err(error.context(format!("{what}: {unit} is not active\n{said}")));
        }
    }
    let failed = machine.order(&["run", "/usr/bin/systemctl", "--failed", "--plain", "--no-legend"])?;
    ensure!(failed.is_empty(), "{what}: units failed:\n{failed}");
    let text = host(machine, &["status", "--format", "json"])?;
    let status: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let status = status["status"].clone();
    ensure!(status["running"] == true && status["health"]["good"] == true, "{what}: {status:#}");
    // It lost its counter.
    ensure!(status["booted"]["entry"]["tries"].is_null(), "{what}: {status:#}");
    machine.step("units, health and status are as they should be");
    Ok(status)
}

fn boots(_: &World) -> Result<()> {
    let os = Os::get()?;
    let mut machine = plan(os, "os")?.start(None)?;
    meet(&mut machine, "the image")?;
    let refused = machine.order(&["write", "/usr/share/next", "changed"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("Read-only file system"), "{refused:#}");
    // The automount of the boot partition ends when nobody looks at it; nothing may end with it.
    machine.order(&["run", "/usr/bin/systemctl", "stop", "boot.mount"])?;
    machine.order(&["run", "/usr/bin/systemctl", "is-active", "calypte-host-finalize.service"])?;
    let refused = host(&mut machine, &["switch", "oci:/run/images/signed"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("no key"), "{refused:#}");
    machine.cut_power()
}

fn boots_on_arm(_: &World) -> Result<()> {
    let mut machine = plan(Os::get_for(Architecture::Arm64)?, "os")?.start(None)?;
    meet(&mut machine, "the image on arm64")?;
    let refused = machine.order(&["write", "/usr/share/next", "changed"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("Read-only file system"), "{refused:#}");
    machine.cut_power()
}

fn boots_without_a_shell(_: &World) -> Result<()> {
    let mut machine = plan(Os::get()?, "os-shellless")?.start(None)?;
    meet(&mut machine, "the image without a shell")?;
    let refused = machine.order(&["run", "/bin/sh", "-c", "true"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("No such file or directory"), "{refused:#}");
    machine.cut_power()
}

/// Lets the system go down as for a restart, and switches the machine on again: QEMU's own reset does not always come to an
/// end after a whole system.
fn restart(mut machine: Machine, plan: &Plan, variables: &Path) -> Result<Machine> {
    machine.order(&["run", "/usr/bin/systemctl", "--no-block", "reboot"])?;
    machine.wait_for_end(LIMIT)?;
    machine.step("went down");
    drop(machine);
    plan.start(Some(variables))
}

fn upgrades_and_rolls_back(_: &World) -> Result<()> {
    let os = Os::get()?;
    let plan = plan(os, "os")?.stays_off();
    let variables = os.path("variables");
    let mut machine = plan.start(Some(&variables))?;
    let first = meet(&mut machine, "the image")?;
    let key = fs_err::read_to_string(os.path("key.pub"))?;
    machine.order(&["run", "/usr/bin/mkdir", "-p", "/etc/calypte/keys.d"])?;
    machine.order(&["write", "/etc/calypte/keys.d/test.pem", &key])?;
    let refused = host(&mut machine, &["switch", "oci:/run/images/unsigned"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("is not signed"), "{refused:#}");
    machine.step("an unsigned image is refused");
    host(&mut machine, &["switch", "oci:/run/images/signed"])?;
    machine.step("switched to the next image");
    // What the system itself writes at its first start is no change that keeps an upgrade's.
    let drift = host(&mut machine, &["etc"])?;
    ensure!(!drift.contains("ld.so.cache"), "{drift}");
    machine.order(&["write", "/var/lib/kept", "kept\n"])?;
    let mut machine = restart(machine, &plan, &variables)?;
    let second = meet(&mut machine, "the next image")?;
    ensure!(machine.order(&["read", "/usr/share/next"])? == "next\n");
    ensure!(machine.order(&["read", "/var/lib/kept"])? == "kept\n");
    ensure!(machine.order(&["read", "/etc/calypte/keys.d/test.pem"])? == key);
    let digest = |status: &Value, slot: &str| status[slot]["image"]["imageDigest"].clone();
    ensure!(digest(&second, "rollback") == digest(&first, "booted"), "{second:#}");
    host(&mut machine, &["rollback"])?;
    let mut machine = restart(machine, &plan, &variables)?;
    let third = meet(&mut machine, "the image again")?;
    ensure!(digest(&third, "booted") == digest(&first, "booted"), "{third:#}");
    machine.order(&["run", "/usr/bin/systemctl", "--no-block", "poweroff"])?;
    machine.wait_for_end(LIMIT)?;
    machine.step("powered off");
    Ok(())
}
