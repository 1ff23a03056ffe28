//! A database comes in, the headers of its packages go out. The database may come from anywhere, so nothing in it is
//! run: of what SQLite offers, one plain query on one plain table is used. A table may be built so that it never ends, or
//! that each row has the same great blob: rows and bytes are counted.

use std::io::Read as _;

use calypte_formats::rpm::{Header, HeaderError, Part};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::DatabaseError;

/// What rpm leaves out of a stored header.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// Most packages of a system: a whole distribution has 70,000.
pub(crate) const MOST_PACKAGES: usize = 200_000;

/// Largest header in bytes: rpm's own limit.
pub(crate) const LARGEST_HEADER: u32 = 256 << 20;

/// Most bytes of all headers together: those of 10,000 packages have 500 MB.
pub(crate) const MOST_BYTES: u64 = 4 << 30;

/// Takes the headers of a database one after the other: the number of the package, and its header.
pub type EachHeader<'v> = dyn FnMut(i64, Result<Header, HeaderError>) + 'v;

/// The headers of the packages of a database, in its order.
///
/// # Errors
/// When it is no database of rpm, or a header in it is malformed.
pub fn headers(database: &[u8]) -> Result<Vec<Header>, DatabaseError> {
    let mut headers = Vec::new();
    let mut first = None;
    each_header(database, &mut |number, header| match header {
        Ok(header) => headers.push(header),
        Err(source) => _ = first.get_or_insert(DatabaseError::Header { number, source }),
    })?;
    first.map_or(Ok(headers), Err)
}

/// The same one by one, so that one that is malformed does not hide the others.
///
/// # Errors
/// When it is no database of rpm, or has more in it than any.
pub fn each_header(database: &[u8], visit: &mut EachHeader<'_>) -> Result<(), DatabaseError> {
    let mut connection = Connection::open_in_memory()?;
    connection.deserialize_read_exact("main", database.take(database.len() as u64), database.len(), true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A view or a virtual table would run what its maker wrote.
    let plain = "SELECT 1 FROM sqlite_schema WHERE name = 'Packages' AND type = 'table' AND rootpage > 0";
    if connection.query_row(plain, [], |_| Ok(())).optional()?.is_none() {
        return Err(DatabaseError::NotOfRpm("it has no table of packages"));
    }
    // The length of a blob is known without reading it.
    let mut statement = connection.prepare(
        "SELECT hnum, length(blob), CASE WHEN length(blob) <= ?1 THEN blob END FROM Packages ORDER BY hnum",
    )?;
    let mut rows = statement.query([LARGEST_HEADER])?;
    let mut budget = Budget::default();
    while let Some(row) = rows.next()? {
        let length = row.get::<_, Option<i64>>(1)?.unwrap_or(0);
        budget.take(u64::try_from(length).unwrap_or(u64::MAX))?;
        let blob = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        visit(row.get(0)?, installed(blob));
    }
    Ok(())
}

/// Reads a header as it is stored.
pub(crate) fn installed(blob: &[u8]) -> Result<Header, HeaderError> {
    Header::parse(Part::Installed, &[&MAGIC, blob].concat())
}

/// Counts what was read.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    packages: usize,
    bytes: u64,
}

impl Budget {
    /// One header more, of so many bytes.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), DatabaseError> {
        self.packages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.packages > MOST_PACKAGES || self.bytes > MOST_BYTES || bytes > LARGEST_HEADER.into() {
            return Err(DatabaseError::NotOfRpm(
                "it has more or larger headers than any system has packages",
            ));
        }
        Ok(())
    }
}
