//! Refusals: what was signed by whom, which keys would have been accepted, and how to mend it.

use std::fmt;

use calypte_base::Epoch;

use crate::fingerprint::Fingerprint;
use crate::framing::FramingError;
use crate::keys::KeyName;

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key is in it.
    #[error("{file} holds no OpenPGP public key")]
    NoKey {
        /// The file, as it was named by the caller.
        file: String,
    },
    /// The bytes are no OpenPGP certificate.
    #[error("{file} holds a damaged OpenPGP key: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The key is of an algorithm that this program does not know.
    #[error(
        "key {key} in {file} is of OpenPGP algorithm {algorithm}, which is not supported (known: RSA, ECDSA, EdDSA)"
    )]
    Algorithm {
        /// The file.
        file: String,
        /// The key.
        key: Fingerprint,
        /// The number of the algorithm (RFC 9580, section 9.1).
        algorithm: u8,
    },
    /// The key lacks a valid signature by itself, so nothing says what it is for.
    #[error("key {key} in {file} has no valid signature by itself")]
    NotSelfSigned {
        /// The file.
        file: String,
        /// The key.
        key: Fingerprint,
    },
}

impl KeyError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let export = "export the key anew with `gpg --armor --export FINGERPRINT`";
        match self {
            Self::NoKey { .. } | Self::Damaged { .. } => Some(export.to_owned()),
            Self::Algorithm { .. } => Some(
                "a package may carry several signatures: name a key of another algorithm by which it is signed too"
                    .to_owned(),
            ),
            Self::NotSelfSigned { .. } => {
                Some(format!("{export}, with its self-signatures (no `export-minimal` of a foreign tool)"))
            }
        }
    }
}

/// Why signed data are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustError {
    /// They are no clearsigned message, or more than that.
    Framing(FramingError),
    /// A signature block cannot be read.
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// What was signed could not be read to its end.
    Unread {
        /// What went wrong.
        reason: String,
    },
    /// No signature is good, or one is bad.
    Refused {
        /// Every signature, and why it does not count; one entry at least.
        rejections: Vec<Rejection>,
        /// The keys that would have been accepted.
        accepted: Vec<KeyName>,
    },
}

/// A signature that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The key that made the signature, as the signature names it; none when it names none.
    pub key: Option<Fingerprint>,
    /// Whose key it is, where the key ring has it.
    pub user: Option<String>,
    /// Why the signature does not count.
    pub why: Why,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The key ring does not have the key.
    #[error("the key is not among the accepted keys")]
    UnknownKey,
    /// The signature is damaged, or of a kind that is newer than this program.
    #[error("the signature cannot be read: {0}")]
    Unreadable(String),
    /// The signature names no key.
    #[error("the signature names no key")]
    NoIssuer,
    /// The signature does not match what it is said to be about.
    #[error("the signature does not match the data")]
    Bad,
    /// The signature's hash can be forged.
    #[error("the signature uses {0}, which can be forged")]
    WeakHash(String),
    /// The key can be broken.
    #[error("the key is too weak: {0}")]
    WeakKey(String),
    /// The signature is of a kind that says nothing about data.
    #[error("the signature is not of a kind that signs data")]
    WrongKind,
    /// The signature has a mark that it must not be used without understanding a part that we do not know.
    #[error("the signature has a critical part that is not understood: {0}")]
    UnknownCritical(String),
    /// The key's time is over.
    #[error("the key expired on {0}")]
    KeyExpired(Epoch),
    /// The key was withdrawn by its owner.
    #[error("the key was revoked")]
    KeyRevoked,
    /// The key was not made for signing, or nothing valid says that it was.
    #[error("the key is not for signing, or not validly bound to its certificate")]
    NotForSigning,
    /// The signature's time is over.
    #[error("the signature expired on {0}")]
    SignatureExpired(Epoch),
    /// The signature was made in the future.
    #[error("the signature was made on {made}, which is after now ({now})")]
    Future {
        /// When it says that it was made.
        made: Epoch,
        /// The time that the caller gave.
        now: Epoch,
    },
    /// The signature says that it is older than its key, or does not say how old it is.
    #[error("the signature has no time, or one before its key was made")]
    NoTime,
}

impl TrustError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let whys = match self {
            Self::Framing(FramingError::NotSigned { .. }) => {
                return Some(
                    "something else than the repository answered: does the network want a login, or is the address wrong?"
                        .to_owned(),
                );
            }
            Self::Framing(FramingError::Truncated { .. }) => {
                return Some(
                    "the mirror may be in the middle of an update: try again in some minutes".to_owned(),
                );
            }
            Self::Framing(_) | Self::Damaged { .. } => {
                return Some(
                    "the mirror or something on the way to it changed the file: use another mirror"
                        .to_owned(),
                );
            }
            Self::Unread { .. } => return None,
            Self::Refused { rejections, .. } => rejections.iter().map(|rejection| &rejection.why),
        };
        let first = whys.min_by_key(|why| rank(why))?;
        Some(match first {
            Why::Bad => "the file was changed after it was signed, or mixed from two states of the mirror: try again \
                         in some minutes, then use another mirror"
                .to_owned(),
            Why::Future { .. } => "check the clock of this machine".to_owned(),
            Why::KeyExpired(_) | Why::KeyRevoked => {
                "the repository has a newer key: get it from the distribution's keyring package, compare its \
                 fingerprint over a second channel, and put it in place of the old one in catalog/keys/"
                    .to_owned()
            }
            Why::UnknownKey => "if the distribution announced this key, get it from its keyring package, compare the \
                                fingerprint over a second channel, put the key into catalog/keys/ and name it in the \
                                universe's `keys`"
                .to_owned(),
            Why::SignatureExpired(_) => "the mirror serves an old state: use another mirror".to_owned(),
            Why::NotForSigning => "the key file may be older than the key: get it anew from the distribution's keyring \
                                   package and put it in place of the old one in catalog/keys/"
                .to_owned(),
            _ => "the repository must sign with a key and a hash of today's strength; tell its owner".to_owned(),
        })
    }
}

/// Which refusal the hint should be about, when signatures were refused for different reasons.
const fn rank(why: &Why) -> u8 {
    match why {
        Why::Bad => 0,
        Why::Future { .. } => 1,
        Why::KeyExpired(_) | Why::KeyRevoked => 2,
        Why::UnknownKey => 4,
        _ => 3,
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framing(error) => write!(formatter, "no valid signature: {error}"),
            Self::Damaged { reason } => {
                write!(formatter, "no valid signature: its signature block is damaged: {reason}")
            }
            Self::Unread { reason } => write!(formatter, "what was signed cannot be read: {reason}"),
            Self::Refused { rejections, accepted } => {
                let bad = rejections.iter().any(|rejection| rejection.why == Why::Bad);
                formatter.write_str(if bad { "a signature is wrong:" } else { "no valid signature:" })?;
                for rejection in rejections {
                    write!(formatter, "\n  {rejection}")?;
                }
                formatter.write_str("\naccepted keys:")?;
                for key in accepted {
                    write!(formatter, "\n  {key}")?;
                }
                if accepted.is_empty() {
                    formatter.write_str(" none")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for TrustError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Framing(error) => Some(error),
            Self::Damaged { .. } | Self::Unread { .. } | Self::Refused { .. } => None,
        }
    }
}

impl From<FramingError> for TrustError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(formatter, "signed by {key}")?,
            None => formatter.write_str("signed by an unnamed key")?,
        }
        if let Some(user) = &self.user {
            write!(formatter, " ({user})")?;
        }
        write!(formatter, ": {}", self.why)
    }
}
