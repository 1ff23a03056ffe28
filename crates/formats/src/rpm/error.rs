//! Why bytes are no RPM package.

use std::io;

use crate::cpio::CpioError;
use crate::rpm::header::HeaderError;
use crate::xattr::CapabilityError;

/// Why bytes are no RPM package, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum RpmError {
    /// The first 96 bytes are not those of a package.
    #[error("not an rpm package: {0}")]
    Lead(&'static str),
    /// The package ends inside of something.
    #[error("rpm package ends inside the {0}")]
    Truncated(&'static str),
    /// The space between the two headers is not filled with zeros.
    #[error("the padding after the signature header is not zero")]
    Padding,
    /// One of the two headers is malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header does not have what every package has.
    #[error("the header has no {0}")]
    Missing(&'static str),
    /// A value of the header makes no sense.
    #[error("the header's {what} `{text}` {reason}")]
    Value {
        /// What it is about.
        what: &'static str,
        /// The value, made printable and cut.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A list of the header has another length than the list that it belongs to.
    #[error("the header's list of {list} has {found} elements where {expected} belong")]
    ListLength {
        /// The list.
        list: &'static str,
        /// How long it must be.
        expected: usize,
        /// How long it is.
        found: usize,
    },
    /// The payload is of a kind that is not supported.
    #[error("payload {what} `{name}` is not supported (known: {known})")]
    Unsupported {
        /// Format or compression.
        what: &'static str,
        /// What the header names.
        name: String,
        /// What would be read.
        known: &'static str,
    },
    /// The payload is malformed.
    #[error("payload: {0}")]
    Payload(CpioError),
    /// The payload could not be read, or its compressed data are broken.
    #[error("payload: {0}")]
    PayloadIo(io::Error),
    /// Something is wrong with a file.
    #[error("file `{path}` {reason}")]
    File {
        /// The file's path in the package, made printable.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The capabilities of a file cannot be read.
    #[error("file `{path}`: {source}")]
    Capability {
        /// The file's path in the package, made printable.
        path: String,
        /// What is wrong with them.
        source: CapabilityError,
    },
    /// The package could not be read.
    #[error("cannot read the rpm package: {0}")]
    Io(#[source] io::Error),
}

impl RpmError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Lead(_) | Self::Truncated(_) => Some(
                "the download may have been cut off, or something else than a package answered".to_owned(),
            ),
            Self::Unsupported { what: "compression", .. } => Some(
                "the package is older than its distribution's use of xz and zstd; it must be rebuilt"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    pub(super) fn file(path: &[u8], reason: impl Into<String>) -> Self {
        Self::File { path: shown(path), reason: reason.into() }
    }

    /// An error of the archive; a broken compressed stream comes up through the archive's reader as an I/O error.
    pub(super) fn payload(error: CpioError) -> Self {
        match error {
            CpioError::Io(source) => Self::PayloadIo(source),
            error => Self::Payload(error),
        }
    }
}

/// Bytes for an error message: printable, and no longer than a message should be.
pub(super) fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    bytes.iter().take(SHOWN).flat_map(|byte| byte.escape_ascii()).map(char::from).collect()
}
