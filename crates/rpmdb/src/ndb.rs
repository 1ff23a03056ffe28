//! The database of rpm's own form (`Packages.db`; rpm's `lib/backend/ndb/rpmpkg.c`), as SUSE's systems have it: bytes come
//! in, the headers of its packages go out.
//!
//! All numbers are little-endian. The file is made of blocks of 16 bytes. It begins with a header (magic, version, generation,
//! number of pages with slots); the rest of these pages of 4096 bytes are slots (magic, package, first block, number of
//! blocks). A package's blocks begin with a magic, its number, a generation and the length of its header.

use crate::error::DatabaseError;
use crate::read::{Budget, EachHeader, installed};

const PAGE: usize = 4096;
const BLOCK: usize = 16;
/// The header of the file takes the place of two slots.
const HEADER: usize = 32;

const MAGIC: u32 = u32::from_le_bytes(*b"RpmP");
const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"Slot");
const BLOB_MAGIC: u32 = u32::from_le_bytes(*b"BlbS");

/// The headers of the packages of such a database, by their numbers.
///
/// # Errors
/// When it is no such database, is cut off, or has more in it than any.
pub fn each_ndb_header(database: &[u8], visit: &mut EachHeader<'_>) -> Result<(), DatabaseError> {
    let bad = |reason| Err(DatabaseError::NotOfRpm(reason));
    if word(database, 0) != Some(MAGIC) {
        return bad("it does not begin with the magic of one");
    }
    if word(database, 4) != Some(0) {
        return bad("it is of an unknown version");
    }
    let pages = word(database, 12).unwrap_or(0) as usize;
    let Some(slots) = pages.checked_mul(PAGE).and_then(|end| database.get(HEADER..end)) else {
        return bad("it is cut off");
    };
    let mut packages = Vec::new();
    for slot in slots.chunks_exact(BLOCK) {
        if word(slot, 0) != Some(SLOT_MAGIC) {
            return bad("one of its slots has no magic");
        }
        match (word(slot, 4).unwrap_or(0), word(slot, 8).unwrap_or(0)) {
            // Not in use.
            (_, 0) => {}
            (0, _) => return bad("one of its slots has no package"),
            used => packages.push(used),
        }
    }
    packages.sort_unstable();
    let mut budget = Budget::default();
    for (number, block) in packages {
        let blob =
            (block as usize).checked_mul(BLOCK).and_then(|start| database.get(start..)).unwrap_or_default();
        if word(blob, 0) != Some(BLOB_MAGIC) || word(blob, 4) != Some(number) {
            return bad("one of its packages is not where its slot says");
        }
        let length = word(blob, 12).unwrap_or(0) as usize;
        let Some(header) = blob.get(BLOCK..).and_then(|rest| rest.get(..length)) else {
            return bad("one of its packages is cut off");
        };
        budget.take(length as u64)?;
        visit(number.into(), installed(header));
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}
