//! Why the database of advisories cannot be used.

use std::path::PathBuf;

use crate::feeds::FeedError;

/// What can be wrong with the database or with what is brought into it. Each names the file, and the feed where it is about one.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite refuses.
    #[error("{path}: {doing}: {source}", path = path.display())]
    Sqlite {
        /// The database's file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// There is no such file.
    #[error("{path}: there is no database of advisories", path = path.display())]
    Missing {
        /// The database's file.
        path: PathBuf,
    },
    /// The file is a database of something else.
    #[error("{path}: this is no database of advisories", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "{path}: its form is version {found}, and this program knows versions up to {known}: use the newer program, or \
         remove the file and update the advisories anew",
        path = path.display()
    )]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The version of its form.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },
    /// A feed cannot be read or taken; the database is as it was.
    #[error("{path}: the feed `{feed}` is not imported: {source}", path = path.display())]
    Feed {
        /// The database's file.
        path: PathBuf,
        /// The name of the source.
        feed: String,
        /// Why not.
        source: FeedError,
    },
    /// A source is asked for that was never imported.
    #[error("{path}: there is no source `{feed}`", path = path.display())]
    NoSource {
        /// The database's file.
        path: PathBuf,
        /// The name asked for.
        feed: String,
    },
    /// What is stored cannot be read back.
    #[error("{path}: {what}: {source}", path = path.display())]
    Stored {
        /// The database's file.
        path: PathBuf,
        /// What is stored there.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
