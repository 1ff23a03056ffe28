//! Where the EFI system partition is on a running system.

use std::path::{Path, PathBuf};

use crate::{HostError, disk_changes};

/// Where we mount it when nobody else did.
const MOUNT_POINT: &str = "/run/calypte/esp";

/// Where it is mounted by custom (and by systemd's own generator), and where a run of ours that was killed left it.
const PLACES: [&str; 4] = ["/efi", "/boot", "/boot/efi", MOUNT_POINT];

/// Where the partition is. What was mounted for that is unmounted when this goes.
#[derive(Debug)]
pub struct FoundEsp {
    path: PathBuf,
    mounted: bool,
}

impl FoundEsp {
    /// A directory that somebody named.
    #[must_use]
    pub const fn named(path: PathBuf) -> Self {
        Self { path, mounted: false }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FoundEsp {
    fn drop(&mut self) {
        if self.mounted {
            let _ = rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::empty());
        }
    }
}

/// The variable in which systemd-boot says from which partition it came (Boot Loader interface).
const LOADER_DEVICE: &str =
    "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Finds the partition: where it is mounted; else the one that the boot loader came from is mounted.
///
/// # Errors
/// When no partition can be found or mounted.
pub fn find() -> Result<FoundEsp, HostError> {
    let mount_point = Path::new(MOUNT_POINT);
    for place in PLACES {
        // Looking into it makes an automount happen.
        drop(fs_err::read_dir(place).map(|mut entries| entries.next().is_some()));
    }
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")
        .map_err(HostError::io("read", "/proc/self/mountinfo"))?;
    if let Some(place) = PLACES.iter().find(|place| is_mounted(&mounts, place)) {
        return Ok(FoundEsp { path: PathBuf::from(place), mounted: *place == MOUNT_POINT });
    }
    let uuid = fs_err::read(LOADER_DEVICE).ok().and_then(|bytes| partition(&bytes));
    let uuid = uuid.ok_or_else(|| {
        HostError::Esp("it is mounted nowhere, and the boot loader does not say which one it was".to_owned())
    })?;
    let device = PathBuf::from(format!("/dev/disk/by-partuuid/{uuid}"));
    disk_changes::make_directories(mount_point)?;
    let flags = rustix::mount::MountFlags::NOSUID
        | rustix::mount::MountFlags::NODEV
        | rustix::mount::MountFlags::NOEXEC;
    rustix::mount::mount(&device, mount_point, c"vfat", flags, c"umask=0077")
        .map_err(|error| HostError::Esp(format!("{} cannot be mounted: {error}", device.display())))?;
    Ok(FoundEsp { path: mount_point.to_owned(), mounted: true })
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
