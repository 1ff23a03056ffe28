//! A database comes in, the headers of its packages go out. The database may come from anywhere, so nothing in it is
//! run: of what SQLite offers, one plain query on one table is used.

use std::io::Read as _;

use calypte_formats::rpm::{Header, Part};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::DatabaseError;

/// What rpm leaves out of a stored header.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// The headers of the packages of a database, in its order.
///
/// # Errors
/// When it is no database of rpm, or a header in it is malformed.
pub fn headers(database: &[u8]) -> Result<Vec<Header>, DatabaseError> {
    let mut connection = Connection::open_in_memory()?;
    connection.deserialize_read_exact("main", database.take(database.len() as u64), database.len(), true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let mut statement = connection.prepare("SELECT hnum, blob FROM Packages ORDER BY hnum")?;
    let mut rows = statement.query([])?;
    let mut headers = Vec::new();
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let blob = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let bytes = [&MAGIC, blob].concat();
        let header = Header::parse(Part::Installed, &bytes);
        headers.push(header.map_err(|source| DatabaseError::Header { number, source })?);
    }
    Ok(headers)
}
