//! RPM packages of formats 4 and 6: a stream of bytes comes in, the two headers and the files go out to a visitor, in
//! the order in which they lie. Nothing is unpacked anywhere; in memory are the headers and a piece of one file.
//!
//! A package is a lead (96 bytes, of which only the magic still means something), a signature header, a main header and
//! a compressed payload. [`header`] reads the headers, the other modules what stands in the main one. Whether somebody
//! trustworthy signed it is not asked here.

mod accounts;
mod digest;
mod error;
mod files;
pub mod header;
mod identity;
mod payload;
mod scriptlets;
pub mod tag;

use std::io::{self, Read};
use std::ops::Range;

pub use accounts::accounts;
pub use error::RpmError;
pub use files::{FileEntry, FileFlags};
pub use header::{Header, HeaderError, Part};
pub use identity::Identity;
pub use scriptlets::{Scriptlet, ScriptletKind};

/// Size of the lead in bytes.
const LEAD_SIZE: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// The only type of signature that a lead may announce: a header (`RPMSIGTYPE_HEADERSIG`).
const LEAD_SIGNATURE_HEADER: [u8; 2] = [0, 5];
/// The signature header is filled up with zeros to a multiple of this.
const SIGNATURE_ALIGNMENT: usize = 8;

/// Limits for packages that were not made in good faith.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest header in bytes, without its index.
    pub header: u64,
    /// Largest payload in bytes, unpacked.
    pub payload: u64,
}

impl Default for Limits {
    /// A header may be as large as rpm takes one. The largest packages hold a few gigabytes of debugging symbols.
    fn default() -> Self {
        Self { header: (256 << 20) - 1, payload: 32 << 30 }
    }
}

/// Takes what a package holds.
pub trait RpmVisitor {
    /// What goes wrong: in the package, or in the visitor's own work.
    type Error: From<RpmError>;

    /// The two headers, before anything else.
    ///
    /// # Errors
    /// Ends the reading with this error.
    fn headers(&mut self, signature: &Header, header: &Header) -> Result<(), Self::Error>;

    /// One file of the payload. Of several names of one file, the one with the contents comes first and the others
    /// after it, as hard links. What is not read of the body is skipped. The last bytes of a body are only given when
    /// all of them fit the header's digest; a body that fails to be read gives an I/O error that tells what is wrong
    /// with the package.
    ///
    /// # Errors
    /// Ends the reading with this error.
    fn file(&mut self, file: &FileEntry, body: &mut dyn Read) -> Result<(), Self::Error>;
}

/// Where the parts of a package lie, in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRanges {
    /// The main header: what today's signatures are about.
    pub header: Range<u64>,
    /// Where the payload starts; it goes to the end.
    pub payload: u64,
}

/// Reads a package to its end.
///
/// # Errors
/// When the package is malformed, cut off or beyond the limits, or when the visitor says so.
pub fn read<R: Read, V: RpmVisitor>(mut reader: R, limits: &Limits, visitor: &mut V) -> Result<(), V::Error> {
    let (signature, header, _) = read_headers_within(&mut reader, limits)?;
    visitor.headers(&signature, &header)?;
    payload::read(reader, &header, limits.payload, visitor)
}

/// Reads the signature header and the main header, and not a byte of the payload.
///
/// # Errors
/// When something is malformed, cut off or larger than any that is made in good faith.
pub fn read_headers(reader: impl Read) -> Result<(Header, Header, SignedRanges), RpmError> {
    read_headers_within(reader, &Limits::default())
}

fn read_headers_within(
    mut reader: impl Read,
    limits: &Limits,
) -> Result<(Header, Header, SignedRanges), RpmError> {
    read_lead(&mut reader)?;
    let signature = Header::read(Part::Signature, &mut reader, limits.header)
        .map_err(|error| cut(error, "signature header"))??;
    let length = signature.bytes().len();
    let mut padding = [0; SIGNATURE_ALIGNMENT];
    let room = length.next_multiple_of(SIGNATURE_ALIGNMENT) - length;
    let padding = padding.get_mut(..room).unwrap_or_default();
    reader.read_exact(padding).map_err(|error| cut(error, "signature header"))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(RpmError::Padding);
    }
    let header =
        Header::read(Part::Main, &mut reader, limits.header).map_err(|error| cut(error, "main header"))??;
    let start = (LEAD_SIZE + length + room) as u64;
    let payload = start + header.bytes().len() as u64;
    Ok((signature, header, SignedRanges { header: start..payload, payload }))
}

/// Checks of the lead what rpm checks; the rest was superseded by the header thirty years ago.
fn read_lead(mut reader: impl Read) -> Result<(), RpmError> {
    let mut lead = [0; LEAD_SIZE];
    reader.read_exact(&mut lead).map_err(|error| cut(error, "lead"))?;
    let [magic @ .., _, _] = lead.first_chunk::<6>().copied().unwrap_or_default();
    if magic != LEAD_MAGIC {
        return Err(RpmError::Lead("it does not start with the magic of one"));
    }
    if !lead.get(4).is_some_and(|major| matches!(major, 3 | 4)) {
        return Err(RpmError::Lead("its lead is of an unknown version (known: 3, 4)"));
    }
    if lead.get(78..80) != Some(&LEAD_SIGNATURE_HEADER) {
        return Err(RpmError::Lead("its lead announces no signature header"));
    }
    Ok(())
}

fn cut(error: io::Error, inside: &'static str) -> RpmError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        RpmError::Truncated(inside)
    } else {
        RpmError::Io(error)
    }
}
