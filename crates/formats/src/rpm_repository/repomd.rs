//! `repomd.xml`: which files a repository's metadata are, with the checksum and size of each.

use std::collections::BTreeMap;
use std::io::BufRead;

use calypte_base::Digest;

use super::xml::{Element, Xml};
use super::{RepositoryError, digest, location, needed, number, once, shown};

/// The files that metadata may have: real repositories have some 20.
const DATA_LIMIT: usize = 1_000;

/// A repository's `repomd.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repomd {
    /// What the maker counts its versions by; mostly seconds since 1970.
    pub revision: Option<String>,
    /// When the newest of the files was made, in seconds since 1970; 0 when there is none.
    pub timestamp: i64,
    /// The files by what they hold: `primary`, `filelists`, `updateinfo`, `group`, …
    pub data: BTreeMap<String, DataFile>,
}

/// One file of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its path below the repository's base; checked to lead nowhere else.
    pub location: String,
    /// The digest of the file as it is fetched.
    pub checksum: Digest,
    /// How many bytes it has as it is fetched.
    pub size: u64,
    /// The digest of what it unpacks to; none for a file that is not compressed.
    pub open_checksum: Option<Digest>,
    /// How many bytes it unpacks to.
    pub open_size: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub timestamp: i64,
}

/// Reads a `repomd.xml`.
///
/// # Errors
/// When it is malformed, names a kind of file twice, or a file by another checksum than SHA-256 or by a path that
/// leads out of the repository.
pub fn parse(bytes: &[u8]) -> Result<Repomd, RepositoryError> {
    let mut xml = Xml::new(bytes);
    xml.root("repomd")?;
    let (mut revision, mut data) = (None, BTreeMap::new());
    while let Some(element) = xml.child()? {
        let at = element.at;
        match element.name {
            "revision" => once(&mut revision, xml.string()?, at, "revision")?,
            "data" => {
                let kind = element.needed("type")?;
                if data.len() == DATA_LIMIT {
                    let what = "the number of files of metadata";
                    return Err(RepositoryError::Limit { at, what, limit: DATA_LIMIT });
                }
                let file = data_file(&mut xml, &kind)?;
                if data.insert(kind.clone(), file).is_some() {
                    return Err(RepositoryError::Twice { at, field: format!("data `{}`", shown(&kind)) });
                }
            }
            _ => xml.skip()?,
        }
    }
    xml.finish()?;
    let timestamp = data.values().map(|file: &DataFile| file.timestamp).max().unwrap_or(0);
    Ok(Repomd { revision: revision.filter(|text| !text.is_empty()), timestamp, data })
}

fn data_file<R: BufRead>(xml: &mut Xml<R>, kind: &str) -> Result<DataFile, RepositoryError> {
    let (mut place, mut checksum, mut size, mut timestamp) = (None, None, None, None);
    let (mut open_checksum, mut open_size) = (None, None);
    while let Some(element) = xml.child()? {
        let at = element.at;
        match element.name {
            "location" => {
                once(&mut place, href(&element)?, at, "location")?;
                xml.skip()?;
            }
            "checksum" => {
                is_sha256(&element)?;
                once(&mut checksum, digest(&xml.string()?, at, "checksum")?, at, "checksum")?;
            }
            "open-checksum" => {
                is_sha256(&element)?;
                once(&mut open_checksum, digest(&xml.string()?, at, "open-checksum")?, at, "open-checksum")?;
            }
            "size" => once(&mut size, number(&xml.string()?, at, "size")?, at, "size")?,
            "open-size" => once(&mut open_size, number(&xml.string()?, at, "open-size")?, at, "open-size")?,
            "timestamp" => once(&mut timestamp, number(&xml.string()?, at, "timestamp")?, at, "timestamp")?,
            _ => xml.skip()?,
        }
    }
    let (at, owner) = (xml.at(), format!("data `{}`", shown(kind)));
    Ok(DataFile {
        location: needed(place, at, &owner, "location")?,
        checksum: needed(checksum, at, &owner, "checksum")?,
        size: needed(size, at, &owner, "size")?,
        open_checksum,
        open_size,
        timestamp: needed(timestamp, at, &owner, "timestamp")?,
    })
}

/// The path that a `location` element gives.
pub(super) fn href(element: &Element<'_>) -> Result<String, RepositoryError> {
    let mut href = None;
    element.attributes(|name, value| match name {
        "href" => once(&mut href, location(value, element.at)?.to_owned(), element.at, "href"),
        // It would lead to another server than the one that was chosen for this repository.
        "base" => {
            Err(RepositoryError::Forbidden { at: element.at, what: "a location with a base of its own" })
        }
        _ => Ok(()),
    })?;
    needed(href, element.at, element.name, "href")
}

/// Refuses a checksum of another kind.
pub(super) fn is_sha256(element: &Element<'_>) -> Result<(), RepositoryError> {
    let found = element.needed("type")?;
    match found == "sha256" {
        true => Ok(()),
        false => Err(RepositoryError::Checksum { at: element.at, found: shown(&found) }),
    }
}
