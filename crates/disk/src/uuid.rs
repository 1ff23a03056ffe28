//! UUIDs of disks, partitions and file systems, which come from a seed: the same image gets the same ones.

use std::fmt;
use std::str::FromStr;

use calypte_base::{Digest, Hasher};

/// A UUID in the order of its text (RFC 9562). GPT stores its first three fields the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no UUID (for example 4f68bce3-e8cd-4db1-96e7-fbcaf984b709)")]
pub struct UuidError {
    /// The text as given.
    pub text: String,
}

impl Uuid {
    /// From its 16 bytes in the order of the text.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes in the order of the text.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The UUID for a purpose under a seed: SHA-256 over both, marked as version 8 (made by an own rule).
    #[must_use]
    pub fn from_seed(seed: &Digest, purpose: &str) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(seed.bytes());
        hasher.update(purpose.as_bytes());
        let digest = hasher.finish();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.bytes()[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Its bytes as EFI and GPT store them: the first three fields little-endian.
    #[must_use]
    pub const fn efi_bytes(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let [i, j, k, l, m, n, o, p] = rest;
        [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
    }

    /// The reverse of [`Uuid::efi_bytes`].
    #[must_use]
    pub const fn from_efi_bytes(bytes: [u8; 16]) -> Self {
        Self(Self(bytes).efi_bytes())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(formatter, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    /// Takes hex digits of either case, with dashes at their places.
    fn from_str(text: &str) -> Result<Self, UuidError> {
        let bad = || UuidError { text: text.chars().take(100).collect() };
        let bytes = text.as_bytes();
        let dashes_fit = bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| (*byte == b'-') == matches!(place, 8 | 13 | 18 | 23));
        if bytes.len() != 36 || !dashes_fit {
            return Err(bad());
        }
        let digits: Vec<u8> = bytes
            .iter()
            .filter(|byte| **byte != b'-')
            .map(|byte| {
                char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(bad)
            })
            .collect::<Result<_, _>>()?;
        let mut value = [0; 16];
        for (byte, pair) in value.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4) | pair[1];
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_efi_order() {
        let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        let uuid: Uuid = text.parse().unwrap();
        assert_eq!(uuid.to_string(), text);
        assert_eq!(uuid.efi_bytes()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(Uuid::from_efi_bytes(uuid.efi_bytes()), uuid);
        for bad in ["", "c12a7328f81f11d2ba4b00a0c93ec93b", "g12a7328-f81f-11d2-ba4b-00a0c93ec93b"] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_seed_gives_one_for_each_purpose() {
        let seed = Digest::of(b"image");
        let root = Uuid::from_seed(&seed, "root");
        assert_eq!(root, Uuid::from_seed(&seed, "root"));
        assert_ne!(root, Uuid::from_seed(&seed, "disk"));
        assert_eq!(root.to_string().as_bytes()[14], b'8');
    }
}
