//! The first process of the initramfs in a machine: what it mounts, and what it says when it cannot. With the smallest of
//! systems, so that a boot takes seconds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use calypte_base::{Architecture, TreePath};
use tempfile::TempDir;

use crate::case::Case;
use crate::machine::{self, Machine, Plan};
use crate::needs::Need;
use crate::small_system::{self, Flaws, SmallSystem};
use crate::world::World;

const NEEDS: &[Need] = &[Need::Program("qemu-system-x86_64"), Need::Program("cpio"), Need::HostKernel];

const UEFI: &[Need] = &[
    Need::Program("qemu-system-x86_64"),
    Need::Program("/usr/share/OVMF/OVMF_CODE_4M.fd"),
    Need::Program("cpio"),
    Need::Program("mdir"),
    Need::HostKernel,
];

const ARM: &[Need] = &[
    Need::Program("qemu-system-aarch64"),
    Need::Program("/usr/share/AAVMF/AAVMF_CODE.fd"),
    Need::Program("cpio"),
    Need::HostKernelArm,
];

pub const CASES: &[Case] = &[
    Case { name: "host_boot_mounts_the_system", needs: NEEDS, run: mounts_the_system },
    Case {
        name: "host_boot_keeps_nothing_of_a_transient_etc",
        needs: NEEDS,
        run: keeps_nothing_of_a_transient_etc,
    },
    Case { name: "host_boot_refuses_what_was_changed", needs: NEEDS, run: refuses_what_was_changed },
    Case {
        name: "host_boot_says_why_it_fails_and_restarts",
        needs: NEEDS,
        run: says_why_it_fails_and_restarts,
    },
    Case {
        name: "host_boot_falls_back_to_the_last_good_entry",
        needs: UEFI,
        run: falls_back_to_the_last_good_entry,
    },
    Case { name: "host_boot_on_arm64", needs: ARM, run: on_arm },
];

/// How long the smallest system may take to start, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Kernel and modules that hosts use.
pub fn kernel() -> PathBuf {
    kernel_for(Architecture::Amd64)
}

/// The same for an architecture.
pub fn kernel_for(architecture: Architecture) -> PathBuf {
    World::target().join(match architecture {
        Architecture::Amd64 => "tools/kernel",
        Architecture::Arm64 => "tools/kernel-arm64",
    })
}

/// An initramfs as the factory makes it, with the init of the workspace.
pub fn initramfs(directory: &Path) -> Result<PathBuf> {
    initramfs_for(directory, Architecture::Amd64)
}

fn initramfs_for(directory: &Path, architecture: Architecture) -> Result<PathBuf> {
    let tree = directory.join("initramfs");
    fs_err::create_dir_all(tree.join("modules"))?;
    fs_err::copy(machine::static_program_for("calypte-init", architecture)?, tree.join("init"))?;
    let kernel = kernel_for(architecture);
    let modules = [
        "virtio_blk.ko",
        "erofs.ko",
        "overlay.ko",
        "efivarfs.ko",
        // Which a whole system would load from its root.
        "fat.ko",
        "nls_ucs2_utils.ko",
        "vfat.ko",
        "nls_cp437.ko",
        "nls_ascii.ko",
    ];
    for module in modules {
        fs_err::copy(kernel.join("modules").join(module), tree.join("modules").join(module))?;
    }
    fs_err::write(tree.join("modules.list"), modules.join("\n"))?;
    let archive = directory.join("initramfs.cpio");
    let command = format!("find . | cpio --quiet -o -H newc > {}", archive.display());
    let status = Command::new("sh").args(["-c", &command]).current_dir(&tree).status()?;
    ensure!(status.success(), "{command}: {status}");
    Ok(archive)
}

/// A machine with a small system, and what it takes.
struct Boot {
    directory: TempDir,
    system: SmallSystem,
    initramfs: PathBuf,
}

impl Boot {
    fn new(flaws: Flaws) -> Result<Self> {
        let directory = TempDir::new()?;
        let initramfs = initramfs(directory.path())?;
        Ok(Self { directory, system: SmallSystem::new(flaws)?, initramfs })
    }

    fn plan(&self, line: &str) -> Plan {
        let line = format!("init=/usr/bin/calypte-guest calypte.init.wait=1 {line}");
        Plan::new().memory(512).disk(&self.system.disk()).kernel(
            &kernel().join("vmlinuz"),
            &self.initramfs,
            &line,
        )
    }

    /// Starts the system, which must come up.
    fn start(&self, line: &str) -> Result<Machine> {
        let line = format!("root=/dev/vda {line}");
        let mut machine = self.plan(&line).start(None)?;
        machine.meet_guest(LIMIT)?;
        Ok(machine)
    }

    /// Starts the system, which must fail with these words, and restart.
    fn fails(&self, line: &str, words: &[&str]) -> Result<()> {
        let mut machine = self.plan(line).stays_off().start(None)?;
        machine.wait_for("the machine restarts in 1 s", LIMIT)?;
        machine.wait_for_end(LIMIT)?;
        let console = machine.console();
        for words in words {
            ensure!(console.contains(words), "`{words}` is not on the console:\n{console}");
        }
        Ok(())
    }
}

fn mounts_the_system(_: &World) -> Result<()> {
    let boot = Boot::new(Flaws::default())?;
    let line = format!("composefs={}", boot.system.digest);
    let mut machine = boot.start(&line)?;
    ensure!(machine.order(&["read", "/usr/share/small"])? == "in the image itself\n");
    let large = machine.order(&["read", "/usr/share/large"])?;
    ensure!(
        large == String::from_utf8_lossy(&small_system::large()),
        "a large file is not as it was written"
    );
    let refused = machine.order(&["write", "/usr/share/small", "changed"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("Read-only file system"), "{refused:#}");
    let refused = machine.order(&["write", "/new", "new"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("Read-only file system"), "{refused:#}");
    ensure!(machine.order(&["read", "/etc/origin"])? == "the deployment\n");
    machine.order(&["write", "/etc/origin", "the administrator\n"])?;
    machine.order(&["write", "/var/data", "kept\n"])?;
    ensure!(machine.order(&["list", "/sysroot"])? == "composefs\nlost+found\nstate");
    let mounts = machine.order(&["read", "/proc/self/mounts"])?;
    let root =
        mounts.lines().find(|line| line.contains(" / overlay ")).context("no overlay is mounted on /")?;
    for option in ["ro,", "verity=require", "metacopy=on", "redirect_dir=on"] {
        ensure!(root.contains(option), "{option} is not among: {root}");
    }
    ensure!(root.starts_with(&format!("composefs:{}", boot.system.digest)), "{root}");
    ensure!(!mounts.contains("erofs"), "the image's own file system is still in sight:\n{mounts}");
    ensure!(
        machine
            .order(&["list", "/"])?
            .lines()
            .all(|name| !matches!(name, "init" | "modules" | "modules.list"))
    );
    machine.order(&["sync"])?;
    machine.cut_power()?;
    let mut machine = boot.start(&line)?;
    ensure!(machine.order(&["read", "/etc/origin"])? == "the administrator\n");
    ensure!(machine.order(&["read", "/var/data"])? == "kept\n");
    Ok(())
}

fn keeps_nothing_of_a_transient_etc(_: &World) -> Result<()> {
    let boot = Boot::new(Flaws { without_verity: true, ..Flaws::default() })?;
    let line = format!("composefs=?{} calypte.etc=transient rootflags=noatime,commit=30", boot.system.digest);
    for _ in 0..2 {
        let mut machine = boot.start(&line)?;
        ensure!(machine.order(&["read", "/etc/origin"])? == "the image\n");
        machine.order(&["write", "/etc/origin", "the administrator\n"])?;
        ensure!(machine.order(&["read", "/etc/origin"])? == "the administrator\n");
        let mounts = machine.order(&["read", "/proc/self/mounts"])?;
        let root = mounts.lines().find(|line| line.contains(" /sysroot ext4 ")).context("no root")?;
        ensure!(root.contains("noatime") && root.contains("commit=30"), "{root}");
        machine.order(&["sync"])?;
        machine.cut_power()?;
    }
    Ok(())
}

fn refuses_what_was_changed(_: &World) -> Result<()> {
    let boot = Boot::new(Flaws::default())?;
    let line = format!("composefs={}", boot.system.digest);
    boot.system.change_on_disk(&small_system::large())?;
    let mut machine = boot.start(&line)?;
    let refused = machine.order(&["read", "/usr/share/large"]).unwrap_err();
    ensure!(format!("{refused:#}").contains("Input/output error"), "{refused:#}");
    machine.wait_for("FILE CORRUPTED", LIMIT)?;
    machine.cut_power()?;
    let boot = Boot::new(Flaws { replaced_image: true, ..Flaws::default() })?;
    let line = format!("root=/dev/vda composefs={}", boot.system.digest);
    boot.fails(&line, &["the image was replaced", "do not trust it"])
}

fn says_why_it_fails_and_restarts(_: &World) -> Result<()> {
    let boot = Boot::new(Flaws::default())?;
    let digest = boot.system.digest.to_string();
    let image = format!("composefs={digest}");
    boot.fails("root=/dev/vda", &["`composefs=` is missing", "hint: the boot entry is damaged"])?;
    let missing = ["the root PARTUUID=1-2 did not appear within 1 s; there are vda", "`root=` names another"];
    boot.fails(&format!("{image} calypte.init.timeout=1 root=PARTUUID=1-2"), &missing)?;
    let other = digest.replace(['0', '1'], "2");
    boot.fails(
        &format!("root=/dev/vda composefs={other}"),
        &["the root has no image ", "another one in the boot menu"],
    )?;
    let program = ["/usr/bin/none cannot be started", "No such file"];
    boot.fails(&format!("root=LABEL=root {image} init=/usr/bin/none"), &program)?;
    let boot = Boot::new(Flaws { without_verity: true, ..Flaws::default() })?;
    boot.fails(&format!("root=/dev/vda {image}"), &["has no fs-verity digest", "composefs=?"])?;
    let boot = Boot::new(Flaws { without_var: true, ..Flaws::default() })?;
    let state = ["state/os/default/var cannot be mounted at /sysroot/var", "the deployment is not whole"];
    boot.fails(&format!("root=/dev/vda {image}"), &state)?;
    // The directory lives until here.
    drop(boot.directory);
    Ok(())
}

/// By UEFI and systemd-boot, without `root=`: the newest entry cannot start the system, that of the next one panics, and
/// the oldest one is good. The root is found on the disk that the boot loader came from, though another one comes first.
fn falls_back_to_the_last_good_entry(_: &World) -> Result<()> {
    let boot = Boot::new(Flaws::default())?;
    let image = format!("composefs={} init=/usr/bin/calypte-guest calypte.init.wait=1", boot.system.digest);
    let entries = [
        ("os_3+2", format!("{image} init=/usr/bin/none")),
        ("os_2+1", format!("{image} -- panic")),
        ("os_1", image),
    ];
    let disk = boot.directory.path().join("whole");
    let other = boot.directory.path().join("other");
    let esp = esp(Architecture::Amd64, &boot.initramfs, &entries)?;
    boot.system.write_whole(&esp, "this one", &disk)?;
    boot.system.write_whole(&calypte_disk::Tree::new(), "the other one", &other)?;
    let mut machine = Plan::new().memory(512).uefi().disk(&other).disk(&disk).start(None)?;
    machine.meet_guest(Duration::from_secs(400))?;
    let console = machine.console();
    ensure!(
        console.matches("calypte-init: error: this system cannot be started: /usr/bin/none").count() == 2,
        "two tries of the newest:\n{console}"
    );
    ensure!(
        console.matches("] Kernel panic - not syncing").count() == 1,
        "one try of the next one:\n{console}"
    );
    let line = machine.order(&["read", "/proc/cmdline"])?;
    ensure!(!line.contains("none") && !line.contains("panic "), "{line}");
    let mounts = machine.order(&["read", "/proc/self/mounts"])?;
    ensure!(mounts.contains("/dev/vdb2 /sysroot ext4"), "{mounts}");
    machine.cut_power()?;
    let image = format!("{}@@1M", disk.display());
    let listing = Command::new("mdir").args(["-b", "-i", &image, "::/loader/entries"]).output()?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    for name in ["os_3+0-2.conf", "os_2+0-1.conf", "os_1.conf"] {
        ensure!(listing.contains(name), "{name} is not among:\n{listing}");
    }
    Ok(())
}

/// The same way up on a machine with Arm's processor: firmware, boot loader, kernel, and the small system.
fn on_arm(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let initramfs = initramfs_for(directory.path(), Architecture::Arm64)?;
    let system = SmallSystem::new_for(Architecture::Arm64, Flaws::default())?;
    let line =
        format!("composefs={} init=/usr/bin/calypte-guest calypte.init.wait=1 -- /dev/ttyS0", system.digest);
    let disk = directory.path().join("whole");
    let esp = esp(Architecture::Arm64, &initramfs, &[("os_1", line)])?;
    system.write_whole(&esp, "arm", &disk)?;
    let mut machine = Plan::arm().memory(768).uefi().disk(&disk).start(None)?;
    machine.meet_guest(LIMIT * 4)?;
    machine.step("a system on arm64 started");
    let large = machine.order(&["read", "/usr/share/large"])?;
    ensure!(
        large == String::from_utf8_lossy(&small_system::large()),
        "a large file is not as it was written"
    );
    let mounts = machine.order(&["read", "/proc/self/mounts"])?;
    ensure!(mounts.contains(" / overlay ro,") && mounts.contains("verity=require"), "{mounts}");
    machine.cut_power()
}

/// The ESP with the distribution's boot loader and these entries, all of one kernel.
fn esp(
    architecture: Architecture,
    initramfs: &Path,
    entries: &[(&str, String)],
) -> Result<calypte_disk::Tree> {
    use calypte_disk::{FileContent, Node, Tree};

    let kernel = kernel_for(architecture);
    let (loader, default, console) = match architecture {
        Architecture::Amd64 => ("systemd-bootx64.efi", "EFI/BOOT/BOOTX64.EFI", "ttyS0"),
        Architecture::Arm64 => ("systemd-bootaa64.efi", "EFI/BOOT/BOOTAA64.EFI", "ttyAMA0"),
    };
    let mut tree = Tree::new();
    let mut add = |path: &str, node: Node| -> Result<()> {
        Ok(tree.insert_below(TreePath::new(path)?, node, &Node::directory(0o755))?)
    };
    add(default, Node::file(0o644, FileContent::whole(kernel.join(loader))?))?;
    add("EFI/calypte/vmlinuz", Node::file(0o644, FileContent::whole(kernel.join("vmlinuz"))?))?;
    add("EFI/calypte/initrd", Node::file(0o644, FileContent::whole(initramfs)?))?;
    add("loader/loader.conf", Node::file(0o644, b"timeout 0\n".to_vec()))?;
    for (name, line) in entries {
        let version = name.split(['_', '+']).nth(1).unwrap_or_default();
        let options = format!("console={console} {} {line}", machine::QUICK);
        let text = format!(
            "title Small system\nversion {version}\nlinux /EFI/calypte/vmlinuz\ninitrd /EFI/calypte/initrd\n\
             options {options}\n"
        );
        add(&format!("loader/entries/{name}.conf"), Node::file(0o644, text.into_bytes()))?;
    }
    Ok(tree)
}
