//! Blobs: files named by the SHA-256 of their bytes.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Hasher};

use crate::error::StoreError;
use crate::staging::Staged;
use crate::sweep::note_use;
use crate::{CHUNK, Store};

impl Store {
    /// Where a blob lies or would lie.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.directory("blobs").join(&hex[..2]).join(&hex)
    }

    /// Whether the blob is there; its bytes are not looked at.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.size_of(digest).is_some()
    }

    /// How many bytes the blob has; `None` when it is not there.
    #[must_use]
    pub fn size_of(&self, digest: &Digest) -> Option<u64> {
        note_use(&self.blob_path(digest))
    }

    /// Whether the blob is there with so many bytes, which themselves are not looked at: the length shows what a crash of
    /// the machine does to a file.
    #[must_use]
    pub fn has_whole(&self, digest: &Digest, size: u64) -> bool {
        self.size_of(digest) == Some(size)
    }

    /// Opens a blob without looking at its bytes; `None` when it is not there. For blobs whose reader hashes them
    /// anyway; all others take [`Store::open_verified`].
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn blob(&self, digest: &Digest) -> Result<Option<fs_err::File>, StoreError> {
        let path = self.blob_path(digest);
        note_use(&path);
        match fs_err::File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", path)(error)),
        }
    }

    /// Opens a blob whose bytes were hashed first, so that a parser never sees damaged ones; positioned at the start.
    /// A damaged blob is removed, so that the next fetch brings it anew.
    ///
    /// The file is read twice for this. The second time it comes from the page cache, and the hash of a package costs
    /// a fiftieth of its decompression.
    ///
    /// # Errors
    /// When the blob is missing, unreadable or damaged.
    pub fn open_verified(&self, digest: &Digest) -> Result<fs_err::File, StoreError> {
        let path = self.blob_path(digest);
        let mut file = self.blob(digest)?.ok_or_else(|| StoreError::Missing {
            what: "blob",
            digest: *digest,
            path: path.clone(),
        })?;
        let found = hash_file(&mut file).map_err(StoreError::io("read", &path))?;
        if found != *digest {
            drop(fs_err::remove_file(&path));
            return Err(StoreError::Corrupt { path, expected: *digest, found });
        }
        io::Seek::rewind(&mut file).map_err(StoreError::io("read", &path))?;
        Ok(file)
    }

    /// The bytes of a blob, verified; for small ones.
    ///
    /// # Errors
    /// As [`Store::open_verified`].
    pub fn read_verified(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut file = self.open_verified(digest)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(StoreError::io("read", self.blob_path(digest)))?;
        Ok(bytes)
    }

    /// Keeps these bytes and gives their digest.
    ///
    /// # Errors
    /// When they cannot be written; then nothing is left behind.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        // A blob of another length was cut by a crash of the machine, and is replaced.
        if !self.has_whole(&digest, bytes.len() as u64) {
            let mut staged = Staged::new(&self.directory("partial"))?;
            staged.write_all(bytes)?;
            staged.publish(&self.blob_path(&digest))?;
        }
        Ok(digest)
    }

    /// Makes a blob of a file on the same file system, if it holds what the digest promises; gives the digest that it
    /// has. A file of another digest stays where it is.
    ///
    /// # Errors
    /// When the file cannot be read or moved.
    pub fn adopt(&self, file: &Path, expected: &Digest) -> Result<Digest, StoreError> {
        let opened = fs_err::File::open(file);
        let found = opened.and_then(|mut file| hash_file(&mut file)).map_err(StoreError::io("read", file))?;
        if found == *expected {
            let path = self.blob_path(expected);
            if let Some(directory) = path.parent() {
                fs_err::create_dir_all(directory).map_err(StoreError::io("create directory", directory))?;
            }
            fs_err::rename(file, &path).map_err(StoreError::io("create", path))?;
        }
        Ok(found)
    }

    /// A blob to be written piece by piece, of any size.
    ///
    /// # Errors
    /// When no file can be made in the store.
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        let staged = Staged::new(&self.directory("partial"))?;
        Ok(BlobWriter {
            store: self.clone(),
            staged,
            hasher: Hasher::new(),
            size: 0,
            buffer: Vec::with_capacity(CHUNK),
        })
    }

    /// Removes a blob; whether it was there.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.blob_path(digest);
        match fs_err::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("remove", path)(error)),
        }
    }
}

/// The digest of what a reader still gives.
pub(crate) fn hash_file(reader: &mut dyn Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A blob in the making: hashes what is written, and names the file by that at [`BlobWriter::finish`]. Dropped
/// before, nothing stays.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    staged: Staged,
    hasher: Hasher,
    size: u64,
    buffer: Vec<u8>,
}

impl BlobWriter {
    /// Puts the blob into the store and gives its digest and size in bytes.
    ///
    /// # Errors
    /// When the rest cannot be written; then nothing is left behind.
    pub fn finish(mut self) -> Result<(Digest, u64), StoreError> {
        self.staged.write_all(&self.buffer)?;
        let digest = self.hasher.finish();
        self.staged.publish(&self.store.blob_path(&digest))?;
        Ok((digest, self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > CHUNK {
            self.staged.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        if bytes.len() >= CHUNK {
            self.staged.write_all(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    /// Does nothing: only [`BlobWriter::finish`] makes the bytes visible.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
