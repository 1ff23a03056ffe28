//! Feeds → one SQLite file with an index by package → what a scan asks of it.
//!
//! A source is imported whole or not at all, in one transaction: whoever reads meanwhile, and whoever comes after an import
//! that failed or was killed, finds what was there before. What is unchanged is not written again.

mod error;
mod import;
mod keys;
mod query;
mod row;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use calypte_base::{Digest, Epoch};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub use error::DatabaseError;
pub(crate) use keys::plain_id;
pub use keys::{covers, debian_codename};
pub(crate) use query::{Entry, Header};
pub use query::{Flaw, Told};

/// How long a reader waits for an import that is being written out, and an import for another one.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most memory that pages take while importing, in KiB; SQLite writes out what is more.
const CACHE_KIB: i64 = 64 * 1024;

/// A source of advisories, as the catalog lists it and as it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name (`debian-tracker`).
    pub name: String,
    /// The form that it comes in: a name of [`crate::feeds::Feed`], or `changelog`.
    pub feed: String,
    /// Where it comes from.
    pub url: String,
    /// The digest of its content: as long as this is the same, nothing need be imported.
    pub digest: Digest,
    /// The ecosystems of which it tells all that is known, by [`crate::Ecosystem::key`]; `debian` is every release of it.
    pub covers: BTreeSet<String>,
    /// After how many days what it says is too old to call anything clean.
    pub max_age_days: u32,
}

/// The form of a source that was made out of changelogs.
pub const CHANGELOG: &str = "changelog";

/// A source that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSource {
    /// What it is.
    pub source: Source,
    /// When its content was last imported.
    pub fetched: Epoch,
    /// When it was last seen to be unchanged, or imported.
    pub checked: Epoch,
    /// Of what date its content is, where it says so.
    pub date: Option<Epoch>,
    /// Its advisories.
    pub advisories: u64,
    /// Its EPSS scores.
    pub scores: u64,
    /// Its known exploits.
    pub exploits: u64,
    pub(crate) id: i64,
    /// Whether it tells module streams apart.
    pub(crate) modular: bool,
}

impl StoredSource {
    /// How up to date it is: the date of its content where it says one, otherwise when it was last seen at its origin. A
    /// mirror that stands still is seen by the first; so it goes before.
    #[must_use]
    pub fn as_of(&self) -> Epoch {
        self.date.map_or(self.checked, |date| date.min(self.checked))
    }

    /// Its age in whole days.
    #[must_use]
    pub fn age_days(&self, now: Epoch) -> i64 {
        now.0.saturating_sub(self.as_of().0).max(0) / 86_400
    }

    /// Whether it is too old to call anything clean.
    #[must_use]
    pub fn is_stale(&self, now: Epoch) -> bool {
        self.age_days(now) > i64::from(self.source.max_age_days)
    }
}

/// What an import changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Advisories, scores and known exploits that are new.
    pub added: u64,
    /// Those that say something else than before.
    pub changed: u64,
    /// Those that the feed has no more.
    pub removed: u64,
    /// Those that are as they were.
    pub unchanged: u64,
    /// Of what date the feed's content is.
    pub date: Option<Epoch>,
}

/// The database as it was at a moment.
pub(crate) type Snapshot<'d> = rusqlite::Transaction<'d>;

/// The database of advisories.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens it for reading and importing; makes it where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened, is no such database, or was made by a newer program.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "open it", source };
        Self::writable(Connection::open(path).map_err(error)?, path)
    }

    /// One that is kept in memory alone.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        let path = Path::new(":memory:");
        let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "open it", source };
        Self::writable(Connection::open_in_memory().map_err(error)?, path)
    }

    fn writable(mut connection: Connection, path: &Path) -> Result<Self, DatabaseError> {
        let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "open it", source };
        connection.busy_timeout(PATIENCE).map_err(error)?;
        // Otherwise statements are prepared anew for each value that they are asked with.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(error)?;
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(error)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::prepare(&mut connection, path)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Opens it for reading alone.
    ///
    /// # Errors
    /// When there is none, it is no such database, or it was made by a newer program.
    pub fn open_read_only(path: &Path) -> Result<Self, DatabaseError> {
        if !path.is_file() {
            return Err(DatabaseError::Missing { path: path.to_owned() });
        }
        let (connection, version) = match Self::reader(path) {
            // An import was killed, and what it had written is to be taken back first, which a reader may not.
            Err(DatabaseError::Sqlite { source, .. }) if is_half_written(&source) => {
                drop(Self::open(path)?);
                Self::reader(path)?
            }
            opened => opened?,
        };
        if version == 0 {
            return Err(DatabaseError::Foreign { path: path.to_owned() });
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    fn reader(path: &Path) -> Result<(Connection, i64), DatabaseError> {
        let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "open it", source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(error)?;
        connection.busy_timeout(PATIENCE).map_err(error)?;
        // Otherwise statements are prepared anew for each value that they are asked with.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
        connection.set_prepared_statement_cache_capacity(64);
        let version = schema::version(&connection, path)?;
        Ok((connection, version))
    }

    /// Holds the database as it is: imports by others wait until this is dropped. None where it is held already.
    pub(crate) fn snapshot(&self) -> Result<Option<Snapshot<'_>>, DatabaseError> {
        let hold = || self.connection.unchecked_transaction().map_err(self.error("read it"));
        self.connection.is_autocommit().then(hold).transpose()
    }

    fn error(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> DatabaseError + '_ {
        move |source| DatabaseError::Sqlite { path: self.path.clone(), doing, source }
    }
}

/// Whether a database cannot be read because a program ended while it wrote.
fn is_half_written(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}
