//! Names of files: a short one of eight and three capitals, and a long one in entries before it.

use std::collections::BTreeSet;

use crate::little_endian::Put;

/// Size of a directory entry in bytes.
pub(super) const ENTRY: usize = 32;
/// UTF-16 units of a long name that an entry holds.
const UNITS: usize = 13;

/// A name as a directory stores it.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) short: [u8; 11],
    /// UTF-16 units; none where the short name says all.
    long: Vec<u16>,
}

impl Name {
    /// How many entries it takes.
    pub(super) const fn entries(&self) -> usize {
        1 + self.long.len().div_ceil(UNITS)
    }

    /// The entries of the long name, in the order in which they lie: the last piece first.
    pub(super) fn long_entries(&self) -> Vec<[u8; ENTRY]> {
        const PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
        const LAST: u8 = 0x40;
        let sum = self.short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let pieces = self.long.chunks(UNITS).zip(1_u8..);
        let mut entries: Vec<[u8; ENTRY]> = pieces
            .map(|(piece, number)| {
                let mut entry = [0; ENTRY];
                entry[0] = number;
                entry[11] = 0x0f;
                entry[13] = sum;
                // The name's end is a zero, and all after it are ones.
                let units = piece.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
                PLACES.iter().zip(units).for_each(|(place, unit)| entry.put16(*place, unit));
                entry
            })
            .collect();
        if let Some(last) = entries.last_mut() {
            last[0] |= LAST;
        }
        entries.reverse();
        entries
    }
}

/// Gives the names of one directory: in the order in which they are asked for, each different from those before it.
#[derive(Debug, Default)]
pub(super) struct Names {
    long: BTreeSet<String>,
    short: BTreeSet<[u8; 11]>,
}

impl Names {
    /// The form in which a name is stored; an error says why it cannot be.
    pub(super) fn add(&mut self, name: &str) -> Result<Name, String> {
        let bad = |c: char| c.is_control() || "\"*/:<>?\\|".contains(c);
        if name.contains(bad) || name.ends_with([' ', '.']) {
            return Err("FAT has no such name".to_owned());
        }
        let units: Vec<u16> = name.encode_utf16().collect();
        if units.len() > 255 {
            return Err("its name is longer than 255 characters".to_owned());
        }
        if !self.long.insert(name.to_uppercase()) {
            return Err(
                "its name differs only in case from another one, which FAT cannot tell apart".to_owned()
            );
        }
        if let Some(short) = as_short(name).filter(|short| !self.short.contains(short)) {
            self.short.insert(short);
            return Ok(Name { short, long: Vec::new() });
        }
        let short = self.numbered(name).ok_or_else(|| "too many names here are alike".to_owned())?;
        self.short.insert(short);
        Ok(Name { short, long: units })
    }

    /// The first of `NAME~1.EXT`, `NAME~2.EXT`… that is free.
    fn numbered(&self, name: &str) -> Option<[u8; 11]> {
        let capitals = |part: &str, limit: usize| -> Vec<u8> {
            let kept = part.chars().filter(|c| !matches!(c, ' ' | '.'));
            let bytes =
                kept.map(|c| u8::try_from(c.to_ascii_uppercase()).ok().filter(|byte| is_short(*byte)));
            bytes.map(|byte| byte.unwrap_or(b'_')).take(limit).collect()
        };
        let (base, extension) = match name.trim_start_matches('.').rsplit_once('.') {
            Some((base, extension)) => (capitals(base, 8), capitals(extension, 3)),
            None => (capitals(name, 8), Vec::new()),
        };
        (1..=999_999).map(|number| format!("~{number}")).find_map(|number| {
            let mut short = [b' '; 11];
            let kept = base.len().min(8 - number.len());
            short[..kept].copy_from_slice(&base[..kept]);
            short[kept..kept + number.len()].copy_from_slice(number.as_bytes());
            short[8..8 + extension.len()].copy_from_slice(&extension);
            (!self.short.contains(&short)).then_some(short)
        })
    }
}

/// The name in its short form, where that says all of it.
fn as_short(name: &str) -> Option<[u8; 11]> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let fits = |part: &str, limit: usize| part.len() <= limit && part.bytes().all(is_short);
    if base.is_empty() || !fits(base, 8) || !fits(extension, 3) || name.ends_with('.') {
        return None;
    }
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    Some(short)
}

const fn is_short(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b')' | b'-' | b'@' | b'^'..=b'`' | b'{' | b'}' | b'~')
}
