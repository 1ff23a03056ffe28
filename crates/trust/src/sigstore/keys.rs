//! ECDSA P-256 keys in PEM: public ones as `SubjectPublicKeyInfo` (RFC 5480), private ones as PKCS #8 or SEC 1.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use sha2::{Digest as _, Sha256};

use super::KeyFileError;

/// Largest key file in bytes that is looked at; a P-256 key has some 200.
const LIMIT: usize = 16 * 1024;

/// SHA-256 of a public key in DER: its name in bundles. Displays as hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// As a bundle names it (`verificationMaterial.publicKey.hint`): base64.
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(self.0)
    }

    pub(super) fn from_hint(hint: &str) -> Option<Self> {
        STANDARD.decode(hint).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
    der: Vec<u8>,
}

impl PublicKey {
    /// Reads a key from PEM. `file` is how the caller names where it is from.
    ///
    /// # Errors
    /// When it is no P-256 key.
    pub fn from_pem(bytes: &[u8], file: &str) -> Result<Self, KeyFileError> {
        let bad = |reason: String| KeyFileError::NotAKey { file: file.to_owned(), kind: "public", reason };
        let text = text(bytes).map_err(bad)?;
        let key = VerifyingKey::from_public_key_pem(text.trim()).map_err(|error| bad(error.to_string()))?;
        Self::new(key).ok_or_else(|| bad("it cannot be written as DER".to_owned()))
    }

    fn new(key: VerifyingKey) -> Option<Self> {
        let der = key.to_public_key_der().ok()?.into_vec();
        Some(Self { key, id: KeyId(Sha256::digest(&der).into()), der })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key in DER (`SubjectPublicKeyInfo`).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.key.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// Whether this key made a signature (ASN.1 DER) over these bytes.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        Signature::from_der(signature).is_ok_and(|signature| self.key.verify(bytes, &signature).is_ok())
    }
}

/// The keys that are accepted, each with the file that it is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKeys {
    keys: Vec<(String, PublicKey)>,
}

impl PublicKeys {
    /// Adds a key; `file` is how it is named to people.
    pub fn add(&mut self, file: impl Into<String>, key: PublicKey) {
        self.keys.push((file.into(), key));
    }

    /// The key with this name.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&PublicKey> {
        self.iter().find(|key| key.id == *id)
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().map(|(_, key)| key)
    }

    /// The file that a key is from.
    #[must_use]
    pub fn file(&self, id: &KeyId) -> Option<&str> {
        self.keys.iter().find(|(_, key)| key.id == *id).map(|(file, _)| file.as_str())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn names(&self) -> Vec<(String, KeyId)> {
        self.keys.iter().map(|(file, key)| (file.clone(), key.id)).collect()
    }
}

/// A key that signs.
#[derive(Clone)]
pub struct SigningKey {
    key: p256::ecdsa::SigningKey,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    /// Without the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("public", &self.public.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a private key that is not encrypted from PEM: PKCS #8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`).
    ///
    /// # Errors
    /// When it is no P-256 key, or encrypted.
    pub fn from_pem(bytes: &[u8], file: &str) -> Result<Self, KeyFileError> {
        let bad = |reason: String| KeyFileError::NotAKey { file: file.to_owned(), kind: "private", reason };
        let text = text(bytes).map_err(bad)?;
        if text.contains("ENCRYPTED") {
            return Err(KeyFileError::Encrypted { file: file.to_owned() });
        }
        // `openssl ecparam -genkey` writes the curve's parameters before the key.
        let key = match text.find("-----BEGIN EC PRIVATE KEY-----").and_then(|start| text.get(start..)) {
            Some(text) => p256::SecretKey::from_sec1_pem(text.trim()).map_err(|error| error.to_string()),
            None => p256::SecretKey::from_pkcs8_pem(text.trim()).map_err(|error| error.to_string()),
        };
        let key = p256::ecdsa::SigningKey::from(key.map_err(bad)?);
        let public = PublicKey::new(*key.verifying_key());
        Ok(Self { public: public.ok_or_else(|| bad("it has no public key".to_owned()))?, key })
    }

    /// A key from 32 secret bytes, which must be random. Nothing where they are no key, which happens once in 2³² times.
    #[must_use]
    pub fn from_secret(bytes: &[u8; 32]) -> Option<Self> {
        let key = p256::ecdsa::SigningKey::from_slice(bytes).ok()?;
        Some(Self { public: PublicKey::new(*key.verifying_key())?, key })
    }

    /// The key in PEM (PKCS #8), not encrypted.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF);
        pem.map(|pem| pem.to_string()).unwrap_or_default()
    }

    /// The key that its signatures are checked with.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature (ASN.1 DER) over these bytes: the same each time (RFC 6979).
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signature: Signature = self.key.sign(bytes);
        signature.to_der().as_bytes().to_vec()
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > LIMIT {
        return Err(format!("it has {} bytes", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}
