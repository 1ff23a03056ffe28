//! Why a feed cannot be read.

use std::io;

use super::SinkError;

/// What can be wrong with a feed's document. Each names the document, and the place in it where that is known.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It cannot be read or unpacked.
    #[error("{document}: {source}")]
    Io {
        /// The document.
        document: String,
        /// Why not.
        source: io::Error,
    },
    /// It is not what its form says.
    #[error("{document}: {place}: {reason}")]
    Malformed {
        /// The document.
        document: String,
        /// Where: `line 3, column 7`, `row 12`, or the path of a member (`affected[0].ranges[1]`).
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// It is larger than any document of its form is.
    #[error("{document} is larger than {limit} bytes, which no document of this form is")]
    TooLarge {
        /// The document.
        document: String,
        /// The limit.
        limit: u64,
    },
    /// What it says cannot be taken.
    #[error("{document}: {source}")]
    Sink {
        /// The document.
        document: String,
        /// Why not.
        source: SinkError,
    },
}
