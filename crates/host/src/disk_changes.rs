//! The only place that changes a disk: every write, rename, sync, link and removal goes through here.
//!
//! So each of them is counted, and with the feature `fault-injection` a test kills the program before any one of them.
//! What must be durable follows one order: the new file is written under another name, flushed, renamed, and then its
//! directory is flushed; whoever reads sees the old state or the new one. Downloads alone are written by the store, whose
//! files are checked each time they are read.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::os::unix::fs as unix;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::HostError;

static COUNT: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "fault-injection")]
static STOP_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static STAGED: AtomicU64 = AtomicU64::new(0);

/// Pieces in which files are written: each is a change of its own.
const PIECE: usize = 1024 * 1024;

/// How many changes this process has made.
#[cfg(feature = "fault-injection")]
pub fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Makes the process die by SIGKILL before the change with this number (the first is 1).
#[cfg(feature = "fault-injection")]
pub fn stop_at(number: u64) {
    STOP_AT.store(number, Ordering::SeqCst);
}

fn before_change() {
    let _number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    #[cfg(feature = "fault-injection")]
    if _number >= STOP_AT.load(Ordering::SeqCst) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// A file in the making, under a name that means nothing. It is removed again unless it is published.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: Option<fs_err::File>,
    path: PathBuf,
    published: bool,
}

impl NewFile {
    /// A new file in this directory, readable for all.
    pub(crate) fn create(directory: &Path) -> Result<Self, HostError> {
        loop {
            let number = STAGED.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{}-{number}.new", std::process::id()));
            before_change();
            match fs_err::OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file: Some(file), path, published: false }),
                // Of a killed process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(HostError::io("create", &path)(error)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        for piece in bytes.chunks(PIECE) {
            before_change();
            if let Some(file) = &mut self.file {
                file.write_all(piece).map_err(HostError::io("write", &self.path))?;
            }
        }
        Ok(())
    }

    pub(crate) fn set_mode(&self, mode: u32) -> Result<(), HostError> {
        before_change();
        fs_err::set_permissions(&self.path, std::fs::Permissions::from_mode(mode))
            .map_err(HostError::io("change the mode of", &self.path))
    }

    /// Flushes its bytes to the disk.
    pub(crate) fn sync(&self) -> Result<(), HostError> {
        before_change();
        match &self.file {
            Some(file) => file.sync_all().map_err(HostError::io("flush", &self.path)),
            None => Ok(()),
        }
    }

    /// Closes it for writing.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// Gives it its name, in place of what had that name.
    pub(crate) fn publish(mut self, to: &Path) -> Result<(), HostError> {
        self.close();
        rename(&self.path, to)?;
        self.published = true;
        Ok(())
    }

    /// Keeps it under the name that it has; the caller sees to it.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.published = true;
        self.close();
        std::mem::take(&mut self.path)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            before_change();
            drop(fs_err::remove_file(&self.path));
        }
    }
}

fn change<T>(
    action: &'static str,
    path: &Path,
    work: impl FnOnce() -> io::Result<T>,
) -> Result<T, HostError> {
    before_change();
    work().map_err(HostError::io(action, path))
}

fn system<T>(
    action: &'static str,
    path: &Path,
    work: impl FnOnce() -> rustix::io::Result<T>,
) -> Result<T, HostError> {
    change(action, path, || work().map_err(io::Error::from))
}

/// Renames a file or directory; what has the new name is replaced.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), HostError> {
    change("rename to", to, || fs_err::rename(from, to))
}

/// Renames a file or directory; what has the new name gets the old one.
pub(crate) fn rename_or_exchange(from: &Path, to: &Path) -> Result<(), HostError> {
    if fs_err::symlink_metadata(to).is_err() {
        return rename(from, to);
    }
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    system("exchange", to, || rustix::fs::renameat_with(CWD, from, CWD, to, flags))
}

/// Flushes a directory: names that were given or taken in it are then on the disk.
pub(crate) fn sync_directory(path: &Path) -> Result<(), HostError> {
    change("flush", path, || fs_err::File::open(path)?.sync_all())
}

/// Flushes the whole file system that holds this path.
pub(crate) fn sync_file_system(path: &Path) -> Result<(), HostError> {
    let file = fs_err::File::open(path).map_err(HostError::io("open", path))?;
    system("flush the file system of", path, || rustix::fs::syncfs(file.file()))
}

/// Makes a directory, if it is not there; its parents must be.
pub(crate) fn make_directory(path: &Path) -> Result<(), HostError> {
    if path.is_dir() {
        return Ok(());
    }
    change("create", path, || match fs_err::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    })
}

/// Makes a directory with those above it.
pub(crate) fn make_directories(path: &Path) -> Result<(), HostError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directories(parent)?;
    }
    make_directory(path)
}

/// Makes a symbolic link where nothing is.
pub(crate) fn symlink(target: &str, path: &Path) -> Result<(), HostError> {
    change("create", path, || unix::symlink(target, path))
}

/// Makes a device, named pipe or socket.
pub(crate) fn make_node(path: &Path, kind: FileType, device: u64) -> Result<(), HostError> {
    let mode = Mode::from_raw_mode(0o600);
    system("create", path, || rustix::fs::mknodat(CWD, path, kind, mode, device))
}

/// Removes a file, if it is there.
pub(crate) fn remove_file(path: &Path) -> Result<(), HostError> {
    change("remove", path, || match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Removes an empty directory.
pub(crate) fn remove_directory(path: &Path) -> Result<(), HostError> {
    change("remove", path, || fs_err::remove_dir(path))
}

/// Removes a file or a directory with all that is in it, if it is there.
pub(crate) fn remove_all(path: &Path) -> Result<(), HostError> {
    let Ok(metadata) = fs_err::symlink_metadata(path) else { return Ok(()) };
    if !metadata.is_dir() {
        return remove_file(path);
    }
    let entries = fs_err::read_dir(path).map_err(HostError::io("list", path))?;
    for entry in entries {
        remove_all(&entry.map_err(HostError::io("list", path))?.path())?;
    }
    remove_directory(path)
}

/// Owner, mode and extended attributes of a path that is not followed.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) xattrs: &'a std::collections::BTreeMap<String, Vec<u8>>,
}

/// Gives a path its attributes. The owner first: a change of owner takes setuid bits and capabilities away.
pub(crate) fn set_attributes(path: &Path, attributes: &Attributes<'_>) -> Result<(), HostError> {
    change("change the owner of", path, || unix::lchown(path, Some(attributes.uid), Some(attributes.gid)))?;
    if let Some(mode) = attributes.mode {
        let permissions = std::fs::Permissions::from_mode(mode);
        change("change the mode of", path, || fs_err::set_permissions(path, permissions))?;
    }
    for (name, value) in attributes.xattrs {
        system("change the attributes of", path, || {
            rustix::fs::lsetxattr(path, name.as_str(), value, XattrFlags::empty())
        })?;
    }
    let time = Timespec { tv_sec: attributes.mtime, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    system("change the time of", path, || rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW))
}

/// Turns fs-verity on for a file that nobody has open for writing. Gives whether its file system has it.
pub(crate) fn enable_verity(path: &Path) -> Result<bool, HostError> {
    change("seal", path, || calypte_composefs::verity::enable(fs_err::File::open(path)?.file()))
}

/// Writes a file whole, flushes it and gives it its name, durable.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = NewFile::create(directory)?;
    file.append(bytes)?;
    file.sync()?;
    file.publish(path)?;
    sync_directory(directory)
}

/// Makes the file that stands for a disk.
pub(crate) fn create_disk(path: &Path) -> Result<fs_err::File, HostError> {
    change("create", path, || fs_err::OpenOptions::new().read(true).write(true).create_new(true).open(path))
}

/// Writes a piece of a disk.
pub(crate) fn write_disk(file: &mut fs_err::File, bytes: &[u8]) -> io::Result<usize> {
    before_change();
    file.write(bytes)
}

/// Flushes a disk that was written, and gives a file its size.
pub(crate) fn finish_disk(file: &fs_err::File, size: Option<u64>, path: &Path) -> Result<(), HostError> {
    if let Some(size) = size {
        change("set the size of", path, || file.set_len(size))?;
    }
    change("flush", path, || file.sync_all())
}
