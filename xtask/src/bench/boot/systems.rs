//! The systems that are started: the host's image on a disk of its own; its very files on an ext4 root that Debian's own
//! initramfs mounts; and the same packages as Debian installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::machine::{Start, System};
use crate::bench::os::{FIRST, Os, unpack};
use crate::run;

/// Bytes of a root file system; the file has holes.
const ROOT_SIZE: &str = "4G";

/// Bytes of a boot partition.
const ESP_SIZE: &str = "256M";

/// The keys of Debian's archive, in `catalog/keys`.
const KEYS: &[&str] = &["debian-archive-trixie-automatic.asc", "debian-archive-bookworm-automatic.asc"];

/// Has Debian's initramfs made anew, for what this machine has alone. In the machine: it looks at what is mounted.
const MAKE_DEPENDENT: &str = "/usr/bin/sh -c 'echo MODULES=dep > /etc/initramfs-tools/conf.d/bench && \
                              mkinitramfs -o /boot/dep.img && rm /etc/initramfs-tools/conf.d/bench && sync'";

/// An initramfs that was made.
#[derive(Debug, Clone)]
pub struct Made {
    pub name: &'static str,
    pub key: &'static str,
    pub path: PathBuf,
}

/// A system with what it is called in the table and in the JSON.
#[derive(Debug, Clone)]
pub struct Named {
    pub name: &'static str,
    pub key: &'static str,
    pub system: System,
}

/// All that is measured.
pub struct Systems {
    pub initramfs: Vec<Made>,
    pub systems: Vec<Named>,
}

/// Makes them all below the directory of the image.
///
/// # Errors
/// When one cannot be made.
pub fn make(os: &Os) -> Result<Systems> {
    let work = os.path("boot");
    if work.exists() {
        fs_err::remove_dir_all(&work)?;
    }
    fs_err::create_dir_all(&work)?;
    let tree = work.join("tree");
    unpack(&os.path(FIRST), &tree)?;
    let kernel = only(&tree.join("usr/lib/modules"))?;
    let (vmlinuz, ours) = (work.join("vmlinuz"), work.join("calypte.img"));
    fs_err::copy(kernel.join("vmlinuz"), &vmlinuz)?;
    fs_err::copy(kernel.join("initramfs.img"), &ours)?;
    let sealed = digest(&only(&tree.join("boot/EFI/Linux"))?)?;
    let disk = work.join("image.raw");
    let output = disk.display().to_string();
    run::output(&mut os.calypte(&["disk", "os", "--arch", "amd64", "--as", "raw", "--output", &output]))?;

    let debian = work.join("debian");
    bootstrap(os, &debian)?;
    let most = work.join("most.img");
    fs_err::copy(initrd(&debian)?, &most)?;
    let debian_disk = root_disk(&debian, &work.join("debian.raw"))?;
    let generic = dracut(&debian, &work)?;
    let loader = debian.join("usr/lib/systemd/boot/efi/systemd-bootx64.efi");
    let esp = boot_disk(&work, &loader, &vmlinuz, &most)?;
    let tree_disk = root_disk(&tree, &work.join("tree.raw"))?;
    fs_err::remove_dir_all(&tree)?;
    fs_err::remove_dir_all(&debian)?;

    let direct = |initramfs: &Path, root: &str, disk: &Path| System {
        start: Start::Direct {
            kernel: vmlinuz.clone(),
            initramfs: initramfs.to_owned(),
            root: root.to_owned(),
        },
        disks: vec![disk.to_owned()],
    };
    // What only a first start does is over before the time is taken.
    let root = "root=/dev/vda rw";
    let image = direct(&ours, &format!("composefs={sealed} rw"), &disk);
    let on_ext4 = direct(&most, root, &tree_disk);
    let installed = direct(&most, root, &debian_disk);
    for (what, system, command) in [
        ("the image", &image, None),
        ("its files on ext4", &on_ext4, None),
        ("Debian's packages", &installed, Some(MAKE_DEPENDENT)),
    ] {
        eprintln!("first start: {what}");
        system.first_start(&work, command)?;
    }
    let dependent = work.join("dep.img");
    let dump = format!("dump /boot/dep.img {}", dependent.display());
    run::output(run::command("debugfs", &["-R", &dump]).arg(&debian_disk))?;
    let dependent_on_ext4 = direct(&dependent, root, &tree_disk);
    let uefi = |disks: &[&Path]| System {
        start: Start::Uefi,
        disks: disks.iter().map(|disk| disk.to_path_buf()).collect(),
    };
    let systems = [
        ("the image, its initramfs", "image", image),
        ("its files on ext4, initramfs-tools (most)", "ext4_most", on_ext4),
        ("its files on ext4, initramfs-tools (dep)", "ext4_dep", dependent_on_ext4),
        ("Debian's packages, initramfs-tools (most)", "debian_most", installed),
        ("the image by UEFI", "image_uefi", uefi(&[&disk])),
        ("its files on ext4 (most) by UEFI", "ext4_most_uefi", uefi(&[&tree_disk, &esp])),
    ];
    let initramfs = [
        ("calypte", "calypte", ours),
        ("initramfs-tools, MODULES=most", "most", most),
        ("initramfs-tools, MODULES=dep", "dep", dependent),
        ("dracut, --no-hostonly", "dracut", generic),
    ];
    Ok(Systems {
        initramfs: initramfs.into_iter().map(|(name, key, path)| Made { name, key, path }).collect(),
        systems: systems.into_iter().map(|(name, key, system)| Named { name, key, system }).collect(),
    })
}

/// The one thing in a directory.
fn only(directory: &Path) -> Result<PathBuf> {
    let entry = fs_err::read_dir(directory)?.next();
    Ok(entry.with_context(|| format!("{} is empty", directory.display()))??.path())
}

/// The digest that is sealed in a unified kernel image.
fn digest(image: &Path) -> Result<String> {
    let found = run::output(run::command("grep", &["-aoE", "-m1", "composefs=[0-9a-f]{128}"]).arg(image))?;
    let digest = found.lines().next().and_then(|line| line.split('=').nth(1));
    Ok(digest.context("the kernel image seals no digest")?.to_owned())
}

/// The packages of the image's lock, installed by Debian's tools, with its own initramfs.
fn bootstrap(os: &Os, root: &Path) -> Result<()> {
    let lock = fs_err::read_to_string(os.path("catalog/locks/debian-sid/os.lock"))?;
    let lock: Value = serde_json::from_str(&lock)?;
    let locked = lock["packages"]["amd64"].as_array().context("the lock has no packages")?;
    let names = locked.iter().filter_map(|package| package["id"].as_str());
    let mut names: Vec<&str> = names.filter(|name| !name.starts_with("calypte-")).collect();
    names.extend(["initramfs-tools", "zstd"]);
    let mirror = calypte_rpm_universe::configured_mirror().context("there is no Debian mirror")?;
    let keys: Vec<String> = keys().iter().map(|key| key.display().to_string()).collect();
    let mut bootstrap = run::command("mmdebstrap", &["--quiet", "--variant=minbase", "--mode=root"]);
    bootstrap.args([
        "--aptopt=Acquire::Check-Valid-Until \"false\"",
        "--aptopt=APT::Install-Recommends \"false\"",
    ]);
    bootstrap.arg(format!("--include={}", names.join(","))).arg("sid").arg(root);
    bootstrap.arg(format!("deb [signed-by={}] {mirror} sid main", keys.join(",")));
    run::succeed(&mut bootstrap)?;
    // No password: nobody logs in.
    fs_err::write(root.join("etc/hostname"), "bench\n")?;
    Ok(())
}

fn initrd(root: &Path) -> Result<PathBuf> {
    let entries = fs_err::read_dir(root.join("boot"))?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("initrd.img"))
    };
    entries.into_iter().find(is_it).context("Debian made no initramfs")
}

/// dracut in place of initramfs-tools, for any machine.
fn dracut(root: &Path, work: &Path) -> Result<PathBuf> {
    // apt's list names the keys by their paths out here.
    for key in keys() {
        let inside = root.join(key.strip_prefix("/")?);
        fs_err::create_dir_all(inside.parent().context("a file lies in a directory")?)?;
        fs_err::copy(&key, inside)?;
    }
    let script = "set -e; export DEBIAN_FRONTEND=noninteractive; \
                  apt-get -q -q -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root update; \
                  apt-get -q -q -y -o APT::Sandbox::User=root --no-install-recommends install dracut; \
                  dracut --quiet --force --no-hostonly --kver \"$(ls /usr/lib/modules)\" /tmp/dracut.img";
    let enter = "set -e; mount -t proc proc \"$1/proc\"; mount -t sysfs sysfs \"$1/sys\"; mount --bind /dev \"$1/dev\"; \
                 mkdir -p \"$1/run/systemd/resolve\"; cp /etc/resolv.conf \"$1/run/systemd/resolve/stub-resolv.conf\"; \
                 exec chroot \"$1\" sh -c \"$2\" >&2";
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", enter, "sh"]).arg(root).arg(script);
    run::succeed(&mut inside)?;
    let made = work.join("dracut.img");
    fs_err::copy(root.join("tmp/dracut.img"), &made)?;
    Ok(made)
}

/// The keys of Debian's archive.
fn keys() -> Vec<PathBuf> {
    KEYS.iter().map(|key| run::workspace().join("catalog/keys").join(key)).collect()
}

/// An ext4 file system with the files of a tree.
fn root_disk(tree: &Path, file: &Path) -> Result<PathBuf> {
    let mut make = run::command("mke2fs", &["-q", "-F", "-t", "ext4", "-L", "root", "-d"]);
    run::succeed(make.arg(tree).arg(file).arg(ROOT_SIZE))?;
    Ok(file.to_owned())
}

/// A disk from which UEFI starts systemd-boot, kernel and initramfs.
fn boot_disk(work: &Path, loader: &Path, kernel: &Path, initramfs: &Path) -> Result<PathBuf> {
    let file = work.join("esp.raw");
    run::succeed(run::command("truncate", &["--size", ESP_SIZE]).arg(&file))?;
    run::output(run::command("mkfs.vfat", &["-F", "32"]).arg(&file))?;
    let entry = work.join("entry.conf");
    let line = super::machine::QUICK;
    fs_err::write(
        &entry,
        format!("title Debian\nversion 1\nlinux /vmlinuz\ninitrd /initrd\noptions {line} root=/dev/vda rw\n"),
    )?;
    let inside = |program: &str, arguments: &[&str]| {
        let mut command = run::command(program, &["-i"]);
        command.arg(&file).args(arguments);
        command
    };
    run::succeed(&mut inside("mmd", &["::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries"]))?;
    for (from, to) in [
        (loader, "::/EFI/BOOT/BOOTX64.EFI"),
        (kernel, "::/vmlinuz"),
        (initramfs, "::/initrd"),
        (&entry, "::/loader/entries/debian.conf"),
    ] {
        let mut copy = run::command("mcopy", &["-i"]);
        run::succeed(copy.arg(&file).arg(from).arg(to))?;
    }
    Ok(file)
}
