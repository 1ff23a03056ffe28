//! Metalinks, as Fedora's mirror manager answers with: which `repomd.xml` is the newest, which older ones mirrors may
//! still have, and where the mirrors are. Metalink 3.0 with the `mm0` extension of MirrorManager.
//!
//! It comes from the distribution itself over TLS, the mirrors' files do not: its hashes are what a mirror's
//! `repomd.xml` is held against.

use std::collections::BTreeMap;
use std::io::BufRead;

use calypte_base::Digest;

use super::xml::{Element, Xml};
use super::{RepositoryError, needed, number, once, shown};

/// The mirrors, or the older versions, that a metalink may name: Fedora's names some 100 of each.
const ITEM_LIMIT: usize = 10_000;

/// What a mirror's address ends with.
const REPOMD: &str = "repodata/repomd.xml";

/// A metalink; the version that it describes itself is the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metalink {
    /// The file that it is about: `repomd.xml`.
    pub file: String,
    /// The timestamp in the file, in seconds since 1970.
    pub timestamp: i64,
    /// How many bytes the file has.
    pub size: u64,
    /// The file's hashes.
    pub hashes: Hashes,
    /// Older versions that mirrors may still have, and that are not to be taken for an attack.
    pub alternates: Vec<Alternate>,
    /// Where the file is, as they stand; the mirror manager puts the best first.
    pub urls: Vec<MirrorUrl>,
}

/// An older version of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternate {
    /// The timestamp in the file, in seconds since 1970.
    pub timestamp: i64,
    /// How many bytes the file has.
    pub size: u64,
    /// The file's hashes.
    pub hashes: Hashes,
}

/// Hashes of one file: lower-case hex digits by the kind of hash (`sha256`, `sha512`, …).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hashes(pub BTreeMap<String, String>);

/// A place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorUrl {
    /// The address of the file.
    pub url: String,
    /// From 0 to 100, the more the better; 0 when it does not say.
    pub preference: u32,
    /// `https`, `http`, `rsync`, …
    pub protocol: String,
    /// The country's two letters; none when it does not say.
    pub location: Option<String>,
}

impl Hashes {
    /// The SHA-256 digest; none when it is not given.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        self.0.get("sha256").and_then(|hex| hex.parse().ok())
    }
}

impl MirrorUrl {
    /// The base address of the repository, with a `/` at its end; none when the file is not where it should be in one.
    #[must_use]
    pub fn repository(&self) -> Option<&str> {
        self.url.strip_suffix(REPOMD).filter(|base| base.ends_with('/'))
    }
}

/// Reads a metalink.
///
/// # Errors
/// When it is malformed, or is not about just one file `repomd.xml`.
pub fn parse(bytes: &[u8]) -> Result<Metalink, RepositoryError> {
    let mut xml = Xml::new(bytes);
    xml.root("metalink")?;
    let mut metalink = None;
    while let Some(element) = xml.child()? {
        if element.name != "files" {
            xml.skip()?;
            continue;
        }
        while let Some(element) = xml.child()? {
            let at = element.at;
            if element.name == "file" {
                let name = element.needed("name")?;
                if name != "repomd.xml" {
                    return Err(RepositoryError::value(at, "file", &name, "`repomd.xml`"));
                }
                once(&mut metalink, file(&mut xml, name)?, at, "file")?;
            } else {
                xml.skip()?;
            }
        }
    }
    xml.finish()?;
    needed(metalink, xml.at(), "metalink", "file")
}

fn file<R: BufRead>(xml: &mut Xml<R>, name: String) -> Result<Metalink, RepositoryError> {
    let (mut newest, mut alternates, mut urls) = (Building::default(), Vec::new(), Vec::new());
    while let Some(element) = xml.child()? {
        let at = element.at;
        match element.name {
            "alternates" => {
                while let Some(element) = xml.child()? {
                    if element.name == "alternate" {
                        alternates.push(alternate(xml)?);
                        limit(alternates.len(), at)?;
                    } else {
                        xml.skip()?;
                    }
                }
            }
            "resources" => {
                while let Some(element) = xml.child()? {
                    if element.name == "url" {
                        let mut url = url(&element)?;
                        url.url = xml.string()?.trim().to_owned();
                        urls.push(url);
                        limit(urls.len(), at)?;
                    } else {
                        xml.skip()?;
                    }
                }
            }
            _ => newest.take(xml)?,
        }
    }
    let Alternate { timestamp, size, hashes } = newest.finish(xml.at(), "file")?;
    Ok(Metalink { file: name, timestamp, size, hashes, alternates, urls })
}

fn alternate<R: BufRead>(xml: &mut Xml<R>) -> Result<Alternate, RepositoryError> {
    let mut version = Building::default();
    while xml.child()?.is_some() {
        version.take(xml)?;
    }
    version.finish(xml.at(), "alternate")
}

/// The attributes of a `url` element.
fn url(element: &Element<'_>) -> Result<MirrorUrl, RepositoryError> {
    let (mut preference, mut protocol, mut location) = (None, None, None);
    let at = element.at;
    element.attributes(|key, value| match key {
        "preference" => once(&mut preference, number(value, at, "preference")?, at, "preference"),
        "protocol" => once(&mut protocol, value.to_owned(), at, "protocol"),
        "location" => once(&mut location, value.to_owned(), at, "location"),
        _ => Ok(()),
    })?;
    let protocol = needed(protocol, at, "url", "protocol")?;
    Ok(MirrorUrl { url: String::new(), preference: preference.unwrap_or(0), protocol, location })
}

#[derive(Default)]
struct Building {
    timestamp: Option<i64>,
    size: Option<u64>,
    hashes: Hashes,
}

impl Building {
    /// Takes in the element that was just opened, whichever it is.
    fn take<R: BufRead>(&mut self, xml: &mut Xml<R>) -> Result<(), RepositoryError> {
        let element = xml.element();
        let at = element.at;
        match element.name {
            "timestamp" => {
                once(&mut self.timestamp, number(&xml.string()?, at, "timestamp")?, at, "timestamp")
            }
            "size" => once(&mut self.size, number(&xml.string()?, at, "size")?, at, "size"),
            "verification" => self.verification(xml),
            _ => xml.skip(),
        }
    }

    fn verification<R: BufRead>(&mut self, xml: &mut Xml<R>) -> Result<(), RepositoryError> {
        while let Some(element) = xml.child()? {
            let at = element.at;
            if element.name != "hash" {
                xml.skip()?;
                continue;
            }
            let kind = element.needed("type")?;
            let hex = xml.string()?.trim().to_owned();
            let digits = match kind.as_str() {
                "md5" => 32,
                "sha1" => 40,
                "sha224" => 56,
                "sha256" => 64,
                "sha384" => 96,
                "sha512" => 128,
                _ => continue,
            };
            if hex.len() != digits || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(RepositoryError::value(
                    at,
                    "hash",
                    &hex,
                    "the lower-case hex digits of its type",
                ));
            }
            if self.hashes.0.insert(kind.clone(), hex).is_some() {
                return Err(RepositoryError::Twice { at, field: format!("hash `{}`", shown(&kind)) });
            }
        }
        Ok(())
    }

    fn finish(self, at: u64, owner: &str) -> Result<Alternate, RepositoryError> {
        Ok(Alternate {
            timestamp: needed(self.timestamp, at, owner, "timestamp")?,
            size: needed(self.size, at, owner, "size")?,
            hashes: self.hashes,
        })
    }
}

fn limit(items: usize, at: u64) -> Result<(), RepositoryError> {
    match items > ITEM_LIMIT {
        true => {
            let what = "the number of mirrors or older versions";
            Err(RepositoryError::Limit { at, what, limit: ITEM_LIMIT })
        }
        false => Ok(()),
    }
}
