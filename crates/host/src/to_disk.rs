//! `install to-disk`: a whole disk, written with the same writer as the factory's disk images. No other program makes
//! partitions or file systems, and nothing is mounted.
//!
//! The system is installed into a work directory first, as onto any file system, and from there written to the disk. The
//! root takes all of it; fs-verity is on for every object, though the work directory's file system may not have it.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Epoch, TreePath};
use calypte_composefs::Kind;
use calypte_disk::{Before, FileContent, Output, gpt, image, tree};

use crate::boot::Esp;
use crate::files::{Nodes, read_directory};
use crate::install::InstallOptions;
use crate::state::Deployment;
use crate::{Host, HostError, SystemRoot, disk_changes};

/// Bytes at the start of a disk in which tables and file systems have their marks.
const LOOKED_AT: u64 = 1024 * 1024;

/// Bytes that a root in a file leaves free unless its size is given.
const FREE: u64 = 1024 * 1024 * 1024;

/// How a disk is to be written.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// The device, or a file.
    pub target: PathBuf,
    /// Write over what is there.
    pub wipe: bool,
    /// Every UUID comes from it.
    pub seed: Digest,
    /// Whether the time of the image is taken everywhere, so that the same image gives the same disk.
    pub reproducible: bool,
    /// Size of a file in bytes.
    pub size: Option<u64>,
    /// Size of the boot partition in bytes.
    pub esp_size: u64,
    /// A directory on a file system with room for the image.
    pub work: PathBuf,
}

/// The disk that is written to.
struct Target {
    file: fs_err::File,
    /// Its size where it is a device.
    device: Option<u64>,
    sector: u32,
}

impl Host<'_> {
    /// Installs an image onto a disk.
    ///
    /// # Errors
    /// When there is something on the disk and it is not to be wiped, the image is not accepted, or it does not fit.
    pub fn install_to_disk(
        &self,
        options: &InstallOptions,
        disk: &DiskOptions,
    ) -> Result<Deployment, HostError> {
        check_target(&disk.target, disk.wipe)?;
        let (root, esp) = (disk.work.join("root"), disk.work.join("esp"));
        for directory in [&disk.work, &root, &esp] {
            disk_changes::make_directory(directory)?;
        }
        let mut host = Host {
            system: SystemRoot::new(&root),
            esp: Esp::new(&esp, self.architecture),
            running: None,
            ..self.clone()
        };
        if disk.reproducible {
            let image = host.source(&options.image)?.find(self.architecture)?;
            host.now = crate::trust::created(&image).unwrap_or(Epoch(0));
        }
        let mut options = options.clone();
        options.wishes.sealed = Some(true);
        let deployment = host.install(&options);
        let written = deployment.and_then(|deployment| {
            self.reporter.step(&format!("writing {}", disk.target.display()));
            host.write_disk(disk).map(|()| deployment)
        });
        disk_changes::remove_all(&disk.work)?;
        written
    }

    fn write_disk(&self, disk: &DiskOptions) -> Result<(), HostError> {
        let esp = disk_tree(self.esp.path(), self.now, &|_| false)?;
        // What composefs reads by digest is sealed, and the file by which it knows that.
        let sealed = |path: &TreePath| {
            path.as_str().starts_with("composefs/objects/") || path.as_str() == "composefs/meta.json"
        };
        let root = disk_tree(self.system.path(), self.now, &sealed)?;
        let target = Target::open(&disk.target)?;
        let options = image::Options {
            architecture: self.architecture,
            seed: disk.seed,
            sector: target.sector,
            size: target.device.or(disk.size),
            esp_size: disk.esp_size,
            root_free: if target.device.is_some() || disk.size.is_some() { 0 } else { FREE },
            root_fills: true,
            time: self.now,
        };
        let before = if target.device.is_some() { Before::Anything } else { Before::Zeros };
        let device = target.device.is_some();
        let failed = HostError::io("write", &disk.target);
        let mut output = Output::new(Counted(target.file), before);
        let written = image::write(&esp, &root, &options, &mut output)
            .map_err(|error| HostError::Disk(error.to_string()))?;
        let file = output.finish().map_err(failed)?.0;
        disk_changes::finish_disk(&file, (!device).then_some(written.size), &disk.target)
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self, HostError> {
        let failed = |error| HostError::io("open", path)(error);
        let device = fs_err::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device());
        if !device {
            disk_changes::remove_file(path)?;
            let file = disk_changes::create_disk(path)?;
            return Ok(Self { file, device: None, sector: 512 });
        }
        let mut options = fs_err::OpenOptions::new();
        // Exclusive: the kernel refuses a disk that is mounted or in use otherwise.
        options
            .read(true)
            .write(true)
            .options_mut()
            .custom_flags(rustix::fs::OFlags::EXCL.bits().cast_signed());
        let mut file = options.open(path).map_err(failed)?;
        let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let sector = rustix::fs::ioctl_blksszget(file.file()).map_err(|error| failed(error.into()))?;
        Ok(Self { file, device: Some(size), sector })
    }
}

/// Refuses a disk with something on it, unless it is to be wiped.
fn check_target(path: &Path, wipe: bool) -> Result<(), HostError> {
    let failed = |error| HostError::io("read", path)(error);
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut start = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut start).map_err(failed)?;
    if wipe || start.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let table = [512, 4096].iter().any(|sector| gpt::parse(&start, *sector).is_ok());
    let what = if table { "a partition table" } else { "something" };
    Err(HostError::Usage(format!("there is {what} on {}; --wipe writes over it", path.display())))
}

/// A directory as a tree for a disk.
fn disk_tree(
    directory: &Path,
    time: Epoch,
    sealed: &dyn Fn(&TreePath) -> bool,
) -> Result<tree::Tree, HostError> {
    let nodes: Nodes = read_directory(directory)?;
    let mut made = tree::Tree::new();
    for (path, node) in &nodes {
        let file = directory.join(path.as_str());
        let kind = match &node.kind {
            Kind::Directory => tree::Kind::Directory,
            Kind::File(_) => {
                let content = FileContent::whole(&file).map_err(HostError::io("read", &file))?;
                tree::Kind::File { content: std::sync::Arc::new(content), verity: sealed(path) }
            }
            Kind::Symlink(target) => tree::Kind::Symlink(target.clone()),
            Kind::HardLink(target) => tree::Kind::HardLink(target.clone()),
            Kind::CharDevice(number) => {
                tree::Kind::CharacterDevice(rustix::fs::major(*number), rustix::fs::minor(*number))
            }
            Kind::BlockDevice(number) => {
                tree::Kind::BlockDevice(rustix::fs::major(*number), rustix::fs::minor(*number))
            }
            Kind::Fifo => tree::Kind::Fifo,
            Kind::Socket => tree::Kind::Socket,
        };
        // What belongs to a deployment has the image's times; all else has just been made.
        let own = path.as_str().contains("/etc") || path.as_str().starts_with("state/os/default/var/");
        let entry = tree::Node {
            kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            mtime: if own { Epoch(node.mtime) } else { time },
            xattrs: node.xattrs.clone(),
        };
        made.insert(path.clone(), entry).map_err(|error| HostError::Disk(error.to_string()))?;
    }
    Ok(made)
}

/// Counts each write as a change to a disk.
struct Counted(fs_err::File);

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        disk_changes::write_disk(&mut self.0, buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl io::Seek for Counted {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}
