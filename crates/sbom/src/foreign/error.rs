//! Why there is no bill of something that others made.

use std::io;

use calypte_image::read::ReadError;

/// What can go wrong before anything is known of the contents; what cannot be read of those is a gap.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ReadError),
    /// The directory cannot be read; the text names it.
    #[error(transparent)]
    Directory(#[from] io::Error),
    /// More files than any system has.
    #[error("{path} holds more than {limit} files")]
    TooMany {
        /// The directory.
        path: String,
        /// The limit.
        limit: usize,
    },
}

impl ForeignError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::Directory(_) => None,
            Self::TooMany { .. } => Some("name a directory that is the root of one system".to_owned()),
        }
    }
}
