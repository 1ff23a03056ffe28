//! Authenticode signatures (Microsoft's "Windows Authenticode Portable Executable Signature Format").

use super::UkiError;

/// A key with its certificate.
#[derive(Debug)]
pub struct Signer {}

impl Signer {
    /// From a PEM key (PKCS#8 or PKCS#1; RSA of at least 2048 bits) and a PEM certificate.
    ///
    /// # Errors
    /// When one is unreadable, or they do not belong together.
    pub fn from_pem(_key: &str, _certificate: &str) -> Result<Self, UkiError> {
        Err(UkiError::Key("unread".to_owned()))
    }
}

/// The SHA-256 digest of an image that a signature is about: without its checksum and its signatures.
///
/// # Errors
/// When the bytes are no PE image.
pub fn authenticode_digest(_image: &[u8]) -> Result<[u8; 32], UkiError> {
    Err(UkiError::Malformed("unread"))
}

/// The image with a signature (PKCS#1 v1.5: the same each time), in place of those that it had.
///
/// # Errors
/// When the bytes are no PE image.
pub fn sign(_image: &[u8], _signer: &Signer) -> Result<Vec<u8>, UkiError> {
    Err(UkiError::Malformed("unread"))
}
