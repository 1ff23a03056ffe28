//! Where the bytes of a file come from: a size that is known beforehand, and a stream that is opened when they are needed.
//!
//! A root of two gigabytes is laid out from the sizes alone, and written file by file: no content is held in memory.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use fs_err::File;

/// The bytes of a file. Each time it is opened it must give the same bytes, exactly [`Content::size`] of them.
pub trait Content: fmt::Debug + Send + Sync {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// A stream of the bytes, from the first one.
    ///
    /// # Errors
    /// When they cannot be read.
    fn open(&self) -> io::Result<Box<dyn Read + '_>>;
}

/// A content that several nodes and threads can share.
pub type SharedContent = Arc<dyn Content>;

impl Content for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.as_slice()))
    }
}

/// A piece of a file of this machine: all of it, or what lies in a pack.
#[derive(Debug, Clone)]
pub struct FileContent {
    /// The file.
    pub path: PathBuf,
    /// Where the piece starts, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl FileContent {
    /// The whole of a file, as large as it is now.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn whole(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let size = fs_err::metadata(&path)?.len();
        Ok(Self { path, offset: 0, size })
    }
}

impl Content for FileContent {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(Box::new(file.take(self.size)))
    }
}
