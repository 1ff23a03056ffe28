//! Why the inventory of bills cannot be used.

use std::path::PathBuf;

use crate::database::DatabaseError;

/// What can be wrong with an inventory. Each names its file.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// SQLite refuses.
    #[error("{path}: {doing}: {source}", path = path.display())]
    Sqlite {
        /// The inventory's file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// The file is something else, or was made by another version of this program.
    #[error(
        "{path}: this is no inventory of bills in version {known} of its form (it says {found}): remove it and add the \
         bills anew",
        path = path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// The version of its form.
        found: i64,
        /// The version that is known.
        known: i64,
    },
    /// What is stored cannot be read back.
    #[error("{path}: {what}: {reason}", path = path.display())]
    Stored {
        /// The inventory's file.
        path: PathBuf,
        /// What is stored there.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The database of advisories cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
