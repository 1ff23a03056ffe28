//! Files that appear whole or not at all: written under a temporary name, then renamed.
//!
//! Each temporary file is locked (`flock`) for as long as its writer lives, so that a later run can tell the
//! leftovers of a killed process, which it removes, from the work of a living one.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::StoreError;

const PREFIX: &str = "write-";

/// A file in the making; gone when dropped before [`Staged::publish`].
#[derive(Debug)]
pub(crate) struct Staged {
    file: NamedTempFile,
}

impl Staged {
    /// A new empty file in this directory, which must be on the file system of the later target.
    pub(crate) fn new(directory: &Path) -> Result<Self, StoreError> {
        loop {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(directory)
                .map_err(StoreError::io("create a file in", directory))?;
            match file.as_file().lock() {
                // Some network file systems have no locks: then leftovers are never swept, which harms nothing.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Self { file }),
                Err(error) => return Err(StoreError::io("lock", file.path())(error)),
                Ok(()) => {}
            }
            // A sweep of another process may have taken the file between its creation and the lock.
            let metadata = file.as_file().metadata().map_err(StoreError::io("read", file.path()))?;
            if metadata.nlink() > 0 {
                return Ok(Self { file });
            }
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let result = self.file.as_file_mut().write_all(bytes);
        result.map_err(StoreError::io("write", self.file.path()))
    }

    /// Waits until the bytes are on the disk: for the few files whose loss a crash must not cause.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.as_file().sync_all().map_err(StoreError::io("write", self.file.path()))
    }

    /// Gives the file its name, in place of what had it before.
    pub(crate) fn publish(self, target: &Path) -> Result<(), StoreError> {
        if let Some(directory) = target.parent() {
            fs_err::create_dir_all(directory).map_err(StoreError::io("create directory", directory))?;
        }
        self.file.persist(target).map_err(|error| StoreError::io("create", target)(error.error))?;
        Ok(())
    }
}

/// Removes what killed processes left in this directory.
pub(crate) fn sweep(directory: &Path) -> Result<(), StoreError> {
    let entries = fs_err::read_dir(directory).map_err(StoreError::io("read directory", directory))?;
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read directory", directory))?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Whatever fails here, the file is in use, already gone, or not ours to remove.
        if let Ok(file) = fs_err::File::open(entry.path())
            && file.file().try_lock().is_ok()
        {
            drop(fs_err::remove_file(entry.path()));
        }
    }
    Ok(())
}
