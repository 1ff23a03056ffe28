//! The parts of a certificate (RFC 5280, section 4.1) that decide whether and under which name it is trusted.

use super::der::{
    self, BOOLEAN, NotACertificate, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, elements, expect,
    optional, take, whole,
};

/// `[0]`: the version, absent in version 1.
const VERSION: u8 = 0xa0;
/// `[1]` and `[2]`: unique identifiers that no authority uses any more.
const UNIQUE_IDENTIFIERS: [u8; 2] = [0x81, 0x82];
/// `[3]`: the extensions.
const EXTENSIONS: u8 = 0xa3;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const UNIT: &[u8] = &[0x55, 0x04, 0x0b];

/// `id-ce-basicConstraints`.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// `id-ce-extKeyUsage`.
pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// A certificate, taken apart. What is a whole element keeps its tag and length.
#[derive(Debug, Clone)]
pub(super) struct Certificate<'a> {
    /// The whole serial number.
    pub serial: &'a [u8],
    /// The whole issuer.
    pub issuer: &'a [u8],
    /// The whole subject.
    pub subject: &'a [u8],
    /// The whole SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    /// Whether it is of version 1, which has no extensions.
    first_version: bool,
    /// Identifier (its content) and value of each extension.
    extensions: Vec<Extension<'a>>,
}

/// An extension: the content of its identifier, the content of its value.
pub(super) type Extension<'a> = (&'a [u8], &'a [u8]);

impl<'a> Certificate<'a> {
    /// Takes a certificate apart; gives as well what comes after it.
    pub(super) fn read(der: &'a [u8]) -> Result<(Self, &'a [u8]), NotACertificate> {
        let (certificate, after) = expect(der, SEQUENCE)?;
        let (fields, _) = expect(certificate, SEQUENCE)?;
        let (version, fields) = optional(fields, VERSION)?;
        let (serial, fields) = whole(fields)?;
        let (_, fields) = whole(fields)?;
        let (issuer, fields) = whole(fields)?;
        let (_, fields) = whole(fields)?;
        let (subject, fields) = whole(fields)?;
        expect(subject, SEQUENCE)?;
        let (public_key, mut fields) = whole(fields)?;
        for tag in UNIQUE_IDENTIFIERS {
            fields = optional(fields, tag)?.1;
        }
        let extensions = match optional(fields, EXTENSIONS)?.0 {
            Some(extensions) => elements(expect(extensions, SEQUENCE)?.0)?
                .into_iter()
                .map(extension)
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let first_version = version.is_none_or(|version| version == [2, 1, 0]);
        Ok((Self { serial, issuer, subject, public_key, first_version, extensions }, after))
    }

    /// The value of an extension.
    pub(super) fn extension(&self, identifier: &[u8]) -> Option<&'a [u8]> {
        self.extensions.iter().find(|(found, _)| *found == identifier).map(|(_, value)| *value)
    }

    /// Whether it is an authority's: its basic constraints say so, or those that were attached to its key; or it is so
    /// old that it has none and signed itself.
    pub(super) fn is_authority(&self, attached: Option<&[u8]>) -> Result<bool, NotACertificate> {
        let Some(constraints) = attached.or_else(|| self.extension(BASIC_CONSTRAINTS)) else {
            return Ok(self.first_version && self.subject == self.issuer);
        };
        let (flag, _) = optional(expect(constraints, SEQUENCE)?.0, BOOLEAN)?;
        Ok(flag.is_some_and(|flag| flag != [0]))
    }

    /// The name by which people know it: the subject's common name, or its unit, or its organisation.
    pub(super) fn label(&self) -> Result<Option<String>, NotACertificate> {
        for wanted in [COMMON_NAME, UNIT, ORGANIZATION] {
            for set in elements(expect(self.subject, SEQUENCE)?.0)? {
                for attribute in elements(expect(set, SET)?.0)? {
                    let (identifier, rest) = expect(expect(attribute, SEQUENCE)?.0, OBJECT_IDENTIFIER)?;
                    let (tag, value, _) = take(rest)?;
                    if identifier == wanted {
                        return der::text(tag, value);
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Reads one `Extension` (RFC 5280, section 4.1.2.9).
pub(super) fn extension(der: &[u8]) -> Result<Extension<'_>, NotACertificate> {
    let (identifier, rest) = expect(expect(der, SEQUENCE)?.0, OBJECT_IDENTIFIER)?;
    let (_, rest) = optional(rest, BOOLEAN)?;
    Ok((identifier, expect(rest, OCTET_STRING)?.0))
}

/// The contents of the identifiers in an `ExtKeyUsageSyntax`, without p11-kit's reserved one, which only says that
/// there is none.
pub(super) fn purposes(value: &[u8]) -> Result<Vec<&[u8]>, NotACertificate> {
    let listed = elements(expect(value, SEQUENCE)?.0)?;
    let read = listed.into_iter().map(|purpose| Ok(expect(purpose, OBJECT_IDENTIFIER)?.0));
    let mut purposes: Vec<&[u8]> = read.collect::<Result<_, _>>()?;
    purposes.retain(|purpose| *purpose != RESERVED_PURPOSE);
    Ok(purposes)
}

/// 1.3.6.1.4.1.3319.6.10.16.
pub(super) const RESERVED_PURPOSE: &[u8] = &[0x2b, 6, 1, 4, 1, 0x99, 0x77, 6, 10, 16];
/// `id-ce-basicConstraints`, as attached extensions are looked up.
pub(super) const CONSTRAINTS: &[u8] = BASIC_CONSTRAINTS;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finishers::ca_certificates::subject_hash;
    use crate::finishers::ca_certificates::tests::CERTIFICATE;

    fn read_all(der: &[u8]) {
        std::hint::black_box(purposes(der).is_ok());
        std::hint::black_box(extension(der).is_ok());
        let Ok((certificate, _)) = Certificate::read(der) else { return };
        std::hint::black_box(certificate.label().is_ok());
        std::hint::black_box(certificate.is_authority(None).is_ok());
        std::hint::black_box(subject_hash::of_subject(certificate.subject).is_ok());
    }

    fn sample() -> Vec<u8> {
        calypte_formats::p11_kit::pem_blocks(CERTIFICATE.as_bytes()).unwrap().remove(0).der
    }

    #[test]
    fn the_parts_of_a_certificate() {
        let der = sample();
        let (certificate, rest) = Certificate::read(&der).unwrap();
        assert_eq!(certificate.label().unwrap().as_deref(), Some("ISRG Root X2"));
        assert!(certificate.is_authority(None).unwrap() && rest.is_empty());
        assert!(!certificate.is_authority(Some(&[0x30, 0])).unwrap());
        assert_eq!(certificate.subject, certificate.issuer);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read_all(&bytes);
        }

        #[test]
        fn no_change_of_a_certificate_makes_it_panic(at in 0_usize..540, value: u8, end in 0_usize..600) {
            let mut der = sample();
            let length = der.len();
            der[at % length] = value;
            read_all(&der);
            read_all(&der[..end.min(length)]);
        }
    }
}
