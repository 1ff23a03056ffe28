//! The bills of very many images, turned round: from a package to the images that have it, so that one new advisory finds
//! its images without any bill being read.
//!
//! Of a bill this keeps what matching needs, and each thing once:
//!
//! - a *package* is a component with its version, its source and the releases whose advisories are about it; most are in
//!   thousands of images;
//! - a *set* is the packages of a bill; images that were rebuilt without a change, and tags of one image, share theirs;
//! - *postings* are the sets that have a package, as differences of ascending numbers, in pieces of some thousand sets, so
//!   that a new bill rewrites only the last piece of each of its packages.
//!
//! A bill that is added again under its name takes the place of the earlier one.

mod add;
mod error;
mod postings;
mod query;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

pub use add::{Added, Adding};
pub use error::InventoryError;
pub use query::{AffectedImage, AffectedImages, AffectedPackage};

/// Tells this program's inventories from other databases: `CALI`.
const APPLICATION: i64 = 0x4341_4C49;

/// The version of the form below.
const VERSION: i64 = 1;

/// Most memory that pages take, in KiB.
const CACHE_KIB: i64 = 64 * 1024;

/// Bytes of a page: large, since pieces of postings are, and all bills are gone through at once.
const PAGE: i64 = 16 * 1024;

/// Most bytes of the file that are mapped.
const MAPPED: i64 = 256 << 20;

/// How long one waits for another that is adding.
const PATIENCE: Duration = Duration::from_secs(120);

const TABLES: &str = "
    CREATE TABLE worlds (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE);
    CREATE TABLE packages (
        id INTEGER PRIMARY KEY,
        identity BLOB NOT NULL UNIQUE,
        world INTEGER NOT NULL,
        name TEXT NOT NULL,
        source TEXT NOT NULL,
        body TEXT NOT NULL,
        fixes TEXT
    );
    CREATE INDEX package_by_name ON packages (name);
    CREATE INDEX package_by_source ON packages (source);
    CREATE TABLE sets (id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE);
    CREATE TABLE postings (
        package INTEGER NOT NULL,
        piece INTEGER NOT NULL,
        last INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (package, piece)
    ) WITHOUT ROWID;
    CREATE TABLE bills (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        digest BLOB,
        packages INTEGER NOT NULL
    );
    CREATE INDEX bill_by_packages ON bills (packages);
";

/// The bills of very many images.
#[derive(Debug)]
pub struct Inventory {
    connection: Connection,
    path: PathBuf,
}

impl Inventory {
    /// Opens it; makes it where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no inventory of this form.
    pub fn open(path: &Path) -> Result<Self, InventoryError> {
        let error = |source| InventoryError::Sqlite { path: path.to_owned(), doing: "open it", source };
        Self::new(Connection::open(path).map_err(error)?, path)
    }

    /// One that is kept in memory alone.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn in_memory() -> Result<Self, InventoryError> {
        let path = Path::new(":memory:");
        let error = |source| InventoryError::Sqlite { path: path.to_owned(), doing: "open it", source };
        Self::new(Connection::open_in_memory().map_err(error)?, path)
    }

    fn new(mut connection: Connection, path: &Path) -> Result<Self, InventoryError> {
        let error =
            |source| InventoryError::Sqlite { path: path.to_owned(), doing: "make its tables", source };
        connection.busy_timeout(PATIENCE).map_err(error)?;
        // Otherwise statements are prepared anew for each value that they are asked with.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
        connection.pragma_update(None, "page_size", PAGE).map_err(error)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(error)?;
        // Most questions go through much of the file once: the pages are read where they lie.
        connection.pragma_update(None, "mmap_size", MAPPED).map_err(error)?;
        connection.set_prepared_statement_cache_capacity(32);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
        let pragma = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let form = (pragma("application_id").map_err(error)?, pragma("user_version").map_err(error)?);
        let tables: i64 = transaction
            .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
            .map_err(error)?;
        if form == (0, 0) && tables == 0 {
            transaction.execute_batch(TABLES).map_err(error)?;
            transaction.pragma_update(None, "application_id", APPLICATION).map_err(error)?;
            transaction.pragma_update(None, "user_version", VERSION).map_err(error)?;
        } else if form != (APPLICATION, VERSION) {
            return Err(InventoryError::Form { path: path.to_owned(), found: form.1, known: VERSION });
        }
        transaction.commit().map_err(error)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    fn error(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> InventoryError + '_ {
        move |source| InventoryError::Sqlite { path: self.path.clone(), doing, source }
    }
}
