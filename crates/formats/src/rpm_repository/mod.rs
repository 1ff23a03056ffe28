//! The metadata of RPM repositories (`repodata/`): [`repomd`] names the other files and their checksums, [`primary`]
//! has the packages and their relations, [`filelists`] all files, [`updateinfo`] the advisories; [`metalink`] is what
//! Fedora's mirror manager answers with. Plain XML bytes in; who reads them decompresses and verifies first.
//!
//! Rawhide's primary has half a gigabyte of XML and its filelists a whole one, so the large files are streamed: one
//! package is in memory, and the visitor borrows it. There is no formal specification; the shape is that of
//! createrepo_c's writer. Elements and attributes of other names are passed over, so that newer writers do no harm;
//! a DTD, an entity that XML does not predefine, a link out of the repository and anything without bounds are errors.

pub mod filelists;
pub mod metalink;
mod package;
pub mod primary;
pub mod repomd;
pub mod updateinfo;
mod xml;

use std::str::FromStr;

use calypte_base::Digest;

/// What a path in a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file, a link or a device.
    File,
    /// A directory.
    Directory,
    /// A path that the package owns and does not contain (`%ghost`).
    Ghost,
}

/// A path in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// The absolute path.
    pub path: &'a str,
    /// What lies there.
    pub kind: FileKind,
}

/// What is wrong with a file of metadata. `at` is the number of bytes of XML before the place.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The reader failed.
    #[error("the metadata cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no well-formed XML.
    #[error("byte {at}: {reason}")]
    Form {
        /// Where.
        at: u64,
        /// What the XML parser says.
        reason: String,
    },
    /// It has something that metadata have no use for, and that only harms.
    #[error("byte {at}: {what} is not accepted in metadata")]
    Forbidden {
        /// Where.
        at: u64,
        /// What it is.
        what: &'static str,
    },
    /// Something is larger than any real metadata have it.
    #[error("byte {at}: {what} is over the limit of {limit}")]
    Limit {
        /// Where.
        at: u64,
        /// What is too large.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// It is another kind of file.
    #[error("the outermost element is `{found}` and not `{expected}`")]
    Root {
        /// The name of the outermost element, cut at 100 characters; empty when there is none.
        found: String,
        /// The name that it should have.
        expected: &'static str,
    },
    /// Something that must be there is not.
    #[error("byte {at}: {owner} has no {field}")]
    Missing {
        /// The end of what lacks it.
        at: u64,
        /// The element or package that lacks it.
        owner: String,
        /// What it lacks.
        field: &'static str,
    },
    /// Something is there twice, so that readers would not agree on it.
    #[error("byte {at}: {field} is given twice")]
    Twice {
        /// The second one.
        at: u64,
        /// What it is.
        field: String,
    },
    /// A value is not of its form.
    #[error("byte {at}: {field} `{text}` is not {expected}")]
    Value {
        /// Where.
        at: u64,
        /// What the value is for.
        field: &'static str,
        /// The value, cut at 100 characters.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A checksum is not SHA-256.
    #[error("byte {at}: a checksum is of type `{found}`, and only sha256 is accepted")]
    Checksum {
        /// Where.
        at: u64,
        /// The type, cut at 100 characters.
        found: String,
    },
    /// The number of packages is not the one that the file begins with.
    #[error("the file says that it has {declared} packages, and has {found}")]
    Count {
        /// What it says.
        declared: u64,
        /// What it has.
        found: u64,
    },
}

impl RepositoryError {
    /// What the user can do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Checksum { .. } => {
                Some("make the metadata again with `createrepo_c --checksum sha256`".to_owned())
            }
            Self::Count { .. } => {
                Some("the file was cut or altered: fetch it again from another mirror".to_owned())
            }
            _ => None,
        }
    }

    fn value(at: u64, field: &'static str, text: &str, expected: &'static str) -> Self {
        Self::Value { at, field, text: shown(text), expected }
    }
}

/// As much of a foreign text as an error shows, in one line and without what a terminal would obey.
fn shown(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(100) {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// Fills a slot that may be filled once.
fn once<T>(slot: &mut Option<T>, value: T, at: u64, field: &'static str) -> Result<(), RepositoryError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(RepositoryError::Twice { at, field: field.to_owned() }),
    }
}

/// The value of a slot that must be filled.
fn needed<T>(slot: Option<T>, at: u64, owner: &str, field: &'static str) -> Result<T, RepositoryError> {
    slot.ok_or_else(|| RepositoryError::Missing { at, owner: shown(owner), field })
}

/// A number as metadata write it.
fn number<T: FromStr>(text: &str, at: u64, field: &'static str) -> Result<T, RepositoryError> {
    let expected = "a whole number in the allowed range";
    // `+1` is a number to Rust and to no writer of metadata.
    let plain = Some(text.trim()).filter(|digits| !digits.starts_with('+'));
    let parsed = plain.and_then(|digits| digits.parse().ok());
    parsed.ok_or_else(|| RepositoryError::value(at, field, text, expected))
}

/// The 64 hex digits of a SHA-256 digest.
fn digest(text: &str, at: u64, field: &'static str) -> Result<Digest, RepositoryError> {
    let hex = Some(text.trim()).filter(|hex| hex.len() == 64);
    let parsed = hex.and_then(|hex| hex.parse().ok());
    parsed.ok_or_else(|| RepositoryError::value(at, field, text, "64 lower-case hex digits"))
}

/// A name, an architecture, a version or a release: these go into file names, locks and tables.
fn word<'a>(text: &'a str, at: u64, field: &'static str) -> Result<&'a str, RepositoryError> {
    let stray = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'/';
    match text.is_empty() || text.bytes().any(stray) {
        false => Ok(text),
        true => Err(RepositoryError::value(at, field, text, "a word without blanks and slashes")),
    }
}

/// A file's place below the repository's base: relative, and nothing that leads elsewhere.
fn location(text: &str, at: u64) -> Result<&str, RepositoryError> {
    let stray = |byte: u8| byte <= b' ' || byte == 0x7f || matches!(byte, b'\\' | b'?' | b'#');
    // A colon in the first component would make that a URL's scheme.
    let first = text.split('/').next().unwrap_or_default();
    let leads_out = text.split('/').any(|component| matches!(component, "" | "." | ".."))
        || first.contains(':')
        || text.bytes().any(stray);
    match leads_out {
        false => Ok(text),
        true => Err(RepositoryError::value(at, "location", text, "a relative path below the repository")),
    }
}
