//! `tar` archives, read as a stream and written so that the same entries always give the same bytes.
//!
//! The reader takes what package tools and image builders write: POSIX ustar and pax, GNU long names and base-256
//! numbers, and V7. What would make two readers disagree about an archive (an attribute given twice, a link that
//! carries data, sparse files, unknown types, a missing end) is refused, because an image must not depend on who reads
//! it. The writer makes plain ustar, and pax records only where ustar has no room.

mod header;
mod pax;
mod reader;
mod writer;

use std::collections::BTreeMap;
use std::io;

pub use reader::{Body, Reader};
pub use writer::{Writer, header};

/// Size of a tar block in bytes: headers take one, bodies a whole number of them.
pub const BLOCK_SIZE: usize = 512;

/// Longest path or link target in bytes; Linux takes no longer one (`PATH_MAX`).
pub const PATH_LIMIT: usize = 4096;

/// Largest pax extended header in bytes; holds a file's extended attributes, each of which Linux bounds to 64 KiB.
pub const PAX_LIMIT: u64 = 1024 * 1024;

/// Largest GNU long name in bytes as stored; a sane one is shorter than [`PATH_LIMIT`].
pub const LONG_NAME_LIMIT: u64 = 64 * 1024;

/// Before the name of an extended attribute in a pax record; star's convention, which GNU tar, Go and OCI follow.
const XATTR_PREFIX: &str = "SCHILY.xattr.";

/// One entry of an archive, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path's raw bytes as the archive has them, without the slashes after a directory's name. Not checked for
    /// `..` or a leading slash: `TreePath` does that.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission, setuid, setgid and sticky bits (`07777`).
    pub mode: u32,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// Modification time in whole seconds since 1970; fractions are rounded down.
    pub mtime: i64,
    /// Size of the body in bytes; zero for all but files.
    pub size: u64,
    /// Extended attributes by their full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target, as it was written.
    Symlink(Vec<u8>),
    /// Another name of an earlier entry with this path.
    HardLink(Vec<u8>),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl EntryKind {
    /// The kind in words, with its article.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink(_) => "a symbolic link",
            Self::HardLink(_) => "a hard link",
            Self::CharDevice { .. } => "a character device",
            Self::BlockDevice { .. } => "a block device",
            Self::Fifo => "a named pipe",
        }
    }
}

impl Entry {
    /// An entry of root's with mode 0644 (directories 0755, symbolic links 0777), from 1970 and without a body.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: EntryKind) -> Self {
        let mode = match kind {
            EntryKind::Directory => 0o755,
            EntryKind::Symlink(_) => 0o777,
            _ => 0o644,
        };
        Self { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: 0, size: 0, xattrs: BTreeMap::new() }
    }
}

/// Why an archive cannot be read or written. Offsets are in bytes from the start of the archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The archive ends where it must not.
    #[error("tar archive ends {place}")]
    Truncated {
        /// Where it ends.
        place: String,
    },
    /// A header's checksum is wrong: this is no tar archive, or a damaged one.
    #[error("no valid tar header at byte {offset}: its checksum does not match")]
    Checksum {
        /// Where the header starts.
        offset: u64,
    },
    /// A header is of no known tar format.
    #[error("tar header at byte {offset} is of an unknown format: magic `{magic}`")]
    Format {
        /// Where the header starts.
        offset: u64,
        /// What stands where the format's name belongs, made printable.
        magic: String,
    },
    /// A header field does not hold what it must.
    #[error("tar header at byte {offset}: bad {field} `{text}`")]
    BadField {
        /// Where the header starts.
        offset: u64,
        /// Which field.
        field: String,
        /// What it holds, made printable and cut.
        text: String,
    },
    /// A pax header is not a list of records.
    #[error("pax header at byte {offset}: {reason}")]
    Pax {
        /// Where the header's own block starts.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The same attribute is given twice for one entry, so that readers could differ.
    #[error("tar header at byte {offset}: {what} is given twice for one entry")]
    Duplicate {
        /// Where the second one is.
        offset: u64,
        /// What is given twice.
        what: String,
    },
    /// Something is larger than a fixed limit.
    #[error("tar header at byte {offset}: {what} of {size} bytes is larger than the allowed {limit}")]
    TooLarge {
        /// Where the header starts.
        offset: u64,
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An entry uses a part of tar that images have no use for.
    #[error("tar entry `{path}`: {what} is not supported")]
    Unsupported {
        /// The entry's path, made printable.
        path: String,
        /// What it uses.
        what: String,
    },
    /// An entry that is no file has a size.
    #[error("tar entry `{path}` is {kind} but carries {size} bytes of data")]
    UnexpectedData {
        /// The entry's path, made printable.
        path: String,
        /// What it is, with its article.
        kind: &'static str,
        /// The size in its header.
        size: u64,
    },
    /// Something other than zeros, or a lone block of zeros, at the end.
    #[error("tar archive has data after its end mark at byte {offset}")]
    TrailingData {
        /// Where it was found.
        offset: u64,
    },
    /// An entry that the writer was given cannot be written as it is.
    #[error("tar entry `{path}` cannot be written: {reason}")]
    Unwritable {
        /// The entry's path, made printable.
        path: String,
        /// Why.
        reason: String,
    },
    /// The archive could not be read or written.
    #[error("tar archive: {0}")]
    Io(#[from] io::Error),
}

/// A path for an error message: printable, and no longer than a message should be.
fn shown(path: &[u8]) -> String {
    const SHOWN: usize = 200;
    path[..path.len().min(SHOWN)].escape_ascii().to_string()
}

/// Bytes from the end of a body of this size to the next block.
#[must_use]
pub const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK_SIZE as u64
}
