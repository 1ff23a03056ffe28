//! Packs: the file contents of one unpacked package in one file, uncompressed, so that a second build reads them
//! without decompressing anything, and without tens of thousands of small files.
//!
//! Layout: the contents one after another; the index, whose meaning is the caller's; and a footer of 112 bytes:
//! offset of the index and its length (`u64`, little endian), SHA-256 of the index, the key, and [`MAGIC`].
//! The footer comes last, so a file that was cut has none and counts as absent. The key names the package *and* the
//! way it was unpacked (the caller hashes a version of its index format into it), so one key always has one pack.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use calypte_base::{Digest, Hasher};

use crate::error::StoreError;
use crate::staging::Staged;
use crate::sweep::note_use;
use crate::{CHUNK, Store};

/// The last bytes of every pack; another layout gets another number.
const MAGIC: &[u8; 16] = b"calypte pack 1\n\0";
const FOOTER: usize = 8 + 8 + 32 + 32 + MAGIC.len();

/// Packs kept open at once: an image can have more packages than a process may have open files (often 1,024).
const OPEN_FILES: usize = 192;

impl Store {
    /// Where the pack of this key lies or would lie.
    #[must_use]
    pub fn pack_path(&self, key: &Digest) -> PathBuf {
        let hex = key.hex();
        self.directory("packs").join(&hex[..2]).join(&hex)
    }

    /// A pack to be written.
    ///
    /// # Errors
    /// When no file can be made in the store.
    pub fn pack_writer(&self) -> Result<PackWriter, StoreError> {
        let staged = Staged::new(&self.directory("partial"))?;
        Ok(PackWriter { store: self.clone(), staged, buffer: vec![0; CHUNK], filled: 0, written: 0 })
    }

    /// The pack of this key, with its index read; `None` when there is none. A pack with a damaged frame or index is
    /// removed and counts as none: it is only derived from its package. (Damaged contents are found by
    /// [`crate::Contents::read`] and [`crate::Contents::copy`].)
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn pack(&self, key: &Digest) -> Result<Option<Pack>, StoreError> {
        let path = self.pack_path(key);
        note_use(&path);
        let file = match fs_err::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        match read_frame(&file, key).map_err(StoreError::io("read", &path))? {
            Some((index, data_size)) => Ok(Some(self.make_pack(path, file, index, data_size))),
            None => {
                fs_err::remove_file(&path).map_err(StoreError::io("remove", &path))?;
                Ok(None)
            }
        }
    }

    fn make_pack(&self, path: PathBuf, file: fs_err::File, index: Vec<u8>, data_size: u64) -> Pack {
        let files = Arc::clone(self.open_files());
        let id = files.add(file);
        Pack { shared: Arc::new(Shared { path, id, index, data_size, files }) }
    }
}

/// The index and the number of bytes before it, or nothing when the frame is not whole.
fn read_frame(file: &fs_err::File, key: &Digest) -> io::Result<Option<(Vec<u8>, u64)>> {
    let length = file.metadata()?.len();
    let Some(index_end) = length.checked_sub(FOOTER as u64) else { return Ok(None) };
    let mut footer = [0; FOOTER];
    file.file().read_exact_at(&mut footer, index_end)?;
    let number =
        |at: usize| footer[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let (index_start, index_length) = (number(0), number(8));
    let in_place = index_start.checked_add(index_length) == Some(index_end);
    if !in_place || footer[48..80] != key.bytes()[..] || footer[80..] != MAGIC[..] {
        return Ok(None);
    }
    // Not longer than the file, which was just measured.
    let Ok(capacity) = usize::try_from(index_length) else { return Ok(None) };
    let mut index = vec![0; capacity];
    file.file().read_exact_at(&mut index, index_start)?;
    let whole = Digest::of(&index).bytes()[..] == footer[16..48];
    Ok(whole.then_some((index, index_start)))
}

/// Where a content lies in a pack, as [`PackWriter::append`] gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedContent {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Where they start in the pack.
    pub offset: u64,
}

/// A pack in the making; dropped before [`PackWriter::finish`], nothing stays.
#[derive(Debug)]
pub struct PackWriter {
    store: Store,
    staged: Staged,
    /// Readers read straight into this buffer, and it goes to disk when it is full: no byte is copied in between.
    buffer: Vec<u8>,
    filled: usize,
    written: u64,
}

impl PackWriter {
    /// Appends exactly `size` bytes of the reader and hashes them on the way. Memory does not grow with `size`.
    ///
    /// # Errors
    /// The reader's own error as it is; `UnexpectedEof` when the reader ends early; or the disk's, naming the path.
    /// After an error the pack cannot be finished sensibly: drop it.
    pub fn append(&mut self, reader: &mut dyn Read, size: u64) -> io::Result<PackedContent> {
        let offset = self.written + self.filled as u64;
        let mut hasher = Hasher::new();
        let mut left = size;
        while left > 0 {
            if self.filled == self.buffer.len() {
                self.flush()?;
            }
            let room = (self.buffer.len() - self.filled).min(usize::try_from(left).unwrap_or(usize::MAX));
            let target = &mut self.buffer[self.filled..self.filled + room];
            let count = match reader.read(target) {
                Ok(0) => {
                    let message = format!("the data ends {left} bytes early (of {size})");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&target[..count]);
            self.filled += count;
            left -= count as u64;
        }
        Ok(PackedContent { digest: hasher.finish(), size, offset })
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.staged.write_all(&self.buffer[..self.filled])?;
        self.written += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Adds the index and makes the pack visible under this key, in place of an older one.
    ///
    /// # Errors
    /// When the rest cannot be written; then nothing is left behind.
    pub fn finish(mut self, key: &Digest, index: &[u8]) -> Result<Pack, StoreError> {
        self.flush()?;
        self.staged.write_all(index)?;
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&self.written.to_le_bytes());
        footer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        footer.extend_from_slice(Digest::of(index).bytes());
        footer.extend_from_slice(key.bytes());
        footer.extend_from_slice(MAGIC);
        self.staged.write_all(&footer)?;
        let path = self.store.pack_path(key);
        self.staged.publish(&path)?;
        let file = fs_err::File::open(&path).map_err(StoreError::io("open", &path))?;
        Ok(self.store.make_pack(path, file, index.to_vec(), self.written))
    }
}

/// A finished pack. Cheap to clone; may be read from several threads.
#[derive(Debug, Clone)]
pub struct Pack {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    id: u64,
    index: Vec<u8>,
    data_size: u64,
    files: Arc<OpenFiles>,
}

impl Pack {
    /// The index as it was given to [`PackWriter::finish`].
    #[must_use]
    pub fn index(&self) -> &[u8] {
        &self.shared.index
    }

    /// Number of bytes of all contents.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.shared.data_size
    }

    /// The pack's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Fills the buffer with the bytes at this offset of the contents.
    ///
    /// # Errors
    /// When the range is not inside the contents, or the disk refuses.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if !self.holds(offset, buffer.len() as u64) {
            let message = format!("{} has no {} bytes at {offset}", self.path().display(), buffer.len());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.file()?.file().read_exact_at(buffer, offset).map_err(|error| self.read_error(error))
    }

    /// Whether this range lies inside the contents.
    pub(crate) fn holds(&self, offset: u64, size: u64) -> bool {
        offset.checked_add(size).is_some_and(|end| end <= self.shared.data_size)
    }

    pub(crate) fn file(&self) -> io::Result<Arc<fs_err::File>> {
        self.shared.files.get(self.shared.id, &self.shared.path)
    }

    pub(crate) fn read_error(&self, error: io::Error) -> io::Error {
        StoreError::io("read", self.path())(error).into()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.files.close(self.id);
    }
}

/// The packs' open files, the most recently used first.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    next: AtomicU64,
    open: Mutex<VecDeque<(u64, Arc<fs_err::File>)>>,
}

impl OpenFiles {
    fn add(&self, file: fs_err::File) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.insert(id, Arc::new(file));
        id
    }

    fn insert(&self, id: u64, file: Arc<fs_err::File>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_front((id, file));
        open.truncate(OPEN_FILES);
    }

    fn get(&self, id: u64, path: &Path) -> io::Result<Arc<fs_err::File>> {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = open.iter().position(|(other, _)| *other == id) {
                let file = Arc::clone(&open[place].1);
                open.swap(0, place);
                return Ok(file);
            }
        }
        let file = Arc::new(fs_err::File::open(path)?);
        self.insert(id, Arc::clone(&file));
        Ok(file)
    }

    fn close(&self, id: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _)| *other != id);
    }
}
