//! What holds of a host's image beyond what bootc asks: nothing to become root by, no secrets, nothing that everybody can
//! write, no package manager, no shell where none is promised, and an identity.

use calypte_image::read::{ImageFile, ImageFileKind};

use super::{System, published};

/// Programs that are setuid or setgid wherever people log in, by the name of their file.
const KNOWN_SETUID: [&str; 18] = [
    "chage",
    "chfn",
    "chsh",
    "dbus-daemon-launch-helper",
    "expiry",
    "fusermount3",
    "gpasswd",
    "mount",
    "newgidmap",
    "newgrp",
    "newuidmap",
    "passwd",
    "ssh-agent",
    "ssh-keysign",
    "su",
    "sudo",
    "umount",
    "unix_chkpwd",
];

/// Files that would install others.
const PACKAGE_MANAGERS: [&str; 12] = [
    "apk", "apt", "apt-get", "aptitude", "dnf", "dnf5", "dpkg", "microdnf", "pacman", "rpm", "yum", "zypper",
];

const SHELLS: [&str; 10] = ["ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh"];

/// The variant whose promise is that it has no shell.
const WITHOUT_SHELL: &str = "shellless";

/// The image says that machines can boot from it.
pub(super) fn bootc_label(system: &System) -> Vec<String> {
    match &system.labels {
        Some(labels) if labels.get("containers.bootc").is_none_or(|value| value != "1") => {
            vec!["the image has no label containers.bootc=1".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// os-release says which image it is, and which build.
pub(super) fn image_identity(system: &System) -> Vec<String> {
    let missing = ["IMAGE_ID", "IMAGE_VERSION"].into_iter().filter(|key| system.os_release(key).is_none());
    missing.map(|key| format!("/etc/os-release says no {key}")).collect()
}

/// Each kernel has an initramfs.
pub(super) fn initramfs(system: &System) -> Vec<String> {
    let kernels = published::kernels(system).into_iter();
    let directories = kernels.filter_map(|kernel| kernel.parent());
    let without = directories.filter(|directory| {
        !["initramfs.img", "initramfs"]
            .iter()
            .any(|name| system.get(&format!("{}/{name}", directory.as_str())).is_some())
    });
    without.map(|directory| format!("{directory} has no initramfs.img")).collect()
}

/// Machines draw an id of their own.
pub(super) fn machine_id(system: &System) -> Vec<String> {
    match system.text("etc/machine-id").map(str::trim) {
        None | Some("" | "uninitialized") => Vec::new(),
        Some(_) => vec!["/etc/machine-id holds an id, which every machine would have".to_owned()],
    }
}

/// Nothing is mounted by name onto a disk that the image cannot know.
pub(super) fn fstab(system: &System) -> Vec<String> {
    match system.get("etc/fstab") {
        Some(ImageFile { kind: ImageFileKind::File { size, .. }, .. }) if *size > 0 => {
            vec!["/etc/fstab says what to mount; a disk is found by the types of its partitions".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn is_file(file: &ImageFile) -> bool {
    matches!(file.kind, ImageFileKind::File { .. })
}

/// Programs that give rights are known ones.
pub(super) fn setuid(system: &System) -> Vec<String> {
    let gives = |file: &ImageFile| is_file(file) && file.mode & 0o6000 != 0 && file.mode & 0o111 != 0;
    let found =
        system.files.iter().filter(|(path, file)| gives(file) && !KNOWN_SETUID.contains(&path.file_name()));
    found
        .map(|(path, file)| {
            format!("{path} runs with the rights of its owner or group (mode {:04o})", file.mode)
        })
        .collect()
}

/// No keys, tokens and passwords: an image is for whoever can fetch it.
pub(super) fn secrets(system: &System) -> Vec<String> {
    let secret = |file: &ImageFile| match &file.kind {
        ImageFileKind::File { digest, .. } => system.secrets.get(digest).copied(),
        _ => None,
    };
    let found = system.files.iter().filter_map(|(path, file)| Some((path, secret(file)?)));
    found.map(|(path, what)| format!("{path} seems to hold {what}")).collect()
}

/// Nothing that everybody can write but sticky directories.
pub(super) fn world_writable(system: &System) -> Vec<String> {
    let open = |file: &ImageFile| match file.kind {
        ImageFileKind::Symlink(_) | ImageFileKind::CharDevice(..) => false,
        ImageFileKind::Directory => file.mode & 0o1002 == 0o002,
        _ => file.mode & 0o002 != 0,
    };
    let found = system.files.iter().filter(|(_, file)| open(file));
    found.map(|(path, file)| format!("{path} can be written by everybody (mode {:04o})", file.mode)).collect()
}

/// Whether a path is that of a program.
fn is_program(path: &str) -> bool {
    ["usr/bin/", "usr/sbin/", "bin/", "sbin/", "usr/local/bin/", "usr/local/sbin/"]
        .iter()
        .any(|directory| path.strip_prefix(directory).is_some_and(|name| !name.contains('/')))
}

fn programs(system: &System, names: &[&str]) -> Vec<String> {
    let found = system.files.iter().filter(|(path, file)| {
        is_program(path.as_str())
            && names.contains(&path.file_name())
            && matches!(file.kind, ImageFileKind::File { .. } | ImageFileKind::Symlink(_))
    });
    found.map(|(path, _)| path.to_string()).collect()
}

/// Nothing installs packages: the image is the update.
pub(super) fn package_manager(system: &System) -> Vec<String> {
    programs(system, &PACKAGE_MANAGERS).into_iter().map(|path| format!("{path} installs packages")).collect()
}

/// No shell, where the image is one without.
pub(super) fn shell(system: &System) -> Vec<String> {
    let variant = system.os_release("VARIANT_ID").unwrap_or_default();
    if !variant.split('-').any(|part| part == WITHOUT_SHELL) {
        return Vec::new();
    }
    programs(system, &SHELLS).into_iter().map(|path| format!("{path} is a shell")).collect()
}
