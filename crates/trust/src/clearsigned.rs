//! Clearsigned messages (a repository's `InRelease`): verified text out, or the reason why not.

use std::io::Read;

use calypte_base::Epoch;
use pgp::armor::{BlockType, Dearmor, DearmorOptions};
use pgp::packet::{Packet, PacketParser, Signature};

use crate::error::{Rejection, TrustError, Why};
use crate::fingerprint::Fingerprint;
use crate::framing;
use crate::keys::{KeyRing, name_of, short};
use crate::policy;

/// Signatures that one message or package may have; Debian's has up to three. Each costs the verification of a signature,
/// over all that is signed.
pub(crate) const MAX_SIGNATURES: usize = 32;

/// A text whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Exactly what was signed, with `\n` after each line.
    pub text: String,
    /// Every good signature; one at least.
    pub signers: Vec<Signer>,
    /// The signatures that do not count, such as those by a key that is not accepted; none of them is bad.
    pub rejections: Vec<Rejection>,
}

/// Who made a good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The fingerprint of the certificate (its primary key), as key files and announcements name it.
    pub certificate: Fingerprint,
    /// The fingerprint of the key that signed: the certificate's own, or that of a subkey.
    pub key: Fingerprint,
    /// The first user name of the certificate.
    pub user: String,
    /// When the signature was made, as it says.
    pub made: Epoch,
}

/// Verifies a clearsigned message. As for apt, one good signature by an accepted key is enough, signatures by other
/// keys are passed over, and one that an accepted key did *not* make over this text spoils the message.
///
/// Good means: the text is whole and nothing stands beside it; the hash is SHA-2 of 256 bits or more, or SHA-3; the
/// key is RSA of 2,048 bits or more or on an elliptic curve, neither expired nor revoked `now`, and bound to its
/// certificate as a signing key; the signature is not expired and not from the future.
///
/// # Errors
/// In all other cases, with every signature's own reason.
pub fn verify_clearsigned(message: &[u8], accepted: &KeyRing, now: Epoch) -> Result<Verified, TrustError> {
    let framed = framing::parse(message)?;
    let bytes = framing::signed_bytes(&framed.text);
    let (signers, rejections) = judge(&read_signatures(&framed.signatures)?, &bytes, accepted, now)?;
    Ok(Verified { text: framed.text, signers, rejections })
}

/// Checks each signature over the same bytes: the good ones' makers, one at least, and the others, none of them bad.
pub(crate) fn judge(
    signatures: &[Signature],
    bytes: &[u8],
    accepted: &KeyRing,
    now: Epoch,
) -> Result<(Vec<Signer>, Vec<Rejection>), TrustError> {
    let (mut signers, mut rejections) = (Vec::new(), Vec::new());
    for signature in signatures {
        match check(signature, bytes, accepted, now) {
            Ok(signer) => signers.push(signer),
            Err(rejection) => rejections.push(rejection),
        }
    }
    if signers.is_empty() || rejections.iter().any(|rejection| rejection.why == Why::Bad) {
        return Err(TrustError::Refused { rejections, accepted: accepted.names() });
    }
    Ok((signers, rejections))
}

fn read_signatures(blocks: &[&[u8]]) -> Result<Vec<Signature>, TrustError> {
    let damaged = |reason: String| TrustError::Damaged { reason };
    let mut signatures = Vec::new();
    for block in blocks {
        let mut armor = Dearmor::with_options(*block, DearmorOptions::new().set_limit(block.len()));
        let mut bytes = Vec::new();
        armor.read_to_end(&mut bytes).map_err(|_| damaged("its armour cannot be decoded".to_owned()))?;
        if armor.typ != Some(BlockType::Signature) {
            return Err(damaged("it is armour of another kind".to_owned()));
        }
        read_packets(&bytes, &mut signatures)?;
    }
    if signatures.is_empty() {
        return Err(damaged("it holds no signature".to_owned()));
    }
    Ok(signatures)
}

/// Adds the signatures that these packets are; anything else among them is refused.
pub(crate) fn read_packets(bytes: &[u8], signatures: &mut Vec<Signature>) -> Result<(), TrustError> {
    let damaged = |reason: String| TrustError::Damaged { reason };
    for packet in PacketParser::new(bytes) {
        match packet.map_err(|error| damaged(short(&error)))? {
            Packet::Signature(signature) => signatures.push(signature),
            other => {
                let kind = pgp::packet::PacketTrait::tag(&other);
                return Err(damaged(format!("it holds a packet of type {kind:?}")));
            }
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(too_many());
        }
    }
    Ok(())
}

/// The refusal of more signatures than [`MAX_SIGNATURES`].
pub(crate) fn too_many() -> TrustError {
    TrustError::Damaged { reason: format!("it holds more than {MAX_SIGNATURES} signatures") }
}

fn check(signature: &Signature, bytes: &[u8], accepted: &KeyRing, now: Epoch) -> Result<Signer, Rejection> {
    let named = named_key(signature);
    let reject = |why| Rejection { key: named.clone(), user: None, why };
    if named.is_none() {
        return Err(reject(Why::NoIssuer));
    }
    let mut refusal = reject(Why::UnknownKey);
    // Two keys may share the short name that older signatures carry: each gets its chance.
    for issuer in accepted.issuers(signature) {
        let certificate = name_of(issuer.certificate);
        let verdict = policy::check_signature(signature, now)
            .and_then(|()| policy::made(signature).ok_or(Why::NoTime))
            .and_then(|made| issuer.check(now, made).map(|()| made))
            .and_then(|made| if issuer.signed(signature, bytes) { Ok(made) } else { Err(Why::Bad) });
        match verdict {
            Ok(made) => {
                return Ok(Signer {
                    certificate: certificate.fingerprint,
                    key: issuer.fingerprint(),
                    user: certificate.user,
                    made,
                });
            }
            Err(why) => refusal = Rejection { user: Some(certificate.user), ..reject(why) },
        }
    }
    Err(refusal)
}

/// The key that a signature names: by fingerprint, or else by the short key id.
fn named_key(signature: &Signature) -> Option<Fingerprint> {
    let fingerprint = signature.issuer_fingerprint().first().map(|key| Fingerprint::new(key.as_bytes()));
    fingerprint.or_else(|| signature.issuer_key_id().first().map(|id| Fingerprint::new(id.as_ref())))
}
