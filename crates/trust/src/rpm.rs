//! Signatures of RPM packages: a package comes in as a stream, and its signer or a named refusal goes out.
//!
//! The signature is about the main header, and the main header names the digest of the payload: so one pass proves the
//! whole package. Signatures of the old kind, over header and payload together, are not looked at: rpm has written the
//! SHA-256 of the payload into each header since 4.14 (2017), and later ones do not make them any more.

use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::{Digest, Epoch, Hasher};
use calypte_formats::rpm::{self, Header, RpmError, tag};

use crate::clearsigned::{MAX_SIGNATURES, Signer, too_many};
use crate::detached::verify_any;
use crate::error::TrustError;
use crate::keys::KeyRing;

/// OpenPGP's number of SHA-256 (RFC 9580 section 9.5).
const SHA256: u32 = 8;

/// The payload passes through a piece of memory of this size.
const BUFFER: usize = 64 * 1024;

/// The most bytes of one signature, as it is written. The largest real ones, of algorithms that withstand quantum computers,
/// have 50 kB, and base64 makes a third more of them.
const MAX_SIGNATURE_BYTES: usize = 128 * 1024;

/// A package that is its signer's word, to the last byte.
#[derive(Debug, Clone)]
pub struct VerifiedPackage {
    /// Who signed it.
    pub signer: Signer,
    /// What it says of itself: the main header.
    pub header: Header,
}

/// Why a package is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum RpmTrustError {
    /// It is no package.
    #[error(transparent)]
    Package(#[from] RpmError),
    /// It carries no signature at all.
    #[error("the package is not signed")]
    Unsigned,
    /// It carries a signature of the old kind only.
    #[error("the package is only signed in the old way, over header and payload together")]
    OnlyLegacy,
    /// No signature of the header is good, or one is bad.
    #[error(transparent)]
    Signature(#[from] TrustError),
    /// The header is not the one whose digest stands in the package.
    #[error("the header has the digest {found}, not {expected} as the package says")]
    HeaderDigest {
        /// What the package says, made printable.
        expected: String,
        /// What the header has.
        found: Digest,
    },
    /// The signed header does not say which payload belongs to it.
    #[error("the signed header does not name a SHA-256 digest of the payload")]
    NoPayloadDigest,
    /// The payload is not the one that the signed header names.
    #[error("the payload has the digest {found}, not {expected} as the signed header says")]
    PayloadDigest {
        /// What the header says.
        expected: Digest,
        /// What the payload has.
        found: Digest,
    },
    /// The payload could not be read.
    #[error("cannot read the payload: {0}")]
    Io(#[source] io::Error),
}

impl RpmTrustError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Package(error) => error.hint(),
            Self::Signature(error) => error.hint(),
            Self::Unsigned => Some(
                "packages are signed when a distribution has tested them: use a repository of signed packages, or \
                 wait until this one is signed"
                    .to_owned(),
            ),
            Self::OnlyLegacy | Self::NoPayloadDigest => {
                Some("the package was built with an rpm older than 4.14; it must be rebuilt".to_owned())
            }
            Self::HeaderDigest { .. } | Self::PayloadDigest { .. } => Some(
                "the mirror or something on the way to it changed the file, or cut it off: use another mirror"
                    .to_owned(),
            ),
            Self::Io(_) => None,
        }
    }
}

/// Verifies a whole package, in one pass over its bytes: a good signature of the header by an accepted key, and the
/// payload that the header names. The rules for signatures are those of [`crate::verify_clearsigned`].
///
/// # Errors
/// When it is no package, not signed, not by an accepted key, or changed; each says which.
pub fn verify_package(
    mut file: impl Read,
    accepted: &KeyRing,
    now: Epoch,
) -> Result<VerifiedPackage, RpmTrustError> {
    let (signature, header, _) = rpm::read_headers(&mut file)?;
    let signer = verify_headers(&signature, &header, accepted, now)?;
    let expected = payload_digest(&header)?;
    let found = digest_of(file).map_err(RpmTrustError::Io)?;
    if found != expected {
        return Err(RpmTrustError::PayloadDigest { expected, found });
    }
    Ok(VerifiedPackage { signer, header })
}

/// Verifies the headers of a package alone. What the main header says is its signer's word then; the payload is to be
/// held against [`payload_digest`].
///
/// # Errors
/// When the header is not signed, not by an accepted key, or changed; each says which.
pub fn verify_headers(
    signature: &Header,
    header: &Header,
    accepted: &KeyRing,
    now: Epoch,
) -> Result<Signer, RpmTrustError> {
    let blobs = signatures(signature)?;
    if blobs.is_empty() {
        let legacy = [tag::SIGNATURE_PGP, tag::SIGNATURE_GPG].iter().any(|tag| signature.has(*tag));
        return Err(if legacy { RpmTrustError::OnlyLegacy } else { RpmTrustError::Unsigned });
    }
    let signer = verify_any(&blobs, header.bytes(), accepted, now)?;
    // Proves nothing that the signature did not; but rpm refuses a package in which it is wrong.
    if let Some(expected) = signature.string(tag::SHA256_HEADER) {
        let found = Digest::of(header.bytes());
        if found.hex() != expected {
            let expected = expected.chars().take(100).flat_map(char::escape_default).collect();
            return Err(RpmTrustError::HeaderDigest { expected, found });
        }
    }
    Ok(signer)
}

/// The SHA-256 that the payload must have, compressed as it lies in the package.
///
/// # Errors
/// When the header names none.
pub fn payload_digest(header: &Header) -> Result<Digest, RpmTrustError> {
    // Packages of format 6 leave the algorithm out: the tag is about SHA-256 there.
    let known = header.u32(tag::PAYLOAD_DIGEST_ALGORITHM).is_none_or(|algorithm| algorithm == SHA256);
    let text = header.string(tag::PAYLOAD_DIGEST).filter(|_| known);
    text.and_then(|text| text.parse().ok()).ok_or(RpmTrustError::NoPayloadDigest)
}

/// The signatures that are about the main header alone, as binary packets. Nothing protects the header that they are in:
/// what it holds is counted and measured before anything is made of it.
///
/// # Errors
/// When there are too many, or one is too large.
fn signatures(signature: &Header) -> Result<Vec<Vec<u8>>, TrustError> {
    let ours = [tag::RSA_HEADER, tag::DSA_HEADER, tag::OPENPGP];
    for entry in signature.entries().filter(|entry| ours.contains(&entry.tag)) {
        let texts = if entry.tag == tag::OPENPGP { entry.count as usize } else { 1 };
        if texts > MAX_SIGNATURES {
            return Err(too_many());
        }
        if entry
            .data
            .split(|byte| entry.tag == tag::OPENPGP && *byte == 0)
            .any(|text| text.len() > MAX_SIGNATURE_BYTES)
        {
            let reason = format!("one of its signatures has more than {MAX_SIGNATURE_BYTES} bytes");
            return Err(TrustError::Damaged { reason });
        }
    }
    let binary = [tag::RSA_HEADER, tag::DSA_HEADER].into_iter().filter_map(|tag| signature.binary(tag));
    let text = signature.strings(tag::OPENPGP).into_iter().map(|text| {
        let text: String = text.split_ascii_whitespace().collect();
        // What is no base64 is no packet either, and is told as such.
        STANDARD.decode(text).unwrap_or_default()
    });
    Ok(binary.map(<[u8]>::to_vec).chain(text).collect())
}

fn digest_of(mut reader: impl Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use calypte_formats::rpm::Part;

    use super::*;

    const PACKAGE: &[u8] = include_bytes!("../tests/data/rpm/v6-two-signatures.rpm");
    const KEY: &[u8] = include_bytes!("../tests/data/rpm/v6-ed25519.asc");

    /// A signature header with these texts as its signatures and nothing else.
    fn signed_by(texts: &[&str]) -> Header {
        let mut store: Vec<u8> = texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect();
        let entry = |tag: u32, kind: u32, offset: i32, count: usize| {
            let mut bytes = [tag.to_be_bytes(), kind.to_be_bytes(), offset.to_be_bytes()].concat();
            bytes.extend(u32::try_from(count).unwrap().to_be_bytes());
            bytes
        };
        let region = entry(tag::SIGNATURES_REGION, 7, i32::try_from(store.len()).unwrap(), 16);
        store.extend(entry(tag::SIGNATURES_REGION, 7, -32, 16));
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        bytes.extend(u32::try_from(store.len()).unwrap().to_be_bytes());
        bytes.extend([region, entry(tag::OPENPGP, 8, 0, texts.len()), store].concat());
        Header::parse(Part::Signature, &bytes).unwrap()
    }

    #[test]
    fn the_signatures_of_a_package_are_counted_together_and_measured_before_they_are_decoded() {
        let (signature, header, _) = rpm::read_headers(PACKAGE).unwrap();
        let real = signature.strings(tag::OPENPGP);
        let ring = KeyRing::from_armored("key", KEY).unwrap();
        let both = STANDARD.encode(signatures(&signature).unwrap().concat());
        let long = "A".repeat(MAX_SIGNATURE_BYTES + 4);
        let rubbish = "AAAA";
        let repeated = |text, count| vec![text; count];
        for (name, texts, refusal) in [
            ("as it is", real.clone(), None),
            ("as many as may be", repeated(both.as_str(), MAX_SIGNATURES / 2), None),
            (
                "too many in all",
                repeated(both.as_str(), MAX_SIGNATURES / 2 + 1),
                Some("more than 32 signatures"),
            ),
            ("too many texts", repeated(rubbish, MAX_SIGNATURES + 1), Some("more than 32 signatures")),
            ("a long one alone", vec![long.as_str()], Some("more than 131072 bytes")),
            ("a long one", vec![real[0], &long, real[1]], Some("more than 131072 bytes")),
        ] {
            let result = verify_headers(&signed_by(&texts), &header, &ring, Epoch(1_800_000_000));
            match (refusal, result) {
                (None, result) => assert!(result.is_ok(), "{name}: {result:?}"),
                (Some(words), Err(error)) => assert!(error.to_string().contains(words), "{name}: {error}"),
                (Some(_), Ok(_)) => panic!("{name} was accepted"),
            }
        }
    }
}
