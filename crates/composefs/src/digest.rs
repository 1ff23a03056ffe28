//! fs-verity digests (Documentation/filesystems/fsverity.rst, "File digest computation"), computed without the kernel.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use composefs::fsverity::{FsVerityHashValue as _, FsVerityHasher, Sha512HashValue};
use zerocopy::IntoBytes as _;

/// The fs-verity digest of an object: SHA-512, blocks of 4,096 bytes, no salt. Displays as 128 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerityDigest([u8; 64]);

/// A text that is no such digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no composefs digest (128 lower-case hex digits)")]
pub struct VerityDigestError {
    /// The text, or its start.
    pub text: String,
}

impl VerityDigest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = ObjectHasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The 64 raw bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// A digest from its 64 raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Where a repository keeps the object, below its directory `objects`: `ab/cd…`.
    #[must_use]
    pub fn object_path(&self) -> String {
        self.to_value().to_object_pathname()
    }

    /// The object with this path below `objects`.
    #[must_use]
    pub fn from_object_path(directory: &str, file: &str) -> Option<Self> {
        (directory.len() == 2).then(|| format!("{directory}{file}").parse().ok()).flatten()
    }

    pub(crate) fn to_value(self) -> Sha512HashValue {
        Sha512HashValue::from(self.0)
    }

    pub(crate) fn from_value(value: &Sha512HashValue) -> Self {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(value.as_bytes());
        Self(bytes)
    }
}

impl fmt::Display for VerityDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for VerityDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for VerityDigest {
    type Err = VerityDigestError;

    fn from_str(text: &str) -> Result<Self, VerityDigestError> {
        let error = || VerityDigestError { text: text.chars().take(140).collect() };
        let lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text.len() != 128 || !lower {
            return Err(error());
        }
        let value = Sha512HashValue::from_hex(text).map_err(|_| error())?;
        Ok(Self::from_value(&value))
    }
}

/// Computes a digest from pieces of any size; also a sink for [`Write`].
pub struct ObjectHasher {
    inner: FsVerityHasher<Sha512HashValue>,
    /// Less than a block that came and was not hashed yet.
    rest: Vec<u8>,
}

const BLOCK: usize = FsVerityHasher::<Sha512HashValue>::BLOCK_SIZE;

impl Default for ObjectHasher {
    fn default() -> Self {
        Self { inner: FsVerityHasher::new(), rest: Vec::new() }
    }
}

impl fmt::Debug for ObjectHasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ObjectHasher").finish_non_exhaustive()
    }
}

impl ObjectHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if !self.rest.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(BLOCK - self.rest.len()));
            self.rest.extend_from_slice(head);
            bytes = tail;
            if self.rest.len() < BLOCK {
                return;
            }
            self.inner.add_block(&self.rest);
            self.rest.clear();
        }
        let mut blocks = bytes.chunks_exact(BLOCK);
        for block in &mut blocks {
            self.inner.add_block(block);
        }
        self.rest.extend_from_slice(blocks.remainder());
    }

    /// The digest of all that came.
    #[must_use]
    pub fn finish(mut self) -> VerityDigest {
        if !self.rest.is_empty() {
            self.inner.add_block(&self.rest);
        }
        VerityDigest::from_value(&self.inner.digest())
    }
}

impl Write for ObjectHasher {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_give_the_same_digest() {
        for size in [0, 1, 64, 65, 4095, 4096, 4097, 300_000, 64 * 4096, 64 * 4096 + 1] {
            let bytes: Vec<u8> = (0..size).map(|number: usize| (number * 7 % 251) as u8).collect();
            let whole = VerityDigest::of(&bytes);
            assert_eq!(whole, VerityDigest::from_value(&composefs::fsverity::compute_verity(&bytes)));
            for piece in [1000, 4096, 9999] {
                let mut hasher = ObjectHasher::default();
                bytes.chunks(piece).for_each(|piece| hasher.update(piece));
                assert_eq!(hasher.finish(), whole, "{size} bytes in pieces of {piece}");
            }
            assert_eq!(whole.to_string().parse(), Ok(whole));
            let path = whole.object_path();
            let (directory, file) = path.split_once('/').unwrap();
            assert_eq!(VerityDigest::from_object_path(directory, file), Some(whole));
        }
        assert!("00".parse::<VerityDigest>().is_err());
        assert!("A".repeat(128).parse::<VerityDigest>().is_err());
    }
}
