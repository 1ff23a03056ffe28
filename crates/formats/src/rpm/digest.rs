//! The digests of files: which hash a package uses, and a body that is checked while it is read.

use std::io::{self, Read};

use sha2::digest::{Digest, DynDigest};

use crate::rpm::error::{RpmError, shown};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// The hash of a package's file digests, by OpenPGP's numbers (RFC 9580 section 9.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileHash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Sha224,
}

impl FileHash {
    pub(super) fn of(header: &Header) -> Result<Self, RpmError> {
        Ok(match header.u32(tag::FILE_DIGEST_ALGORITHM) {
            // Weak ones are only held against accidents: what a signature is about is the digest of the payload.
            None | Some(1) => Self::Md5,
            Some(2) => Self::Sha1,
            Some(8) => Self::Sha256,
            Some(9) => Self::Sha384,
            Some(10) => Self::Sha512,
            Some(11) => Self::Sha224,
            Some(other) => {
                let text = other.to_string();
                return Err(RpmError::Value { what: "file digest algorithm", text, reason: "is not known" });
            }
        })
    }

    fn hasher(self) -> Box<dyn DynDigest> {
        match self {
            Self::Md5 => Box::new(md5::Md5::new()),
            Self::Sha1 => Box::new(sha1::Sha1::new()),
            Self::Sha256 => Box::new(sha2::Sha256::new()),
            Self::Sha384 => Box::new(sha2::Sha384::new()),
            Self::Sha512 => Box::new(sha2::Sha512::new()),
            Self::Sha224 => Box::new(sha2::Sha224::new()),
        }
    }
}

/// A body whose last bytes are only given when all of them fit the digest that the header has.
pub(super) struct CheckedBody<'a, R> {
    inner: R,
    left: u64,
    hasher: Option<Box<dyn DynDigest>>,
    expected: &'a str,
    path: &'a [u8],
}

impl<'a, R: Read> CheckedBody<'a, R> {
    pub(super) fn new(inner: R, size: u64, hash: FileHash, expected: &'a str, path: &'a [u8]) -> Self {
        Self { inner, left: size, hasher: Some(hash.hasher()), expected, path }
    }

    /// Reads what the visitor did not, since all contents are checked.
    pub(super) fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        // A body without a single byte has a digest too.
        self.check()
    }

    fn check(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found == self.expected.to_ascii_lowercase() {
            return Ok(());
        }
        let expected = match self.expected {
            "" => "none".to_owned(),
            digest => shown(digest.as_bytes()),
        };
        let reason = format!("has the digest {found}; the header says {expected}");
        Err(io::Error::new(io::ErrorKind::InvalidData, RpmError::file(self.path, reason)))
    }
}

impl<R: Read> Read for CheckedBody<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        self.left = self.left.saturating_sub(read as u64);
        if read > 0 && self.left == 0 {
            self.check()?;
        }
        Ok(read)
    }
}
