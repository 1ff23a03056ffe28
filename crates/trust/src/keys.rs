//! Certificates: armoured or binary key files in, and for a signature's issuer the keys that may have made it.
//!
//! A certificate is a primary key, user names, and subkeys, held together by signatures of the primary key. None of
//! that is taken on trust: each binding is verified, with a strong hash; the newest valid one decides.

use std::fmt;
use std::io::Read;

use calypte_base::Epoch;
use pgp::armor::{Dearmor, DearmorOptions};
use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, KeyVersion, PublicParams, Tag};

use crate::error::{KeyError, Why};
use crate::fingerprint::Fingerprint;
use crate::policy;

const BEGIN_KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END_KEY: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Largest key file that is read: the whole archive keyring of a distribution has some 100 KB.
const MAX_KEY_BYTES: usize = 16 * 1024 * 1024;

/// The accepted certificates of one repository, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    certificates: Vec<SignedPublicKey>,
}

/// A certificate, by name; displays as gpg shows it: fingerprint and user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// The fingerprint of the primary key.
    pub fingerprint: Fingerprint,
    /// The first user name, such as `Debian Archive Automatic Signing Key (13/trixie) <…>`; empty if there is none.
    pub user: String,
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.fingerprint, self.user)
    }
}

impl KeyRing {
    /// A key ring that accepts nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an ASCII-armoured file of one or more key blocks, each of one or more certificates. Text around the
    /// blocks is skipped. `file` names it in errors.
    ///
    /// # Errors
    /// When it holds no key, a damaged one, or one that is not signed by itself.
    pub fn from_armored(file: &str, text: &[u8]) -> Result<Self, KeyError> {
        let mut ring = Self::new();
        for block in armored_blocks(file, text)? {
            let mut bytes = Vec::new();
            let limit = DearmorOptions::new().set_limit(MAX_KEY_BYTES);
            Dearmor::with_options(block.as_bytes(), limit).read_to_end(&mut bytes).map_err(|_| {
                let reason = "its armour cannot be decoded".to_owned();
                KeyError::Damaged { file: file.to_owned(), reason }
            })?;
            ring.extend(Self::from_binary(file, &bytes)?);
        }
        Ok(ring)
    }

    /// Reads a binary file of one or more certificates, as `gpg --export` writes it.
    ///
    /// # Errors
    /// As [`KeyRing::from_armored`].
    pub fn from_binary(file: &str, bytes: &[u8]) -> Result<Self, KeyError> {
        let damaged = |reason: String| KeyError::Damaged { file: file.to_owned(), reason };
        if bytes.len() > MAX_KEY_BYTES {
            return Err(damaged(format!("it has more than {MAX_KEY_BYTES} bytes")));
        }
        let mut certificates = Vec::new();
        for certificate in SignedPublicKey::from_bytes_many(bytes).map_err(|error| damaged(short(&error)))? {
            let certificate = certificate.map_err(|error| damaged(short(&error)))?;
            if !matches!(certificate.version(), KeyVersion::V4 | KeyVersion::V6) {
                return Err(damaged("the key is of an outdated version".to_owned()));
            }
            if let PublicParams::Unknown { .. } = certificate.primary_key.public_params() {
                return Err(KeyError::Algorithm {
                    file: file.to_owned(),
                    key: fingerprint_of(&certificate),
                    algorithm: certificate.algorithm().into(),
                });
            }
            // Whether it is valid *now* is asked at each use; a key that never was is a mistake of its file.
            if self_signature(&certificate, Epoch(i64::MAX)).is_none() {
                let key = fingerprint_of(&certificate);
                return Err(KeyError::NotSelfSigned { file: file.to_owned(), key });
            }
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(KeyError::NoKey { file: file.to_owned() });
        }
        Ok(Self { certificates })
    }

    /// Accepts the keys of another ring too.
    pub fn extend(&mut self, other: Self) {
        self.certificates.extend(other.certificates);
    }

    /// The certificates by name.
    #[must_use]
    pub fn names(&self) -> Vec<KeyName> {
        self.certificates.iter().map(name_of).collect()
    }

    /// Whether nothing is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Every key that a signature with these issuers may come from, whatever its state.
    pub(crate) fn issuers<'a>(&'a self, signature: &'a Signature) -> impl Iterator<Item = Issuer<'a>> {
        self.certificates.iter().flat_map(move |certificate| {
            let primary = names_key(signature, &certificate.primary_key)
                .then_some(Issuer { certificate, subkey: None });
            let subkeys = certificate
                .public_subkeys
                .iter()
                .filter(move |subkey| names_key(signature, &subkey.key))
                .map(move |subkey| Issuer { certificate, subkey: Some(subkey) });
            primary.into_iter().chain(subkeys)
        })
    }
}

/// Cuts the key blocks out of the text around them.
fn armored_blocks<'a>(file: &str, text: &'a [u8]) -> Result<Vec<&'a str>, KeyError> {
    let damaged = |reason: &str| KeyError::Damaged { file: file.to_owned(), reason: reason.to_owned() };
    if text.len() > MAX_KEY_BYTES {
        return Err(damaged("it is too large for a key"));
    }
    let mut rest = std::str::from_utf8(text).map_err(|_| damaged("it is not text; is it a binary key?"))?;
    let mut blocks = Vec::new();
    while let Some(start) = rest.find(BEGIN_KEY) {
        let length = rest[start..].find(END_KEY).ok_or_else(|| damaged("the key block has no end"))?;
        let end = start + length + END_KEY.len();
        blocks.push(&rest[start..end]);
        rest = &rest[end..];
    }
    if blocks.is_empty() {
        return Err(KeyError::NoKey { file: file.to_owned() });
    }
    Ok(blocks)
}

/// The library's reason on one line: it may quote the whole input.
pub(crate) fn short(error: &pgp::errors::Error) -> String {
    const LONGEST: usize = 120;
    error.to_string().chars().take_while(|letter| *letter != '\n').take(LONGEST).collect()
}

fn names_key(signature: &Signature, key: &impl KeyDetails) -> bool {
    signature.issuer_fingerprint().contains(&&key.fingerprint())
        || signature.issuer_key_id().contains(&&key.legacy_key_id())
}

pub(crate) fn fingerprint_of(key: &impl KeyDetails) -> Fingerprint {
    Fingerprint::new(key.fingerprint().as_bytes())
}

pub(crate) fn name_of(certificate: &SignedPublicKey) -> KeyName {
    let user = certificate.details.users.first();
    KeyName {
        fingerprint: fingerprint_of(certificate),
        user: user.map(|user| String::from_utf8_lossy(user.id.id()).into_owned()).unwrap_or_default(),
    }
}

/// One key of a certificate: the primary key, or a subkey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issuer<'a> {
    pub(crate) certificate: &'a SignedPublicKey,
    subkey: Option<&'a SignedPublicSubKey>,
}

impl Issuer<'_> {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.subkey.map_or_else(|| fingerprint_of(self.certificate), |subkey| fingerprint_of(&subkey.key))
    }

    /// Whether the key's math says that it signed these bytes.
    pub(crate) fn signed(&self, signature: &Signature, bytes: &[u8]) -> bool {
        match self.subkey {
            Some(subkey) => signature.verify(&subkey.key, bytes).is_ok(),
            None => signature.verify(&self.certificate.primary_key, bytes).is_ok(),
        }
    }

    /// Whether the key may sign at this time, and could have made a signature then.
    pub(crate) fn check(&self, now: Epoch, made: Epoch) -> Result<(), Why> {
        let primary = &self.certificate.primary_key;
        let revoked = |signature: &Signature| signature.verify_key(primary).is_ok();
        if self.certificate.details.revocation_signatures.iter().any(revoked) {
            return Err(Why::KeyRevoked);
        }
        policy::check_key(primary)?;
        let own = self_signature(self.certificate, now).ok_or(Why::NotForSigning)?;
        check_life(primary, own, now, made)?;
        match self.subkey {
            Some(subkey) => check_subkey(primary, subkey, now, made),
            None if may_sign(own).unwrap_or(true) => Ok(()),
            None => Err(Why::NotForSigning),
        }
    }
}

fn check_subkey(
    primary: &pgp::packet::PublicKey,
    subkey: &SignedPublicSubKey,
    now: Epoch,
    made: Epoch,
) -> Result<(), Why> {
    let key = &subkey.key;
    policy::check_key(key)?;
    let bound = |signature: &&Signature| signature.verify_subkey_binding(primary, key).is_ok();
    let of = |kind| subkey.signatures.iter().filter(move |signature| signature.typ() == Some(kind));
    if of(SignatureType::SubkeyRevocation).any(|signature| bound(&signature)) {
        return Err(Why::KeyRevoked);
    }
    let binding = of(SignatureType::SubkeyBinding)
        .filter(|signature| policy::binds(signature, now))
        .filter(bound)
        .max_by_key(|signature| policy::made(signature))
        .ok_or(Why::NotForSigning)?;
    // A subkey that signs must say itself that it belongs here: else a certificate could claim a foreign key.
    let agreed = binding.embedded_signature().is_some_and(|back| {
        policy::binds(back, now) && back.verify_primary_key_binding(key, primary).is_ok()
    });
    if !agreed || !may_sign(binding).unwrap_or(false) {
        return Err(Why::NotForSigning);
    }
    check_life(key, binding, now, made)
}

/// The time in which a key may be used, as the signature that binds it says (RFC 9580 section 5.2.3.13: seconds from
/// the making of the key).
fn check_life(key: &impl KeyDetails, binding: &Signature, now: Epoch, made: Epoch) -> Result<(), Why> {
    let born = i64::from(key.created_at().as_secs());
    if made.0 < born {
        return Err(Why::NoTime);
    }
    let seconds = binding.key_expiration_time().map_or(0, |duration| i64::from(duration.as_secs()));
    let end = Epoch(born + seconds);
    if seconds > 0 && end <= now { Err(Why::KeyExpired(end)) } else { Ok(()) }
}

/// Whether the key flags allow signing; nothing when there are none.
fn may_sign(binding: &Signature) -> Option<bool> {
    binding.config()?.hashed_subpackets().find_map(|part| match &part.data {
        SubpacketData::KeyFlags(flags) => Some(flags.sign()),
        _ => None,
    })
}

/// The signature of the primary key over itself that decides its flags and its end: the newest valid one, over a user
/// name that is not revoked, or over the key alone. (Signatures of the latter kind that only name a revoker say
/// nothing about flags or end, and are passed over.)
fn self_signature(certificate: &SignedPublicKey, now: Epoch) -> Option<&Signature> {
    let primary = &certificate.primary_key;
    let newest = |first: &Signature, second: &Signature| policy::made(first).cmp(&policy::made(second));
    let users = certificate.details.users.iter().filter_map(|user| {
        user.signatures
            .iter()
            .filter(|signature| names_key(signature, primary) && policy::binds(signature, now))
            .filter(|signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok())
            .max_by(|first, second| newest(first, second))
            .filter(|signature| signature.typ() != Some(SignatureType::CertRevocation))
    });
    let direct = certificate.details.direct_signatures.iter().filter(|signature| {
        (may_sign(signature).is_some() || signature.key_expiration_time().is_some())
            && policy::binds(signature, now)
            && signature.verify_key(primary).is_ok()
    });
    users.chain(direct).max_by(|first, second| newest(first, second))
}
