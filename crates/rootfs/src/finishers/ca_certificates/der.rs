//! DER elements (X.690) as far as certificates need them: taken apart without copying, put together again.

use std::fmt;

/// Why bytes are no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACertificate(pub(super) &'static str);

impl fmt::Display for NotACertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not a PEM certificate: {}", self.0)
    }
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const UNIVERSAL_STRING: u8 = 0x1c;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// PrintableString, T61String, IA5String, VisibleString: OpenSSL reads each as Latin-1.
const LATIN_STRINGS: [u8; 4] = [0x13, 0x14, 0x16, 0x1a];

/// One element: tag, content, what comes after it.
pub(super) fn take(der: &[u8]) -> Result<(u8, &[u8], &[u8]), NotACertificate> {
    let short = NotACertificate("the DER encoding ends too early");
    let (&tag, rest) = der.split_first().ok_or(short)?;
    let (&first, rest) = rest.split_first().ok_or(short)?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Up to four bytes of length: nothing in a certificate is larger.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(short)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return Err(NotACertificate("a length is not DER")),
    };
    let (content, rest) = rest.split_at_checked(length).ok_or(short)?;
    Ok((tag, content, rest))
}

/// One element with its tag and length, and what comes after it.
pub(super) fn whole(der: &[u8]) -> Result<(&[u8], &[u8]), NotACertificate> {
    let (_, _, rest) = take(der)?;
    Ok(der.split_at(der.len() - rest.len()))
}

/// The content of an element that must have this tag, and what comes after it.
pub(super) fn expect(der: &[u8], tag: u8) -> Result<(&[u8], &[u8]), NotACertificate> {
    let (found, content, rest) = take(der)?;
    if found == tag { Ok((content, rest)) } else { Err(NotACertificate("it is not made like a certificate")) }
}

/// The content of the next element if it has this tag, and what comes after it.
pub(super) fn optional(der: &[u8], tag: u8) -> Result<(Option<&[u8]>, &[u8]), NotACertificate> {
    if der.first() != Some(&tag) {
        return Ok((None, der));
    }
    let (content, rest) = expect(der, tag)?;
    Ok((Some(content), rest))
}

/// The elements of a sequence, each with tag and length.
pub(super) fn elements(mut content: &[u8]) -> Result<Vec<&[u8]>, NotACertificate> {
    let mut found = Vec::new();
    while !content.is_empty() {
        let (element, rest) = whole(content)?;
        found.push(element);
        content = rest;
    }
    Ok(found)
}

/// Adds an element.
pub(super) fn append(der: &mut Vec<u8>, tag: u8, content: &[u8]) {
    der.push(tag);
    let length = content.len().to_be_bytes();
    let start = length.iter().position(|digit| *digit != 0).unwrap_or(length.len() - 1);
    match length.get(start..).unwrap_or_default() {
        [short @ 0..=0x7f] => der.push(*short),
        long => {
            der.push(0x80 | long.len() as u8);
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
}

/// The text of a string type; none for all other types.
pub(super) fn text(tag: u8, value: &[u8]) -> Result<Option<String>, NotACertificate> {
    let bad = NotACertificate("a name in the subject is not in its character set");
    let decoded = match tag {
        UTF8_STRING => String::from_utf8(value.to_vec()).map_err(|_| bad)?,
        BMP_STRING => {
            let units: Vec<u16> = value
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
                .collect();
            String::from_utf16(&units).map_err(|_| bad)?
        }
        UNIVERSAL_STRING => {
            let code = |unit: &[u8]| unit.iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
            value.chunks(4).map(|unit| char::from_u32(code(unit)).ok_or(bad)).collect::<Result<_, _>>()?
        }
        tag if LATIN_STRINGS.contains(&tag) => value.iter().map(|byte| char::from(*byte)).collect(),
        _ => return Ok(None),
    };
    Ok(Some(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_its_character_set() {
        assert_eq!(text(0x13, b"A").unwrap().as_deref(), Some("A"));
        assert_eq!(text(0x1e, &[0x01, 0x51]).unwrap().as_deref(), Some("ő"));
        assert_eq!(text(0x03, b"bits").unwrap(), None);
    }

    #[test]
    fn long_lengths_survive_a_round_trip() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let mut der = Vec::new();
            append(&mut der, SET, &vec![7; length]);
            let (content, rest) = expect(&der, SET).unwrap();
            assert_eq!((content.len(), rest.len()), (length, 0));
            assert_eq!(whole(&der).unwrap(), (&der[..], &[][..]));
        }
    }
}
