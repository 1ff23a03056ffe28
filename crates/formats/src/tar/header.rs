//! The 512-byte header block: fields in and out. Layout by POSIX.1-2024 `pax`, "ustar Interchange Format", with the
//! base-256 numbers of GNU tar.

use std::ops::Range;

use super::{BLOCK_SIZE, TarError, shown};

/// A header block.
pub type Block = [u8; BLOCK_SIZE];

pub const NAME: Range<usize> = 0..100;
pub const MODE: Range<usize> = 100..108;
pub const UID: Range<usize> = 108..116;
pub const GID: Range<usize> = 116..124;
pub const SIZE: Range<usize> = 124..136;
pub const MTIME: Range<usize> = 136..148;
pub const CHECKSUM: Range<usize> = 148..156;
pub const TYPE: usize = 156;
pub const LINK_NAME: Range<usize> = 157..257;
pub const MAGIC: Range<usize> = 257..265;
pub const DEVICE_MAJOR: Range<usize> = 329..337;
pub const DEVICE_MINOR: Range<usize> = 337..345;
pub const PREFIX: Range<usize> = 345..500;

/// Magic and version of POSIX ustar and pax.
pub const USTAR: &[u8; 8] = b"ustar\x0000";
const GNU: &[u8; 8] = b"ustar  \0";

/// A block whose checksum and format have been checked.
pub struct Header<'a> {
    block: &'a Block,
    offset: u64,
    posix: bool,
}

impl<'a> Header<'a> {
    /// Checks checksum and magic of the block that lies at `offset`.
    pub fn check(block: &'a Block, offset: u64) -> Result<Self, TarError> {
        let stored = number(&block[CHECKSUM]);
        let sum: i64 = block.iter().map(|byte| i64::from(*byte)).sum();
        let of_field: i64 = block[CHECKSUM].iter().map(|byte| i64::from(*byte)).sum();
        // The field itself counts as eight spaces.
        if stored != Some(sum - of_field + 8 * i64::from(b' ')) {
            return Err(TarError::Checksum { offset });
        }
        let magic = &block[MAGIC];
        if magic != USTAR && magic != GNU && magic != [0; 8] {
            return Err(TarError::Format { offset, magic: shown(magic) });
        }
        Ok(Self { block, offset, posix: magic == USTAR })
    }

    /// The type flag.
    pub const fn kind(&self) -> u8 {
        self.block[TYPE]
    }

    /// Prefix and name, joined.
    pub fn path(&self) -> Vec<u8> {
        let name = text(&self.block[NAME]);
        // GNU and V7 headers have other fields where ustar has the prefix.
        let prefix = if self.posix { text(&self.block[PREFIX]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// The link's target.
    pub fn link_name(&self) -> Vec<u8> {
        text(&self.block[LINK_NAME]).to_vec()
    }

    /// A field that can hold a negative number.
    pub fn signed(&self, field: Range<usize>, name: &'static str) -> Result<i64, TarError> {
        let bytes = &self.block[field];
        number(bytes).ok_or_else(|| self.bad(name, bytes))
    }

    /// A field that holds a count, an id or a size.
    pub fn unsigned<T: TryFrom<i64>>(&self, field: Range<usize>, name: &'static str) -> Result<T, TarError> {
        let value = self.signed(field.clone(), name)?;
        T::try_from(value).map_err(|_| self.bad(name, &self.block[field]))
    }

    fn bad(&self, field: &'static str, bytes: &[u8]) -> TarError {
        TarError::BadField { offset: self.offset, field: field.to_owned(), text: shown(bytes) }
    }
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal digits between blanks (none at all: zero), or base-256 when the first bit is set.
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Two's complement in big-endian order, less the bit that marks it; at most 12 bytes.
        let sign_extended = i128::from(((first << 1) as i8) >> 1);
        let value = rest.iter().fold(sign_extended, |value, byte| (value << 8) | i128::from(*byte));
        return i64::try_from(value).ok();
    }
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let length = field[start..].iter().take_while(|byte| !blank(byte)).count();
    let (digits, tail) = field[start..].split_at(length);
    if !tail.iter().all(blank) {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// Writes an octal number that fills its field up to a NUL; false when it does not fit.
pub fn put_octal(field: &mut [u8], value: u64) -> bool {
    let Some((end, digits)) = field.split_last_mut() else { return false };
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
    *end = 0;
    rest == 0
}

/// Writes magic, version and checksum: the last step of making a header.
pub fn seal(block: &mut Block) {
    block[MAGIC].copy_from_slice(USTAR);
    block[CHECKSUM].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    // Six digits, NUL, space: what all tar programs write here. 512 bytes never sum to more than six digits.
    put_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_their_spellings() {
        let cases: &[(&[u8], Option<i64>)] = &[
            (b"0000644\0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"0000648\0", None),
            (b"-000644\0", None),
            (b"644 644\0", None),
            (b"\x80\0\0\0\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        ];
        for (field, expected) in cases {
            assert_eq!(number(field), *expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn octal_fields_say_when_they_are_too_small() {
        let mut field = [0; 8];
        assert!(put_octal(&mut field, 0o7_777_777));
        assert_eq!(&field, b"7777777\0");
        assert!(!put_octal(&mut field, 0o10_000_000));
    }
}
