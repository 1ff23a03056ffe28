//! One run at a time over a store: a file that the kernel unlocks when its holder ends, however that comes about.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Result, bail};
use rustix::fs::{FlockOperation, flock};

/// The right to run; it ends when this is dropped.
#[derive(Debug)]
pub struct Single {
    _file: fs_err::File,
}

impl Single {
    /// Takes it.
    ///
    /// # Errors
    /// When another process has it, which is named, or the file cannot be written.
    pub fn take(path: &Path) -> Result<Self> {
        let mut options = fs_err::OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        if flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            bail!(
                "another pipeline is at work over this store (process {})\nhint: wait until it ends; `calypte pipeline status` \
                 shows what it does",
                holder.trim()
            );
        }
        file.file().set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }

    /// Whether somebody has it.
    #[must_use]
    pub fn is_taken(path: &Path) -> bool {
        let Ok(file) = fs_err::File::open(path) else { return false };
        flock(file.file(), FlockOperation::NonBlockingLockShared).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_at_work() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert!(!Single::is_taken(&path));
        let first = Single::take(&path).unwrap();
        assert!(Single::is_taken(&path));
        let error = Single::take(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Single::take(&path).unwrap();
    }
}
