//! The tables, and the way from an older form of them to this one.
//!
//! `affected` lies in the order of ecosystem and package, so that a scan reads only the pages that concern its packages;
//! everything else of an advisory is read for those alone that match.

use std::path::Path;

use rusqlite::Connection;

use super::error::DatabaseError;

/// Tells this program's databases from others: `CALY`.
const APPLICATION: i64 = 0x4341_4C59;

/// The version of the form below.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        feed TEXT NOT NULL,
        url TEXT NOT NULL,
        digest BLOB NOT NULL,
        covers TEXT NOT NULL,
        max_age_days INTEGER NOT NULL,
        fetched INTEGER NOT NULL,
        checked INTEGER NOT NULL,
        date INTEGER,
        advisories INTEGER NOT NULL DEFAULT 0,
        scores INTEGER NOT NULL DEFAULT 0,
        exploits INTEGER NOT NULL DEFAULT 0,
        modular INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE ecosystems (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        body TEXT NOT NULL UNIQUE
    );
    CREATE INDEX ecosystem_by_key ON ecosystems (key);
    CREATE TABLE advisories (
        key INTEGER PRIMARY KEY,
        source INTEGER NOT NULL,
        id TEXT NOT NULL,
        hash BLOB NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (source, id)
    );
    CREATE TABLE names (
        name TEXT NOT NULL,
        advisory INTEGER NOT NULL,
        PRIMARY KEY (name, advisory)
    ) WITHOUT ROWID;
    CREATE TABLE affected (
        ecosystem INTEGER NOT NULL,
        package TEXT NOT NULL,
        advisory INTEGER NOT NULL,
        number INTEGER NOT NULL,
        source INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (ecosystem, package, advisory, number)
    ) WITHOUT ROWID;
    CREATE INDEX affected_by_advisory ON affected (advisory);
    CREATE TABLE epss (
        flaw INTEGER NOT NULL,
        source INTEGER NOT NULL,
        probability REAL NOT NULL,
        percentile REAL NOT NULL,
        PRIMARY KEY (flaw, source)
    ) WITHOUT ROWID;
    CREATE TABLE kev (
        flaw INTEGER NOT NULL,
        source INTEGER NOT NULL,
        since INTEGER,
        ransomware INTEGER NOT NULL,
        PRIMARY KEY (flaw, source)
    ) WITHOUT ROWID;
";

/// What an import has come by; belongs to the connection, never to the file.
const TEMPORARY: &str = "
    CREATE TEMP TABLE IF NOT EXISTS seen_advisories (key INTEGER PRIMARY KEY);
    CREATE TEMP TABLE IF NOT EXISTS seen_epss (key INTEGER PRIMARY KEY);
    CREATE TEMP TABLE IF NOT EXISTS seen_kev (key INTEGER PRIMARY KEY);
";

/// Makes the tables where there are none.
pub fn prepare(connection: &mut Connection, path: &Path) -> Result<(), DatabaseError> {
    let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "make its tables", source };
    // Of two programs that come first at once, the second waits here.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(error)?;
    if version(&transaction, path)? == 0 {
        transaction.execute_batch(TABLES).map_err(error)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(error)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(error)?;
    }
    transaction.commit().map_err(error)?;
    connection.execute_batch(TEMPORARY).map_err(error)
}

/// The version of the form of a database; 0 for an empty one.
pub fn version(connection: &Connection, path: &Path) -> Result<i64, DatabaseError> {
    let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "read its form", source };
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(error)?;
    let found = pragma("user_version").map_err(error)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(error)?;
    if application != APPLICATION && (tables > 0 || found != 0) {
        return Err(DatabaseError::Foreign { path: path.to_owned() });
    }
    if found > VERSION {
        return Err(DatabaseError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}
