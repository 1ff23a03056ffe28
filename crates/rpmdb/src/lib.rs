//! The database of installed packages (`rpmdb.sqlite`): the headers of packages come in, the bytes of the file go out.
//!
//! An image of RPM packages needs it so that `rpm` knows what is installed and scanners know what to look for. It is
//! written as rpm 4.18 and rpm 6 write it: one table of headers, and one for each thing that rpm looks packages up by.
//! [`blob`] makes the header that is stored; [`index`] says what rpm looks it up by. Nothing but the arguments decides
//! the bytes: no clock, no journal, rows in the order of the packages.

mod blob;
mod error;
mod index;
mod ndb;
mod read;

use calypte_formats::rpm::{Header, Part};
use rusqlite::{Connection, params};

pub use error::DatabaseError;
use index::{INDEXES, Index};
pub use ndb::each_ndb_header;
pub use read::{EachHeader, each_header, headers};

/// Size of a page of the database in bytes; what SQLite takes by itself, and rpm with it.
const PAGE_SIZE: u32 = 4096;

/// A package as it is to stand in the database.
#[derive(Debug, Clone, Copy)]
pub struct Installed<'a> {
    /// Its signature header, magic included, as `formats::rpm::Header::bytes` gives it.
    pub signature: &'a [u8],
    /// Its main header, likewise.
    pub header: &'a [u8],
    /// For each file of the main header, in its order, what became of it.
    pub states: &'a [FileState],
}

/// What became of a file of a package (`RPMFILE_STATE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It is there.
    Normal,
    /// It was left out on purpose, so that `rpm -V` does not miss it.
    NotInstalled,
}

impl FileState {
    const fn number(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::NotInstalled => 2,
        }
    }
}

/// The bytes of a database of these packages, numbered in this order. All of them were installed at `time` (seconds
/// since 1970), in one transaction.
///
/// # Errors
/// When a header is malformed or cannot be indexed, or the states are not as many as the files.
pub fn database(packages: &[Installed<'_>], time: u32) -> Result<Vec<u8>, DatabaseError> {
    let mut connection = Connection::open_in_memory()?;
    // Before the first table, after which the size is fixed.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    let transaction = connection.transaction()?;
    create_tables(&transaction)?;
    for (number, package) in (1..).zip(packages) {
        insert(&transaction, number, package, time)?;
    }
    // After the rows: the pages are full then, and lie in the order of their keys.
    create_lookups(&transaction)?;
    transaction.commit()?;
    Ok(connection.serialize("main")?.to_vec())
}

fn create_tables(connection: &Connection) -> Result<(), DatabaseError> {
    connection.execute_batch(
        "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)",
    )?;
    for Index { name, key, .. } in &INDEXES {
        let kind = key.sql();
        connection.execute_batch(&format!(
            "CREATE TABLE '{name}' (key '{kind}' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL, FOREIGN KEY \
             (hnum) REFERENCES 'Packages'(hnum))"
        ))?;
    }
    Ok(())
}

fn create_lookups(connection: &Connection) -> Result<(), DatabaseError> {
    for Index { name, lookups, .. } in &INDEXES {
        for column in *lookups {
            connection
                .execute_batch(&format!("CREATE INDEX '{name}_{column}_idx' ON '{name}'({column} ASC)"))?;
        }
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    number: i64,
    package: &Installed<'_>,
    time: u32,
) -> Result<(), DatabaseError> {
    let parse = |part, bytes| Header::parse(part, bytes);
    let malformed = |source| DatabaseError::Header { number, source };
    let signature = parse(Part::Signature, package.signature).map_err(malformed)?;
    let header = parse(Part::Main, package.header).map_err(malformed)?;
    let merged = blob::Merged::new(&signature, &header, package.states, time)?;
    let mut statement = connection.prepare("INSERT INTO 'Packages' VALUES(?, ?)")?;
    statement.execute(params![number, merged.bytes()?])?;
    for index in &INDEXES {
        let sql = format!("INSERT INTO '{}' VALUES(?, ?, ?)", index.name);
        let mut statement = connection.prepare(&sql)?;
        for row in index.rows(&header, &merged) {
            statement.execute(params![row.key, number, row.place])?;
        }
    }
    Ok(())
}
