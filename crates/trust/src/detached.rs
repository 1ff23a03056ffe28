//! Signatures that lie beside what they are about (`repomd.xml.asc`, the signatures of an RPM package): who made them,
//! or the reason why they do not count.

use std::io::Read;

use calypte_base::Epoch;
use pgp::packet::{Signature, SignatureType};

use crate::clearsigned::{MAX_SIGNATURES, Signer, judge, read_packets, too_many};
use crate::error::{Rejection, TrustError, Why};
use crate::keys::KeyRing;

/// Most that one signature may be about, in bytes; the largest header that rpm takes has half of this. All of it is
/// held in memory, since each signature needs its own pass.
const MAX_SIGNED_BYTES: u64 = 512 << 20;

/// Verifies data by the signatures in one or more binary OpenPGP packets. The rules are those of
/// [`crate::verify_clearsigned`]; the signature must be one over bytes, not over lines of text.
///
/// Gives the maker of the first good signature.
///
/// # Errors
/// When the packets are no signatures, none of them is good, or one that an accepted key made is bad.
pub fn verify_detached(
    signature: &[u8],
    data: impl Read,
    accepted: &KeyRing,
    now: Epoch,
) -> Result<Signer, TrustError> {
    let mut bytes = Vec::new();
    let unread = |reason: String| TrustError::Unread { reason };
    data.take(MAX_SIGNED_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unread(error.to_string()))?;
    if bytes.len() as u64 > MAX_SIGNED_BYTES {
        return Err(unread(format!("it has more than {MAX_SIGNED_BYTES} bytes")));
    }
    verify_any(&[signature], &bytes, accepted, now)
}

/// Verifies bytes by any of several blobs of packets. A blob that cannot be read is passed over like a signature by an
/// unknown key: packages are signed with algorithms of tomorrow beside those of today. How many there are is limited over
/// all blobs together, since nothing that was signed says how many blobs there may be.
pub(crate) fn verify_any(
    blobs: &[impl AsRef<[u8]>],
    bytes: &[u8],
    accepted: &KeyRing,
    now: Epoch,
) -> Result<Signer, TrustError> {
    let (mut signatures, mut unreadable) = (Vec::new(), Vec::new());
    for blob in blobs {
        let mut found = Vec::new();
        match read_packets(blob.as_ref(), &mut found) {
            Ok(()) if found.is_empty() => unreadable.push(rejection("it is empty".to_owned())),
            Ok(()) => signatures.append(&mut found),
            Err(TrustError::Damaged { reason }) => unreadable.push(rejection(reason)),
            Err(error) => return Err(error),
        }
        if signatures.len() + unreadable.len() > MAX_SIGNATURES {
            return Err(too_many());
        }
    }
    let (binary, other): (Vec<_>, Vec<_>) = signatures.into_iter().partition(is_over_bytes);
    unreadable.extend(other.iter().map(|_| Rejection { key: None, user: None, why: Why::WrongKind }));
    match judge(&binary, bytes, accepted, now) {
        Ok((signers, _)) => signers
            .into_iter()
            .next()
            .ok_or_else(|| TrustError::Refused { rejections: unreadable, accepted: accepted.names() }),
        Err(TrustError::Refused { mut rejections, accepted }) => {
            rejections.extend(unreadable);
            Err(TrustError::Refused { rejections, accepted })
        }
        Err(error) => Err(error),
    }
}

fn is_over_bytes(signature: &Signature) -> bool {
    signature.typ() == Some(SignatureType::Binary)
}

fn rejection(reason: String) -> Rejection {
    Rejection { key: None, user: None, why: Why::Unreadable(reason) }
}
