//! Mounting by the kernel's newer calls, which say in words why they fail.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// A file system that is being set up.
#[derive(Debug)]
pub struct FileSystem {
    context: OwnedFd,
}

impl FileSystem {
    /// Begins with one of the given type.
    ///
    /// # Errors
    /// When the kernel does not know the type.
    pub fn open(kind: &str) -> io::Result<Self> {
        match fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(context) => Ok(Self { context }),
            Err(Errno::NODEV) => Err(io::Error::other(format!("the kernel does not know {kind}"))),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets an option to a value.
    ///
    /// # Errors
    /// When the file system refuses it.
    pub fn set(self, option: &str, value: &Path) -> io::Result<Self> {
        let value = CString::new(value.as_os_str().as_bytes())?;
        let outcome = fsconfig_set_string(&self.context, option, &value);
        self.explain(outcome)?;
        Ok(self)
    }

    /// Sets an option that has no value.
    ///
    /// # Errors
    /// When the file system refuses it.
    pub fn flag(self, option: &str) -> io::Result<Self> {
        let outcome = fsconfig_set_flag(&self.context, option);
        self.explain(outcome)?;
        Ok(self)
    }

    /// Mounts it.
    ///
    /// # Errors
    /// When it cannot be mounted, with what the kernel says of it.
    pub fn attach(self, attributes: MountAttrFlags, place: &Path) -> io::Result<()> {
        self.explain(fsconfig_create(&self.context))?;
        let mounted = self.explain(fsmount(&self.context, FsMountFlags::FSMOUNT_CLOEXEC, attributes))?;
        move_mount(&mounted, c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(())
    }

    /// The kernel's own words for a failure, where it has some.
    fn explain<T>(&self, outcome: rustix::io::Result<T>) -> io::Result<T> {
        let errno = match outcome {
            Ok(value) => return Ok(value),
            Err(errno) => errno,
        };
        let mut words = Vec::new();
        let mut buffer = [0; 1024];
        // Each read gives one message: a letter for its kind, a blank, and the text.
        while let Ok(length @ 1..) = rustix::io::read(&self.context, &mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]);
            words.push(message.trim().trim_start_matches(['e', 'w', 'i']).trim().to_owned());
        }
        match words.join("; ") {
            words if words.is_empty() => Err(errno.into()),
            words => Err(io::Error::other(format!("{}: {words}", io::Error::from(errno)))),
        }
    }
}

/// Shows a directory at another place too.
///
/// # Errors
/// When one of them is not there.
pub fn bind(from: &Path, to: &Path) -> io::Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, from, flags)?;
    move_mount(&tree, c"", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// Moves what is mounted at one place to another.
///
/// # Errors
/// When nothing is mounted there, or the other place is not there.
pub fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    move_mount(CWD, from, CWD, to, MoveMountFlags::empty())?;
    Ok(())
}
