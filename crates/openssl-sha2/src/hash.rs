//! `openssl::hash`: bytes in, digests out. A hasher starts anew after [`Hasher::finish`], as OpenSSL's does.

use std::fmt;
use std::ops::Deref;

use sha2::Digest as _;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageDigest(Algorithm);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl MessageDigest {
    /// SHA-256.
    #[must_use]
    pub const fn sha256() -> Self {
        Self(Algorithm::Sha256)
    }

    /// SHA-384.
    #[must_use]
    pub const fn sha384() -> Self {
        Self(Algorithm::Sha384)
    }

    /// SHA-512.
    #[must_use]
    pub const fn sha512() -> Self {
        Self(Algorithm::Sha512)
    }
}

/// OpenSSL's error; nothing here makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStack {}

impl fmt::Display for ErrorStack {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for ErrorStack {}

enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

/// A digest in the making.
pub struct Hasher(State);

impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hasher").finish_non_exhaustive()
    }
}

/// A digest; its bytes by dereferencing.
#[derive(Debug, Clone, Copy)]
pub struct DigestBytes {
    bytes: [u8; 64],
    length: usize,
}

impl DigestBytes {
    fn new(digest: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let length = digest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&digest[..length]);
        Self { bytes, length }
    }
}

impl Deref for DigestBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for DigestBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    ///
    /// # Errors
    /// Never.
    pub fn new(digest: MessageDigest) -> Result<Self, ErrorStack> {
        Ok(Self(match digest.0 {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        }))
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Never.
    pub fn update(&mut self, data: &[u8]) -> Result<(), ErrorStack> {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(data),
            State::Sha384(hasher) => hasher.update(data),
            State::Sha512(hasher) => hasher.update(data),
        }
        Ok(())
    }

    /// The digest of all bytes since the start, or since this was called before.
    ///
    /// # Errors
    /// Never.
    pub fn finish(&mut self) -> Result<DigestBytes, ErrorStack> {
        Ok(match &mut self.0 {
            State::Sha256(hasher) => DigestBytes::new(&hasher.finalize_reset()),
            State::Sha384(hasher) => DigestBytes::new(&hasher.finalize_reset()),
            State::Sha512(hasher) => DigestBytes::new(&hasher.finalize_reset()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard_and_a_hasher_starts_anew() {
        // FIPS 180-2, appendices B.1, C.1 and D.1.
        let cases = [
            (MessageDigest::sha256(), "ba7816bf", "f20015ad"),
            (MessageDigest::sha384(), "cb00753f", "34c825a7"),
            (MessageDigest::sha512(), "ddaf35a1", "a54ca49f"),
        ];
        for (digest, start, end) in cases {
            let mut hasher = Hasher::new(digest).unwrap();
            for _ in 0..2 {
                hasher.update(b"a").unwrap();
                hasher.update(b"bc").unwrap();
                let bytes = hasher.finish().unwrap();
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert!(hex.starts_with(start) && hex.ends_with(end), "{digest:?}: {hex}");
            }
        }
    }
}
