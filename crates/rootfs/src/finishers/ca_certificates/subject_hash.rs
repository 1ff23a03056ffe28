//! The name under which OpenSSL looks for a certificate in a directory: the hash of its subject.
//!
//! `X509_NAME_hash` of OpenSSL ≥ 1.0: the first four bytes, little-endian, of the SHA-1 of the subject's canonical
//! encoding. That is the DER of its RDNs (RFC 5280, section 4.1.2.4) without the outer SEQUENCE, where each text is a
//! UTF8String in lower case (ASCII letters only) with runs of white space made one space and none at the ends. SHA-1 is
//! no risk here: the hash only names a link.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Why the bytes are no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACertificate(&'static str);

impl fmt::Display for NotACertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not a PEM certificate: {}", self.0)
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTF8_STRING: u8 = 0x0c;
const BMP_STRING: u8 = 0x1e;
const UNIVERSAL_STRING: u8 = 0x1c;
/// PrintableString, T61String, IA5String, VisibleString: OpenSSL reads each as Latin-1.
const LATIN_STRINGS: [u8; 4] = [0x13, 0x14, 0x16, 0x1a];

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The eight hex digits of the subject hash of the one certificate in this PEM file (RFC 7468).
pub fn of_pem(pem: &[u8]) -> Result<String, NotACertificate> {
    let text = String::from_utf8_lossy(pem);
    let (_, body) = text.split_once(BEGIN).ok_or(NotACertificate("no begin line"))?;
    let (body, rest) = body.split_once(END).ok_or(NotACertificate("no end line"))?;
    if rest.contains(BEGIN) {
        return Err(NotACertificate("more than one certificate in the file"));
    }
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| NotACertificate("the body is not base64"))?;
    let mut hasher = Sha1::new();
    hasher.update(canonical_subject(&der)?);
    let hash = hasher.finalize();
    Ok(format!("{:08x}", u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])))
}

/// The canonical encoding of a certificate's subject.
fn canonical_subject(der: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = take(fields)?.2;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        fields = take(fields)?.2;
    }
    let (mut subject, _) = expect(fields, SEQUENCE)?;
    let mut canonical = Vec::new();
    while !subject.is_empty() {
        let (mut set, rest) = expect(subject, SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let (attribute, rest) = expect(set, SEQUENCE)?;
            attributes.push(canonical_attribute(attribute)?);
            set = rest;
        }
        attributes.sort();
        append(&mut canonical, SET, &attributes.concat());
        subject = rest;
    }
    Ok(canonical)
}

fn canonical_attribute(attribute: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    let (identifier, rest) = expect(attribute, OBJECT_IDENTIFIER)?;
    let (tag, value, _) = take(rest)?;
    let mut inner = Vec::new();
    append(&mut inner, OBJECT_IDENTIFIER, identifier);
    match text(tag, value)? {
        Some(text) => append(&mut inner, UTF8_STRING, canonical_text(&text).as_bytes()),
        None => append(&mut inner, tag, value),
    }
    let mut whole = Vec::new();
    append(&mut whole, SEQUENCE, &inner);
    Ok(whole)
}

/// The text of a string type that OpenSSL brings into canonical form; none for all other types.
fn text(tag: u8, value: &[u8]) -> Result<Option<String>, NotACertificate> {
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

fn canonical_text(text: &str) -> String {
    // C's isspace, which has the vertical tab as well.
    let space = |letter: char| matches!(letter, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let words: Vec<&str> = text.split(space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

/// One DER element: tag, content, what comes after it.
fn take(der: &[u8]) -> Result<(u8, &[u8], &[u8]), NotACertificate> {
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

/// The content of an element that must have this tag, and what comes after it.
fn expect(der: &[u8], tag: u8) -> Result<(&[u8], &[u8]), NotACertificate> {
    let (found, content, rest) = take(der)?;
    if found == tag { Ok((content, rest)) } else { Err(NotACertificate("it is not made like a certificate")) }
}

fn append(der: &mut Vec<u8>, tag: u8, content: &[u8]) {
    der.push(tag);
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|digit| *digit != 0).unwrap_or(length.len() - 1)..];
    match digits {
        [short @ 0..=0x7f] => der.push(*short),
        long => {
            der.push(0x80 | long.len() as u8);
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_folded_as_openssl_does() {
        assert_eq!(canonical_text("  The   ROOT\t CA Ä "), "the root ca Ä");
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
        }
    }

    #[test]
    fn what_is_no_certificate_is_an_error_and_no_panic() {
        let wrapped = |body: &str| format!("{BEGIN}\n{body}\n{END}\n");
        let cases = [
            String::new(),
            wrapped(""),
            wrapped("***"),
            wrapped("MIIB"),
            wrapped("MIT/////"),
            format!("{}{}", wrapped(""), wrapped("")),
        ];
        for case in cases {
            assert!(of_pem(case.as_bytes()).is_err(), "{case}");
        }
    }
}
