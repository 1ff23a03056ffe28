//! The kernel of the machines that tests boot: Debian sid's for virtual machines, with the few modules that an initramfs of
//! tests holds, and the boot loader. Fetched by apt with lists of its own from the mirror that this machine's apt uses;
//! nothing is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run;

/// What tests put into an initramfs (`tests/e2e/host_boot.rs`), and what a machine loads from its root.
const MODULES: &[&str] = &[
    "virtio_blk",
    "erofs",
    "overlay",
    "efivarfs",
    "fat",
    "vfat",
    "nls_ucs2_utils",
    "nls_cp437",
    "nls_ascii",
];

/// Keys of the archive, in `catalog/keys`.
const KEYS: &[&str] = &["debian-archive-trixie-automatic.asc", "debian-archive-bookworm-automatic.asc"];

/// Where the kernel for an architecture lies; the machine's own has no name of its own.
pub fn directory(architecture: &str) -> PathBuf {
    let name = if architecture == "amd64" { "kernel".to_owned() } else { format!("kernel-{architecture}") };
    run::workspace().join("target/tools").join(name)
}

/// Fetches it unless it is there.
///
/// # Errors
/// When there is no mirror, or what it has is not laid out as Debian lays out its kernels.
pub fn prepare(architecture: &str) -> Result<()> {
    let place = directory(architecture);
    if place.is_dir() {
        return Ok(());
    }
    let tools = place.parent().context("a directory has a parent")?;
    fs_err::create_dir_all(tools)?;
    let scratch = tempfile::tempdir_in(tools)?;
    let root = unpack(architecture, scratch.path())?;
    let new = scratch.path().join("kernel");
    fs_err::create_dir_all(new.join("modules"))?;
    let releases = fs_err::read_dir(root.join("usr/lib/modules"))?;
    let kernel = releases.filter_map(Result::ok).map(|entry| entry.path()).next();
    let kernel = kernel.context("the packages have no kernel below usr/lib/modules")?;
    fs_err::copy(kernel.join("vmlinuz"), new.join("vmlinuz"))?;
    for module in MODULES {
        copy_module(&kernel, module, &new.join("modules"))?;
    }
    for entry in fs_err::read_dir(root.join("usr/lib/systemd/boot/efi"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("systemd-boot") {
            fs_err::copy(entry.path(), new.join(entry.file_name()))?;
        }
    }
    fs_err::rename(&new, &place)?;
    Ok(())
}

/// The packages of kernel and boot loader, unpacked.
fn unpack(architecture: &str, scratch: &Path) -> Result<PathBuf> {
    let configuration = configure(architecture, scratch)?;
    let apt = |program: &str, arguments: &[&str]| {
        let mut command = run::command(program, arguments);
        command.env("APT_CONFIG", &configuration).env("LC_ALL", "C").current_dir(scratch);
        command
    };
    run::succeed(&mut apt("apt-get", &["-q", "-q", "update"]))?;
    let needs = |package: &str| -> Result<Vec<String>> {
        let said = run::output(&mut apt("apt-cache", &["depends", "--important", package]))?;
        let lines = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(lines.filter(|name| name.starts_with("linux-")).map(str::to_owned).collect())
    };
    // The one that always names the newest; its needs name the release, and theirs have the files.
    let newest = format!("linux-image-cloud-{architecture}");
    let image = needs(&newest)?.into_iter().find(|name| name.starts_with("linux-image-"));
    let image = image.with_context(|| format!("{newest} needs no linux-image package"))?;
    let mut packages = needs(&image)?;
    packages.extend([image, "systemd-boot-efi".to_owned()]);
    let mut download = apt("apt-get", &["-q", "-q", "download"]);
    run::succeed(download.args(packages.iter().map(|name| format!("{name}:{architecture}"))))?;
    let root = scratch.join("root");
    for entry in fs_err::read_dir(scratch)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "deb") {
            run::succeed(run::command("dpkg-deb", &["--extract"]).arg(&path).arg(&root))?;
        }
    }
    Ok(root)
}

/// apt's configuration for lists of its own.
fn configure(architecture: &str, scratch: &Path) -> Result<PathBuf> {
    let mirror = calypte_rpm_universe::configured_mirror()
        .context("there is no Debian mirror in the sources of this machine's apt")?;
    for part in ["etc/sources.list.d", "etc/parts", "etc/preferences.d", "state/lists/partial"] {
        fs_err::create_dir_all(scratch.join(part))?;
    }
    fs_err::create_dir_all(scratch.join("cache/archives/partial"))?;
    fs_err::write(scratch.join("state/status"), "")?;
    let keys = run::workspace().join("catalog/keys");
    let keys: Vec<String> = KEYS.iter().map(|key| keys.join(key).display().to_string()).collect();
    let source = format!("deb [signed-by={}] {mirror} sid main\n", keys.join(","));
    fs_err::write(scratch.join("etc/sources.list"), source)?;
    let root = scratch.display();
    // The index may be past its date on a mirror that rests.
    let text = format!(
        "Dir::Etc \"{root}/etc\";\nDir::Etc::parts \"{root}/etc/parts\";\nDir::State \"{root}/state\";\n\
         Dir::State::status \"{root}/state/status\";\nDir::Cache \"{root}/cache\";\nAcquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\nAPT::Architecture \"{architecture}\";\n\
         APT::Architectures {{ \"{architecture}\"; }};\nAPT::Sandbox::User \"\";\nDebug::NoLocking \"true\";\n"
    );
    let path = scratch.join("apt.conf");
    fs_err::write(&path, text)?;
    Ok(path)
}

/// Finds a module of a kernel and puts it there, unpacked.
fn copy_module(kernel: &Path, name: &str, to: &Path) -> Result<()> {
    let mut find = Command::new("find");
    find.arg(kernel).args(["-name", &format!("{name}.ko*")]);
    let found = run::output(&mut find)?;
    let path = found.lines().next().with_context(|| format!("the kernel has no module {name}"))?;
    let copied = to.join(Path::new(path).file_name().context("a file has a name")?);
    fs_err::copy(path, &copied)?;
    let program = match copied.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return Ok(()),
    };
    run::succeed(run::command(program, &["--quiet", "--decompress"]).arg(&copied))
}
