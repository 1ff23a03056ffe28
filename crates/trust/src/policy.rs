//! What we take as strong: the rules on hashes, keys and signature packets, in one place.

use calypte_base::Epoch;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, PublicParams};

use crate::error::Why;

/// Smallest RSA key. 1,024 bits were within reach of states years ago; apt warns below 2,048 too.
const MIN_RSA_BITS: u16 = 2048;

/// How far a signature may seem to lie in the future: clocks differ, and a wrong clock must not stop a build.
const CLOCK_TOLERANCE: i64 = 24 * 60 * 60;

/// Whether this hash is strong enough for a signature that is made today.
pub(crate) const fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

/// The rules for signatures in certificates: a strong hash, known critical parts, made before now.
pub(crate) fn binds(signature: &Signature, now: Epoch) -> bool {
    let Some(config) = signature.config() else { return false };
    is_strong(config.hash_alg)
        && unknown_critical(signature).is_none()
        && made(signature).is_some_and(|made| made.0 <= now.0.saturating_add(CLOCK_TOLERANCE))
        && expiry(signature).is_none_or(|end| now < end)
}

/// The rules for the packet of a signature over text, before any key is looked at.
pub(crate) fn check_signature(signature: &Signature, now: Epoch) -> Result<(), Why> {
    let config = signature.config().ok_or(Why::WrongKind)?;
    if !matches!(config.typ(), SignatureType::Text | SignatureType::Binary) {
        return Err(Why::WrongKind);
    }
    if !is_strong(config.hash_alg) {
        return Err(Why::WeakHash(config.hash_alg.to_string()));
    }
    if let Some(part) = unknown_critical(signature) {
        return Err(Why::UnknownCritical(part));
    }
    let made = made(signature).ok_or(Why::NoTime)?;
    if made.0 > now.0.saturating_add(CLOCK_TOLERANCE) {
        return Err(Why::Future { made, now });
    }
    match expiry(signature) {
        Some(end) if end <= now => Err(Why::SignatureExpired(end)),
        _ => Ok(()),
    }
}

/// The rules for a key that signs.
pub(crate) fn check_key(key: &impl KeyDetails) -> Result<(), Why> {
    if !matches!(key.version(), KeyVersion::V4 | KeyVersion::V6) {
        return Err(Why::WeakKey(format!("version {} of the key format", u8::from(key.version()))));
    }
    match key.public_params() {
        PublicParams::RSA(parameters) => {
            // An RSA key opens with its modulus, and that with its number of bits (RFC 9580 section 3.2).
            let bytes = parameters.to_bytes().unwrap_or_default();
            let bits = bytes.first_chunk::<2>().map_or(0, |bits| u16::from_be_bytes(*bits));
            if bits < MIN_RSA_BITS {
                return Err(Why::WeakKey(format!("RSA with {bits} bits")));
            }
            Ok(())
        }
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => Ok(()),
        _ => Err(Why::WeakKey(format!("{:?} keys are not accepted", key.algorithm()))),
    }
}

/// When a signature was made, as its hashed part says.
pub(crate) fn made(signature: &Signature) -> Option<Epoch> {
    signature.created().map(|time| Epoch(i64::from(time.as_secs())))
}

/// When a signature ends by itself.
fn expiry(signature: &Signature) -> Option<Epoch> {
    let seconds = signature.signature_expiration_time()?.as_secs();
    let made = made(signature)?;
    (seconds > 0).then(|| Epoch(made.0 + i64::from(seconds)))
}

/// A part that is marked as critical and whose meaning we do not follow. Unknown kinds of parts are refused by the
/// library; notations are known to it as a kind, while what one says is not known to us.
fn unknown_critical(signature: &Signature) -> Option<String> {
    signature.config()?.hashed_subpackets().find_map(|part| match &part.data {
        SubpacketData::Notation(notation) if part.is_critical => {
            Some(format!("notation {}", String::from_utf8_lossy(&notation.name)))
        }
        SubpacketData::Other(number, _) | SubpacketData::Experimental(number, _) if part.is_critical => {
            Some(format!("subpacket {number}"))
        }
        _ => None,
    })
}
