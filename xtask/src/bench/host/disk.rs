//! A file system of its own for each run: what is flushed and counted is the run's alone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::run;

/// Bytes; the file has holes.
const SIZE: u64 = 8 << 30;

/// An ext4 file system in a file, mounted through a loop device. Gone when dropped.
pub struct Disk {
    file: PathBuf,
    mount: PathBuf,
    device: String,
}

impl Disk {
    /// Makes it below a directory.
    ///
    /// # Errors
    /// When this is not root, or there are no loop devices.
    pub fn new(below: &Path) -> Result<Self> {
        let (file, mount) = (below.join("disk.img"), below.join("disk"));
        fs_err::create_dir_all(&mount)?;
        fs_err::File::create(&file)?.file().set_len(SIZE)?;
        // No writing of empty tables behind one's back.
        let options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run::succeed(run::command("mke2fs", &["-t", "ext4"]).args(options).arg(&file))?;
        let device = run::output(run::command("losetup", &["--find", "--show"]).arg(&file))?;
        let disk = Self { file, mount, device: device.trim().to_owned() };
        run::succeed(run::command("mount", &[&disk.device]).arg(&disk.mount))?;
        Ok(disk)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mount.join(name)
    }

    /// Bytes that were written to it until now, after all was flushed.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn written(&self) -> Result<f64> {
        run::succeed(run::command("sync", &["--file-system"]).arg(&self.mount))?;
        let name = Path::new(&self.device).file_name().context("a device has a name")?;
        let text = fs_err::read_to_string(Path::new("/sys/block").join(name).join("stat"))?;
        let sectors: f64 = text.split_whitespace().nth(6).context("no sectors")?.parse()?;
        Ok(sectors * 512.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(run::succeed(run::command("umount", &[]).arg(&self.mount)));
        drop(run::succeed(&mut run::command("losetup", &["--detach", &self.device])));
        drop(fs_err::remove_file(&self.file));
    }
}
