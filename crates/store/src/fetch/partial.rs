//! A download in the making: a file that outlives the process, so that the next run goes on where this one stopped.
//!
//! The file is locked while someone writes to it, so that two processes that need the same package fetch it once.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use calypte_base::{Digest, Hasher};

use super::FetchError;
use crate::error::StoreError;
use crate::{CHUNK, Store};

/// How often to look whether another process is done with the file.
const POLL: Duration = Duration::from_millis(100);

pub(crate) struct Partial {
    file: fs_err::File,
    path: PathBuf,
    hasher: Hasher,
    length: u64,
}

impl Partial {
    /// Opens and locks the partial file of this digest, waits for another process that has it, and takes in what is
    /// there already.
    pub(crate) fn open(store: &Store, digest: &Digest, interrupted: &AtomicBool) -> Result<Self, FetchError> {
        let path = store.directory("partial").join(digest.hex());
        let file = loop {
            let mut options = fs_err::OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(StoreError::io("create", &path))?;
            lock(&file, &path, interrupted)?;
            // Whoever had the lock may have finished, and so renamed or removed the file.
            if is_at(&file, &path)? {
                break file;
            }
        };
        let mut partial = Self { file, path, hasher: Hasher::new(), length: 0 };
        partial.take_in().map_err(StoreError::io("read", &partial.path))?;
        Ok(partial)
    }

    fn take_in(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = self.file.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..count]);
            self.length += count as u64;
        }
    }

    /// Number of bytes so far.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// The digest of the bytes so far.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Throws away what is there.
    pub(crate) fn restart(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(StoreError::io("write", &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(StoreError::io("write", &self.path))?;
        self.hasher = Hasher::new();
        self.length = 0;
        Ok(())
    }

    /// Makes the file the blob of this digest.
    pub(crate) fn publish(self, store: &Store, digest: &Digest) -> Result<(), StoreError> {
        let target = store.blob_path(digest);
        if let Some(directory) = target.parent() {
            fs_err::create_dir_all(directory).map_err(StoreError::io("create directory", directory))?;
        }
        fs_err::rename(&self.path, &target).map_err(StoreError::io("create", target))
    }

    /// Removes the file if it has nothing worth keeping.
    pub(crate) fn close(self) {
        if self.length == 0 {
            drop(fs_err::remove_file(&self.path));
        }
    }

    /// Removes the file: another process brought the blob.
    pub(crate) fn discard(self) {
        drop(fs_err::remove_file(&self.path));
    }
}

fn lock(file: &fs_err::File, path: &Path, interrupted: &AtomicBool) -> Result<(), FetchError> {
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::WouldBlock) if interrupted.load(Ordering::Relaxed) => {
                return Err(FetchError::Interrupted);
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(POLL),
            // Without locks two processes may write the same file; the digest check then makes one start over.
            Err(std::fs::TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                return Ok(());
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", path)(error).into());
            }
        }
    }
}

fn is_at(file: &fs_err::File, path: &Path) -> Result<bool, StoreError> {
    let ours = file.metadata().map_err(StoreError::io("read", path))?;
    Ok(fs_err::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}
