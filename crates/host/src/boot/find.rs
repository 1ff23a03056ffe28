//! Where the EFI system partition is on a running system.
//!
//! systemd mounts it when somebody looks and unmounts it when nobody does; while the machine goes down it does neither. So
//! we mount it for ourselves, at no place: nobody else sees that, and it is gone with us however we end.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::HostError;

/// Where it is mounted by custom (and by systemd's own generator).
const PLACES: [&str; 3] = ["/efi", "/boot", "/boot/efi"];

/// Where the partition is.
#[derive(Debug)]
pub struct FoundEsp {
    path: PathBuf,
    /// A mount of ours, which ends with it.
    _mount: Option<OwnedFd>,
}

impl FoundEsp {
    /// A directory that somebody named.
    #[must_use]
    pub const fn named(path: PathBuf) -> Self {
        Self { path, _mount: None }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The variable in which systemd-boot says from which partition it came (Boot Loader interface).
const LOADER_DEVICE: &str =
    "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Finds the partition: the one that the boot loader came from is mounted; where nothing tells which that was, it is the one
/// that is mounted already.
///
/// # Errors
/// When no partition can be found or mounted.
pub fn find() -> Result<FoundEsp, HostError> {
    let uuid = fs_err::read(LOADER_DEVICE).ok().and_then(|bytes| partition(&bytes));
    let device = uuid.map(|uuid| PathBuf::from(format!("/dev/disk/by-partuuid/{uuid}")));
    if let Some(device) = device.as_ref().filter(|device| device.exists()) {
        let mount = mount(device)
            .map_err(|error| HostError::Esp(format!("{} cannot be mounted: {error}", device.display())))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
        return Ok(FoundEsp { path, _mount: Some(mount) });
    }
    for place in PLACES {
        // Looking into it makes an automount happen.
        drop(fs_err::read_dir(place).map(|mut entries| entries.next().is_some()));
    }
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")
        .map_err(HostError::io("read", "/proc/self/mountinfo"))?;
    let place = PLACES.iter().find(|place| is_mounted(&mounts, place));
    place.map(|place| FoundEsp::named(PathBuf::from(place))).ok_or_else(|| {
        let reason = device.map_or_else(
            || "the boot loader does not say which one it was".to_owned(),
            |device| format!("{}, which the boot loader came from, is not there", device.display()),
        );
        HostError::Esp(format!("it is mounted nowhere, and {reason}"))
    })
}

/// Mounts a device without giving it a place.
fn mount(device: &Path) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"vfat", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, c"source", device)?;
    // What it is mounted with already stays.
    rustix::mount::fsconfig_set_string(&context, c"umask", c"0077")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Whether a FAT file system is mounted at this place.
fn is_mounted(mounts: &str, place: &str) -> bool {
    mounts.lines().any(|line| {
        let mut words = line.split_whitespace();
        let at = words.nth(4) == Some(place);
        let kind = line.split(" - ").nth(1).and_then(|rest| rest.split_whitespace().next());
        at && matches!(kind, Some("vfat" | "msdos"))
    })
}

/// The partition in an EFI variable: four bytes of attributes, and a text in UTF-16.
fn partition(variable: &[u8]) -> Option<String> {
    let units = variable.get(4..)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text: String =
        char::decode_utf16(units.take_while(|unit| *unit != 0)).collect::<Result<_, _>>().ok()?;
    let valid = text.len() == 36 && text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    valid.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_and_the_mounts_are_read() {
        let text = "6A0D7C7E-1111-4222-8333-444455556666";
        let mut variable = vec![7, 0, 0, 0];
        variable.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        assert_eq!(partition(&variable), Some(text.to_ascii_lowercase()));
        assert_eq!(partition(&variable[..20]), None);
        let mounts = "30 1 8:1 / /efi rw,nosuid shared:2 - vfat /dev/vda1 rw\n31 1 0:5 / /boot rw - autofs systemd-1 rw\n";
        assert!(is_mounted(mounts, "/efi") && !is_mounted(mounts, "/boot"));
    }
}
