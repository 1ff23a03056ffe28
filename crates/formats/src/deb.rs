//! Debian packages, `deb(5)`: a stream of bytes comes in, control files and the entries of the file archive go out to
//! a visitor, in the order in which they lie. Nothing is unpacked anywhere, and only one control file at a time is held
//! in memory.

use std::collections::BTreeSet;
use std::io::{self, Read};

use crate::ar::{self, ArError};
use crate::compression::{self, Compression};
use crate::tar::{self, Entry, EntryKind, TarError};

/// Limits for packages that were not made in good faith.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest control file in bytes.
    pub control_file: u64,
    /// Largest control archive in bytes, unpacked.
    pub control_total: u64,
    /// Largest file archive in bytes, unpacked.
    pub data_total: u64,
}

impl Default for Limits {
    /// The largest control files in Debian are `md5sums` of some megabytes, and the largest packages hold a few
    /// gigabytes of game data.
    fn default() -> Self {
        Self { control_file: 16 << 20, control_total: 32 << 20, data_total: 16 << 30 }
    }
}

/// Takes what a package holds.
pub trait DebVisitor {
    /// What goes wrong: in the package, or in the visitor's own work.
    type Error: From<DebError>;

    /// One file of the control archive, by its name without directories (`control`, `postinst`, …).
    ///
    /// # Errors
    /// Ends the reading with this error.
    fn control_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Self::Error>;

    /// One entry of the file archive. What is not read of the body is skipped. A body that fails to be read gives an
    /// I/O error that tells what is wrong with the package.
    ///
    /// # Errors
    /// Ends the reading with this error.
    fn data_entry(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<(), Self::Error>;
}

/// Why bytes are no Debian package.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The outer archive is malformed.
    #[error(transparent)]
    Ar(#[from] ArError),
    /// `debian-binary` holds no version that is known.
    #[error("package format version `{0}` is not supported (known: 2.x)")]
    Version(String),
    /// A member is missing or not where it belongs.
    #[error("expected {expected} but found {found}")]
    Order {
        /// What must come here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A member is compressed in a way that is not supported.
    #[error("{member} has an unknown compression (known: none, .gz, .xz, .zst)")]
    UnknownCompression {
        /// The member's name.
        member: String,
    },
    /// A control file is too large.
    #[error("control file `{name}` has {size} bytes, more than the allowed {limit}")]
    ControlFileTooLarge {
        /// Its name.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The control archive holds something that it must not.
    #[error("control archive holds `{name}`: {reason}")]
    ControlEntry {
        /// The entry's name, made printable.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An inner archive is malformed.
    #[error("{member}: {source}")]
    Tar {
        /// The member's name.
        member: String,
        /// What is wrong.
        source: TarError,
    },
    /// The package could not be read, or its compressed data are broken.
    #[error("{member}: {source}")]
    Io {
        /// The member's name.
        member: String,
        /// What is wrong.
        source: io::Error,
    },
}

/// Reads a package to its end.
///
/// # Errors
/// When the package is malformed, cut off or beyond the limits, or when the visitor says so.
pub fn read<R: Read, V: DebVisitor>(reader: R, limits: &Limits, visitor: &mut V) -> Result<(), V::Error> {
    let mut archive = ar::Reader::new(reader).map_err(DebError::from)?;
    read_version(&mut archive)?;

    let (member, compression) = expect_archive(&mut archive, "control.tar")?;
    read_control(
        &member,
        open(&member, compression, archive.body(), limits.control_total)?,
        limits,
        visitor,
    )?;

    let (member, compression) = expect_archive(&mut archive, "data.tar")?;
    read_data(&member, open(&member, compression, archive.body(), limits.data_total)?, visitor)?;

    match next_known_member(&mut archive).map_err(DebError::from)? {
        None => Ok(()),
        name => Err(DebError::Order { expected: "the end of the package", found: found(name) }.into()),
    }
}

fn read_version<R: Read>(archive: &mut ar::Reader<R>) -> Result<(), DebError> {
    const NAME: &str = "debian-binary";
    /// `2.0` and a newline, with room for the further lines that the format allows.
    const LIMIT: u64 = 256;
    // Comes first without exception, so that `file(1)` can tell a package.
    match archive.next_member()? {
        Some(member) if member.name == NAME => {}
        other => {
            return Err(DebError::Order { expected: NAME, found: found(other.map(|member| member.name)) });
        }
    }
    let mut bytes = Vec::new();
    let io = |source| DebError::Io { member: NAME.to_owned(), source };
    archive.body().take(LIMIT).read_to_end(&mut bytes).map_err(io)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let minor =
        line.strip_prefix(b"2.").filter(|minor| !minor.is_empty() && minor.iter().all(u8::is_ascii_digit));
    if minor.is_none() || !bytes.contains(&b'\n') {
        return Err(DebError::Version(line[..line.len().min(20)].escape_ascii().to_string()));
    }
    Ok(())
}

/// The next member that is not one of those which `deb(5)` lets be skipped: names that start with an underscore.
fn next_known_member<R: Read>(archive: &mut ar::Reader<R>) -> Result<Option<String>, ArError> {
    while let Some(member) = archive.next_member()? {
        if !member.name.starts_with('_') {
            return Ok(Some(member.name));
        }
    }
    Ok(None)
}

fn expect_archive<R: Read>(
    archive: &mut ar::Reader<R>,
    expected: &'static str,
) -> Result<(String, Compression), DebError> {
    let name = next_known_member(archive)?;
    let extension = name.as_deref().and_then(|name| name.strip_prefix(expected));
    match (extension, &name) {
        (Some(""), Some(name)) => Ok((name.clone(), Compression::None)),
        (Some(extension), Some(name)) if extension.starts_with('.') => {
            let known =
                Compression::from_extension(&extension[1..]).filter(|known| *known != Compression::None);
            let compression = known.ok_or_else(|| DebError::UnknownCompression { member: name.clone() })?;
            Ok((name.clone(), compression))
        }
        _ => Err(DebError::Order { expected, found: found(name) }),
    }
}

fn found(name: Option<String>) -> String {
    name.map_or_else(|| "the end of the package".to_owned(), |name| format!("`{name}`"))
}

fn open<R: Read>(
    member: &str,
    compression: Compression,
    body: R,
    limit: u64,
) -> Result<tar::Reader<compression::Decoder<R>>, DebError> {
    let io = |source| DebError::Io { member: member.to_owned(), source };
    Ok(tar::Reader::new(compression::decoder(compression, body, limit).map_err(io)?))
}

fn read_control<R: Read, V: DebVisitor>(
    member: &str,
    mut archive: tar::Reader<R>,
    limits: &Limits,
    visitor: &mut V,
) -> Result<(), V::Error> {
    let mut seen = BTreeSet::new();
    while let Some(entry) = archive.next_entry().map_err(|source| in_member(member, source))? {
        let Some(name) = control_name(&entry)? else { continue };
        if entry.size > limits.control_file {
            return Err(
                DebError::ControlFileTooLarge { name, size: entry.size, limit: limits.control_file }.into()
            );
        }
        if !seen.insert(name.clone()) {
            return Err(DebError::ControlEntry { name, reason: "it is there twice" }.into());
        }
        let mut bytes = Vec::new();
        let io = |source| DebError::Io { member: member.to_owned(), source };
        archive.body().read_to_end(&mut bytes).map_err(io)?;
        visitor.control_file(&name, &bytes)?;
    }
    if seen.contains("control") {
        return Ok(());
    }
    Err(DebError::Order { expected: "a file `control` in the control archive", found: "none".to_owned() }
        .into())
}

/// The name of a control file; none for the directory that holds them.
fn control_name(entry: &Entry) -> Result<Option<String>, DebError> {
    let fail = |reason| {
        let name = entry.path[..entry.path.len().min(100)].escape_ascii().to_string();
        Err(DebError::ControlEntry { name, reason })
    };
    let name = entry.path.strip_prefix(b"./").unwrap_or(&entry.path);
    match &entry.kind {
        EntryKind::Directory if matches!(name, b"." | b"") => return Ok(None),
        EntryKind::File => {}
        _ => return fail("only files belong there"),
    }
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') => {
            Ok(Some(name.to_owned()))
        }
        _ => fail("it is not a plain name"),
    }
}

fn read_data<R: Read, V: DebVisitor>(
    member: &str,
    mut archive: tar::Reader<R>,
    visitor: &mut V,
) -> Result<(), V::Error> {
    while let Some(entry) = archive.next_entry().map_err(|source| in_member(member, source))? {
        visitor.data_entry(&entry, &mut archive.body())?;
    }
    Ok(())
}

/// A broken outer archive or compressed stream comes up through the tar reader as an I/O error.
fn in_member(member: &str, source: TarError) -> DebError {
    let member = member.to_owned();
    match source {
        TarError::Io(source) => DebError::Io { member, source },
        source => DebError::Tar { member, source },
    }
}
