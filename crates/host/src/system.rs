//! Where things lie on a root file system, and the lock that lets one run at a time change them.

use std::path::{Path, PathBuf};

use calypte_composefs::VerityDigest;
use rustix::fs::FlockOperation;

use crate::repository::list;
use crate::{HostError, disk_changes};

/// A root file system: what is mounted at `/sysroot` of a running host, or a directory that stands for one.
#[derive(Debug, Clone)]
pub struct SystemRoot {
    path: PathBuf,
}

/// Held while a run changes something; given back when it ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: fs_err::File,
    staging: PathBuf,
}

impl Drop for Lock {
    /// What was not finished takes no space: after a full disk there is as much as before.
    fn drop(&mut self) {
        drop(disk_changes::remove_all(&self.staging));
    }
}

impl SystemRoot {
    /// The root file system in this directory.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The composefs repository.
    #[must_use]
    pub fn repository(&self) -> PathBuf {
        self.path.join("composefs")
    }

    /// All that is ours beside it.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Files in the making. On the same file system as all else, since they are renamed.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.state().join("staging")
    }

    /// Downloads.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.state().join("downloads")
    }

    /// What is known of layers.
    #[must_use]
    pub fn layers(&self) -> PathBuf {
        self.state().join("layers")
    }

    /// All deployments.
    #[must_use]
    pub fn deployments(&self) -> PathBuf {
        self.state().join("deploy")
    }

    /// One deployment.
    #[must_use]
    pub fn deployment(&self, digest: &VerityDigest) -> PathBuf {
        self.deployments().join(digest.to_string())
    }

    /// The `/var` that all deployments share.
    #[must_use]
    pub fn var(&self) -> PathBuf {
        self.state().join("os/default/var")
    }

    /// The file that says which deployments count.
    #[must_use]
    pub fn host_file(&self) -> PathBuf {
        self.state().join("host.json")
    }

    /// Whether this is a host at all.
    ///
    /// # Errors
    /// When nothing was ever installed here.
    pub fn check_installed(&self) -> Result<(), HostError> {
        let is_there = [self.repository(), self.state()].iter().any(|path| path.is_dir());
        if is_there { Ok(()) } else { Err(HostError::NotInstalled { path: self.path.clone() }) }
    }

    /// Makes the directories that must be there, takes the lock, and removes what killed runs left half-made.
    ///
    /// # Errors
    /// When another run has the lock, or the directories cannot be made.
    pub fn lock(&self) -> Result<Lock, HostError> {
        for directory in [self.state(), self.layers(), self.deployments()] {
            disk_changes::make_directories(&directory)?;
        }
        let path = self.state();
        let file = fs_err::File::open(&path).map_err(HostError::io("open", &path))?;
        rustix::fs::flock(file.file(), FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                HostError::Locked { path: self.path.clone() }
            } else {
                HostError::io("lock", &path)(error.into())
            }
        })?;
        disk_changes::remove_all(&self.staging())?;
        disk_changes::make_directory(&self.staging())?;
        self.sweep()?;
        Ok(Lock { _file: file, staging: self.staging() })
    }

    /// Removes files and directories that were in the making when a run was killed.
    fn sweep(&self) -> Result<(), HostError> {
        let mut directories =
            vec![self.state(), self.state().join("os/default"), self.var().join("lib/calypte")];
        directories.extend(list(&self.deployments())?);
        for directory in directories.iter().filter(|directory| directory.is_dir()) {
            for path in
                list(directory)?.iter().filter(|path| path.extension().is_some_and(|end| end == "new"))
            {
                disk_changes::remove_all(path)?;
            }
        }
        Ok(())
    }

    /// Bytes that an unprivileged or privileged writer can still write to the file system that holds `path`.
    ///
    /// # Errors
    /// When the file system does not say.
    pub(crate) fn available(path: &Path) -> Result<u64, HostError> {
        let found =
            rustix::fs::statvfs(path).map_err(|error| HostError::io("look at", path)(error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}
