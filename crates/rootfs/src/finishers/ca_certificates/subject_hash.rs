//! The names under which OpenSSL looks for a certificate in a directory: hashes of its subject.
//!
//! `X509_NAME_hash` of OpenSSL ≥ 1.0: the first four bytes, little-endian, of the SHA-1 of the subject's canonical
//! encoding. That is the DER of its RDNs (RFC 5280, section 4.1.2.4) without the outer SEQUENCE, where each text is a
//! UTF8String in lower case (ASCII letters only) with runs of white space made one space and none at the ends. Before
//! 1.0 it was the MD5 of the subject as it is. Neither is a risk here: the hash only names a link.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::{Digest as _, Sha1};

use super::certificate::Certificate;
use super::der::{
    self, NotACertificate, OBJECT_IDENTIFIER, SEQUENCE, SET, UTF8_STRING, append, expect, take,
};

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
    of_subject(Certificate::read(&der)?.0.subject)
}

/// The subject hash of a whole subject.
pub(super) fn of_subject(subject: &[u8]) -> Result<String, NotACertificate> {
    Ok(digits(Sha1::digest(canonical_subject(subject)?).first_chunk()))
}

/// The subject hash as OpenSSL made it before 1.0.
pub(super) fn old_of_subject(subject: &[u8]) -> String {
    digits(Md5::digest(subject).first_chunk())
}

fn digits(start: Option<&[u8; 4]>) -> String {
    // A digest always has four bytes.
    format!("{:08x}", start.map_or(0, |start| u32::from_le_bytes(*start)))
}

/// The canonical encoding of a certificate's subject.
fn canonical_subject(subject: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    let (mut subject, _) = expect(subject, SEQUENCE)?;
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
    match der::text(tag, value)? {
        Some(text) => append(&mut inner, UTF8_STRING, canonical_text(&text).as_bytes()),
        None => append(&mut inner, tag, value),
    }
    let mut whole = Vec::new();
    append(&mut whole, SEQUENCE, &inner);
    Ok(whole)
}

fn canonical_text(text: &str) -> String {
    // C's isspace, which has the vertical tab as well.
    let space = |letter: char| matches!(letter, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let words: Vec<&str> = text.split(space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_folded_as_openssl_does() {
        assert_eq!(canonical_text("  The   ROOT\t CA Ä "), "the root ca Ä");
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
