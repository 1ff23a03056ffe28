//! Authenticode signatures (Microsoft's "Windows Authenticode Portable Executable Signature Format"): the digest of an
//! image, in a PKCS#7 message at its end. PKCS#1 v1.5 and no time of signing: the same key gives the same bytes.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, DigestAlgorithmIdentifiers, EncapsulatedContentInfo, SignedData, SignerIdentifier,
    SignerInfo, SignerInfos,
};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, AnyRef, DecodePem, Encode, Tag};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rsa::sha2::{Digest, Sha256};
use rsa::signature::{SignatureEncoding, Signer as _};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::UkiError;
use super::pe::Headers;
use crate::little_endian::Put;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SPC_INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");

/// What the signed content says before the digest: a PE image (1.3.6.1.4.1.311.2.1.15) without flags, and in place of the
/// name of a file the text `<<<Obsolete>>>` in UTF-16; then the algorithm. Lengths are short, so this is how it always is.
const SPC_PE_IMAGE: &[u8] = &[
    0x30, 0x33, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0f, 0x30, 0x25, 0x03,
    0x01, 0x00, 0xa0, 0x20, 0xa2, 0x1e, 0x80, 0x1c,
];
const OBSOLETE: &str = "<<<Obsolete>>>";

/// Moduli of less than this are refused, by us as by firmware.
const LEAST_BITS: usize = 2048;

/// A key with its certificate.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey<Sha256>,
    certificate: Certificate,
}

impl Signer {
    /// From a PEM key (PKCS#8 or PKCS#1; RSA of at least 2048 bits) and a PEM certificate.
    ///
    /// # Errors
    /// When one is unreadable, or they do not belong together.
    pub fn from_pem(key: &str, certificate: &str) -> Result<Self, UkiError> {
        let key = RsaPrivateKey::from_pkcs8_pem(key)
            .map_err(|error| error.to_string())
            .or_else(|error| RsaPrivateKey::from_pkcs1_pem(key).map_err(|_| error))
            .map_err(|error| UkiError::Key(format!("no RSA key in PEM: {error}")))?;
        let certificate = Certificate::from_pem(certificate)
            .map_err(|error| UkiError::Key(format!("no certificate in PEM: {error}")))?;
        if key.n().bits() < LEAST_BITS {
            return Err(UkiError::Key(format!("it has less than {LEAST_BITS} bits")));
        }
        let public = RsaPublicKey::from(&key).to_public_key_der();
        let certified = certificate.tbs_certificate.subject_public_key_info.to_der();
        match (public, certified) {
            (Ok(public), Ok(certified)) if public.as_bytes() == certified => {}
            _ => return Err(UkiError::Key("the certificate is of another key".to_owned())),
        }
        Ok(Self { key: SigningKey::new(key), certificate })
    }
}

/// The SHA-256 digest of an image that a signature is about: without its checksum and its signatures.
///
/// # Errors
/// When the bytes are no PE image.
pub fn authenticode_digest(image: &[u8]) -> Result<[u8; 32], UkiError> {
    let headers = Headers::parse(image)?;
    let end = headers.certificates.map_or(image.len(), |(start, _)| start);
    let mut hasher = Sha256::new();
    let (checksum, entry) = (headers.checksum(), headers.certificates_entry());
    for range in [0..checksum, checksum + 4..entry, entry + 8..headers.size] {
        hasher.update(image.get(range).unwrap_or_default());
    }
    let mut hashed = headers.size;
    let mut sections: Vec<_> = headers.sections.iter().filter(|section| section.raw_size > 0).collect();
    sections.sort_by_key(|section| section.raw);
    for section in sections {
        let (start, size) = (section.raw as usize, section.raw_size as usize);
        hasher.update(image.get(start..start + size).unwrap_or_default());
        hashed = hashed.checked_add(size).ok_or(UkiError::Malformed("its sections overlap"))?;
    }
    // What lies between the sections and the signatures. The rule takes their sizes together for the place of their end.
    hasher.update(image.get(hashed..end).unwrap_or_default());
    Ok(hasher.finalize().into())
}

/// The image with a signature, in place of those that it had.
///
/// # Errors
/// When the bytes are no PE image.
pub fn sign(image: &[u8], signer: &Signer) -> Result<Vec<u8>, UkiError> {
    const ALIGNMENT: usize = 8;
    const HEADER: usize = 8;
    let headers = Headers::parse(image)?;
    let end = headers.certificates.map_or(image.len(), |(start, _)| start);
    let mut signed = image[..end].to_vec();
    signed.resize(end.next_multiple_of(ALIGNMENT), 0);
    let start = signed.len();
    let entry = headers.certificates_entry();
    signed.put64(entry, 0);
    let digest = authenticode_digest(&signed)?;
    let message = message(&digest, signer)
        .map_err(|error| UkiError::Key(format!("no signature can be made with it: {error}")))?;
    // `WIN_CERTIFICATE`: its length, revision 2.0, kind PKCS#7.
    let length = HEADER + message.len();
    let mut certificate = vec![0; length.next_multiple_of(ALIGNMENT)];
    certificate.put32(0, u32::try_from(length).unwrap_or_default());
    certificate.put16(4, 0x200);
    certificate.put16(6, 2);
    certificate.put(HEADER, &message);
    signed.extend_from_slice(&certificate);
    let place = u32::try_from(start).map_err(|_| UkiError::Malformed("it is larger than 4 GiB"))?;
    signed.put32(entry, place);
    signed.put32(entry + 4, u32::try_from(certificate.len()).unwrap_or_default());
    let sum = checksum(&signed, headers.checksum());
    signed.put32(headers.checksum(), sum);
    Ok(signed)
}

/// The checksum of a PE image: its 16-bit words with carry, but for the checksum's own place, and its length.
fn checksum(image: &[u8], place: usize) -> u32 {
    let (words, rest) = image.as_chunks::<2>();
    let own = place / 2..place / 2 + 2;
    let last = rest.first().map_or(0, |byte| u64::from(*byte));
    let sum: u64 = words
        .iter()
        .enumerate()
        .filter(|(number, _)| !own.contains(number))
        .map(|(_, word)| u64::from(u16::from_le_bytes(*word)))
        .sum();
    let mut sum = sum + last;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u32::try_from(sum + image.len() as u64).unwrap_or_default()
}

/// The PKCS#7 message about a digest.
fn message(digest: &[u8; 32], signer: &Signer) -> der::Result<Vec<u8>> {
    let algorithm = |oid| AlgorithmIdentifierOwned { oid, parameters: Some(Any::from(AnyRef::NULL)) };
    let content = content(digest, &algorithm(SHA256))?;
    let attributes = SetOfVec::from_iter([
        attribute(CONTENT_TYPE, Any::encode_from(&SPC_INDIRECT_DATA)?)?,
        // Over what the sequence holds, without its own tag and length.
        attribute(MESSAGE_DIGEST, Any::new(Tag::OctetString, Sha256::digest(&content).to_vec())?)?,
    ])?;
    let signature = signer.key.sign(&attributes.to_der()?).to_vec();
    let certified = &signer.certificate.tbs_certificate;
    let information = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: certified.issuer.clone(),
            serial_number: certified.serial_number.clone(),
        }),
        digest_alg: algorithm(SHA256),
        signed_attrs: Some(attributes),
        signature_algorithm: algorithm(RSA),
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: DigestAlgorithmIdentifiers::from_iter([algorithm(SHA256)])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: SPC_INDIRECT_DATA,
            econtent: Some(Any::new(Tag::Sequence, content)?),
        },
        certificates: Some(CertificateSet(SetOfVec::from_iter([CertificateChoices::Certificate(
            signer.certificate.clone(),
        )])?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::from_iter([information])?),
    };
    ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&data)? }.to_der()
}

/// What `SpcIndirectDataContent` holds: that it is about a PE image, and its digest.
fn content(digest: &[u8; 32], algorithm: &AlgorithmIdentifierOwned) -> der::Result<Vec<u8>> {
    let mut content = SPC_PE_IMAGE.to_vec();
    content.extend(OBSOLETE.encode_utf16().flat_map(u16::to_be_bytes));
    let mut information = algorithm.to_der()?;
    information.extend(OctetString::new(digest.as_slice())?.to_der()?);
    content.extend(Any::new(Tag::Sequence, information)?.to_der()?);
    Ok(content)
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::from_iter([value])? })
}
