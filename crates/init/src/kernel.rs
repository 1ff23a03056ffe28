//! The kernel's own file systems, which everything else needs, and its command line.

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use crate::error::InitError;

/// Type, place, flags and options of each.
const FILE_SYSTEMS: &[(&str, &str, MountFlags, &std::ffi::CStr)] = &[
    ("proc", "/proc", MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC), c""),
    ("sysfs", "/sys", MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC), c""),
    // As systemd would mount these two; it takes them over as they are.
    ("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755,size=4m,nr_inodes=1m"),
    ("tmpfs", "/run", MountFlags::NOSUID.union(MountFlags::NODEV), c"mode=0755,size=20%,nr_inodes=800k"),
];

/// Mounts `/proc`, `/sys`, `/dev` and `/run`.
///
/// # Errors
/// When one of them cannot be mounted.
pub fn mount_file_systems() -> Result<(), InitError> {
    for (kind, place, flags, options) in FILE_SYSTEMS.iter().copied() {
        let error = |source| InitError::Kernel { kind, place, source };
        fs_err::create_dir_all(place).map_err(error)?;
        match mount(kind, place, kind, flags, options) {
            // A kernel with CONFIG_DEVTMPFS_MOUNT may have done it.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(errno) => return Err(error(errno.into())),
        }
    }
    Ok(())
}

/// Mounts the firmware's variables where there are any; without them the boot loader said nothing.
pub fn mount_variables() {
    let place = "/sys/firmware/efi/efivars";
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Fails on machines without EFI, and where it is mounted already; whoever reads a variable sees which.
    let _ = mount("efivarfs", place, "efivarfs", flags, c"");
}

/// The kernel's command line; empty where there is no `/proc` yet.
#[must_use]
pub fn command_line() -> Vec<u8> {
    fs_err::read("/proc/cmdline").unwrap_or_default()
}
