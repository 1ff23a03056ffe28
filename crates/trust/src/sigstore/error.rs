//! Why a key cannot be used, and why a signature does not count.

use std::fmt;

use calypte_base::Digest;

use super::KeyId;

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// It is no PEM file with a key of the kind that is looked for.
    #[error("{file} holds no ECDSA P-256 {kind} key in PEM: {reason}")]
    NotAKey {
        /// The file, as the caller names it.
        file: String,
        /// `public` or `private`.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The private key is encrypted.
    #[error("the private key in {file} is encrypted")]
    Encrypted {
        /// The file.
        file: String,
    },
}

impl KeyFileError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAKey { kind: "public", .. } => {
                "`openssl ec -in key.pem -pubout -out key.pub` writes the public key of a private one".to_owned()
            }
            Self::NotAKey { .. } => {
                "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem` makes a key".to_owned()
            }
            Self::Encrypted { .. } => {
                "decrypt it into a file that only you can read, in PKCS #8 form: `openssl pkcs8 -topk8 -nocrypt -in \
                 KEY -out key.pem`"
                    .to_owned()
            }
        })
    }
}

/// Why no signature of an image counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureError {
    /// The image has none.
    None {
        /// The image's manifest.
        manifest: Digest,
        /// The keys that would have been accepted.
        accepted: Vec<(String, KeyId)>,
    },
    /// It has some, and none of them counts.
    Refused {
        /// The image's manifest.
        manifest: Digest,
        /// Why each of them does not.
        why: Vec<WhyNot>,
        /// The keys that would have been accepted.
        accepted: Vec<(String, KeyId)>,
    },
}

/// Why one signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// The bundle cannot be read.
    #[error("the bundle cannot be understood: {0}")]
    Unreadable(String),
    /// The bundle names a key, and it is none of the accepted.
    #[error("signed with key {0}, which is not among the accepted keys")]
    UnknownKey(KeyId),
    /// No accepted key made the signature, and it names none.
    #[error("signed with none of the accepted keys")]
    NoKey,
    /// The bundle names an accepted key, and the signature is wrong.
    #[error("the signature does not match what was signed, though it names key {0}")]
    Bad(KeyId),
    /// The signature is good, and about another image.
    #[error("the signature is good, but for another image")]
    OtherImage,
    /// The signature is good, and says something else than that the image is the signer's.
    #[error("the signature is good, but is a statement of another kind: {0}")]
    OtherStatement(String),
}

impl SignatureError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let mend = "if you trust who signed it, put the public key (PEM) into /etc/calypte/keys.d/";
        Some(match self {
            Self::None { .. } => {
                "sign it with `calypte sign REF --key KEY`, or accept unsigned images with `accept = [\"insecure\"]` in \
                 /etc/calypte/policy.toml"
                    .to_owned()
            }
            Self::Refused { why, .. } if why.iter().any(|why| matches!(why, WhyNot::Bad(_))) => {
                "the image or its signature was changed on the way: get it from another place".to_owned()
            }
            Self::Refused { .. } => mend.to_owned(),
        })
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = match self {
            Self::None { manifest, accepted } => {
                write!(formatter, "image {manifest} is not signed")?;
                accepted
            }
            Self::Refused { manifest, why, accepted } => {
                write!(formatter, "no signature of image {manifest} counts:")?;
                for why in why {
                    write!(formatter, "\n  {why}")?;
                }
                accepted
            }
        };
        if accepted.is_empty() {
            return formatter.write_str("\nno keys are accepted");
        }
        formatter.write_str("\naccepted keys:")?;
        accepted.iter().try_for_each(|(file, key)| write!(formatter, "\n  {key} ({file})"))
    }
}

impl std::error::Error for SignatureError {}
