//! What can go wrong with the store's own files. Every error names the path, the reason and, where there is one,
//! the cure.

use std::io;
use std::path::PathBuf;

use calypte_base::Digest;

/// A failure of the store's files (network failures are [`crate::fetch::FetchError`]).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was being done, as a verb: `write`, `create directory`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A stored file is not what its name says: the disk, a crash of the machine or another program changed it.
    #[error("{path} is damaged: it should hold {expected} but holds {found}", path = path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// A file of an archive is not what its name says.
    #[error("{path} in the archive is damaged: it should hold {expected} but holds {found}", path = path.display())]
    DamagedArchive {
        /// The damaged file.
        path: PathBuf,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// What was remembered between runs cannot be read any more.
    #[error("{path} is damaged: what it remembers does not match its checksum", path = path.display())]
    DamagedState {
        /// The damaged file.
        path: PathBuf,
    },
    /// A list of contents points outside of its pack.
    #[error("{path} is damaged: content {digest} should lie outside of its data", path = path.display())]
    OutOfPack {
        /// The pack.
        path: PathBuf,
        /// The content.
        digest: Digest,
    },
    /// Something was asked for that the store does not have.
    #[error("the store has no {what} {digest} (looked for {path})", path = path.display())]
    Missing {
        /// `blob` or `content`.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// Where it would lie.
        path: PathBuf,
    },
}

impl StoreError {
    /// Gives an operating system error the path that it lacks; for `map_err`.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source: bare(source) }
    }

    /// Whether the disk, or the user's share of it, is full.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { path, .. } if self.is_full_disk() => Some(format!(
                "free some space on the file system that holds {}, or put the cache elsewhere, and run the same \
                 command again: finished work is kept",
                path.display()
            )),
            Self::Io { path, source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(format!(
                    "{} must be writable by the user who runs this; was the cache made by root?",
                    path.display()
                )),
                _ => None,
            },
            Self::Corrupt { .. } => {
                Some("the damaged file was removed; run the same command again to make it anew".to_owned())
            }
            Self::OutOfPack { path, .. } => {
                Some(format!("remove {} and run the same command again", path.display()))
            }
            Self::DamagedArchive { path, .. } => {
                Some(format!("remove {} or restore it from another copy of the archive", path.display()))
            }
            Self::DamagedState { path } => Some(format!(
                "remove {} to start afresh; a replay of an older index is then not noticed once",
                path.display()
            )),
            Self::Missing { .. } => None,
        }
    }
}

/// Lets the store's writers be [`io::Write`] without losing the path.
impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Io { source, .. } => source.kind(),
            StoreError::Corrupt { .. }
            | StoreError::DamagedArchive { .. }
            | StoreError::DamagedState { .. }
            | StoreError::OutOfPack { .. } => io::ErrorKind::InvalidData,
            StoreError::Missing { .. } => io::ErrorKind::NotFound,
        };
        Self::new(kind, error)
    }
}

/// The operating system's own words: `fs_err` and `tempfile` put the path into the text, which would name it twice.
fn bare(source: io::Error) -> io::Error {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = source.get_ref().map(|error| error as _);
    while let Some(error) = inner {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        inner = error.source();
    }
    source
}
