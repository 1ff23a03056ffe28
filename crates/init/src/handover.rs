//! The end of this program: the system becomes the root, and its first process takes this one's place.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::command_line::CommandLine;
use crate::devices::Device;
use crate::error::InitError;
use crate::mount;
use crate::system::PLACE;

/// What the system takes over as it is.
const KEPT: &[&str] = &["dev", "proc", "run", "sys"];

/// Starts the system's first process.
///
/// # Errors
/// When the root cannot be switched or the program cannot be started; otherwise it does not come back.
pub fn start(line: &CommandLine, device: &Device, arguments: Vec<OsString>) -> Result<Infallible, InitError> {
    name_root_device(device).map_err(|source| InitError::Switch { step: "naming its device", source })?;
    for kept in KEPT {
        let (from, to) = (Path::new("/").join(kept), Path::new(PLACE).join(kept));
        let error = |source| InitError::State { from: from.clone(), to: to.clone(), source };
        mount::relocate(&from, &to).map_err(error)?;
    }
    free_memory();
    let failed = |step| move |errno: rustix::io::Errno| InitError::Switch { step, source: errno.into() };
    rustix::process::chdir(PLACE).map_err(failed("entering it"))?;
    mount::relocate(Path::new("."), Path::new("/"))
        .map_err(|source| InitError::Switch { step: "moving it", source })?;
    rustix::process::chroot(".").map_err(failed("making it the root"))?;
    rustix::process::chdir("/").map_err(failed("entering it again"))?;
    let source = Command::new(line.init()).args(arguments).exec();
    Err(InitError::Start { program: line.init().to_owned(), source })
}

/// The system's root is an overlay, which has no device: systemd's generator for Discoverable Partitions (`/boot`, swap)
/// looks here for the one whose disk it should read.
fn name_root_device(device: &Device) -> std::io::Result<()> {
    fs_err::create_dir_all("/run/systemd")?;
    fs_err::os::unix::fs::symlink(format!("/dev/block/{}", device.number), "/run/systemd/volatile-root")
}

/// The files of the initramfs lie in memory, and nobody will see them again.
fn free_memory() {
    let Ok(entries) = fs_err::read_dir("/") else { return };
    for entry in entries.flatten() {
        let is_kept = KEPT.iter().chain(&["sysroot"]).any(|kept| entry.file_name() == *kept);
        if is_kept {
            continue;
        }
        // What cannot be removed costs a little memory.
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs_err::remove_dir_all(entry.path()),
            _ => fs_err::remove_file(entry.path()),
        };
    }
}
