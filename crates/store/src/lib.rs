//! The content-addressed store and all network: every byte that enters or leaves the factory passes here.
//!
//! A [`Store`] is a directory, by custom the user's cache directory:
//!
//! ```text
//! blobs/ab/ab12…    files named by their SHA-256: packages, indexes, layers
//! packs/cd/cd34…    the contents of one unpacked package in one file ([`pack`])
//! cache/KIND/KEY    derived results, by the digest of what they were derived from
//! state/NAME        what must be remembered between runs
//! partial/          downloads to be resumed, and files in the making
//! ```
//!
//! Every file appears whole by a rename or not at all, so several processes may share a store and each may be killed
//! at any time. Blobs are not flushed to the disk one by one, which would cost more than all else: after a crash of
//! the *machine* a file may be damaged, and this is found where it matters: [`Store::open_verified`],
//! [`Contents::read`] and [`Contents::copy`] check the digest of what they give, remove the damaged file and say so.
//! All but `state` can be deleted at any time and comes back by itself; what was not used for long goes by
//! [`Store::sweep`].

pub mod archive;
mod blob;
pub mod contents;
pub mod error;
pub mod fetch;
pub mod pack;
pub mod registry;
mod staging;
mod state;
pub mod sweep;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use blob::BlobWriter;
pub use contents::{ContentReader, Contents};
pub use error::StoreError;
pub use fetch::{Download, FetchError, FetchSettings, Fetcher, Progress, Silent};
pub use pack::{Pack, PackWriter, PackedContent};

/// Bytes read or written at once: large enough that system calls cost nothing beside the hash, small enough to stay
/// in the second-level cache.
pub(crate) const CHUNK: usize = 256 * 1024;

const DIRECTORIES: [&str; 5] = ["blobs", "packs", "cache", "state", "partial"];

/// The mark by which backup programs know that a directory need not be saved (the Cache Directory Tagging
/// Specification).
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# Made by calypte; may be deleted.\n";

/// A store below one directory. Cheap to clone; may be used from several threads and processes at once.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<Path>,
    files: Arc<pack::OpenFiles>,
}

impl Store {
    /// Opens the store in this directory, makes it where there is none, and removes what killed processes left
    /// half-written (but not downloads that can be resumed).
    ///
    /// # Errors
    /// When the directory cannot be made or written to.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into().into(), files: Arc::default() };
        for name in DIRECTORIES {
            let directory = store.directory(name);
            fs_err::create_dir_all(&directory).map_err(StoreError::io("create directory", &directory))?;
        }
        staging::sweep(&store.directory("partial"))?;
        let tag = store.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            let mut staged = staging::Staged::new(&store.directory("partial"))?;
            staged.write_all(CACHE_TAG)?;
            staged.publish(&tag)?;
        }
        Ok(store)
    }

    /// The directory that holds the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) const fn open_files(&self) -> &Arc<pack::OpenFiles> {
        &self.files
    }
}
