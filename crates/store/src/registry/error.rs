//! Why something could not be had from a registry. No error holds a password or a token.

use calypte_base::Digest;

use crate::error::StoreError;
use crate::fetch::{Failure, FetchError};

/// A failure to get something from a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry did not give it.
    #[error("cannot fetch {what} from {host}: {failure}")]
    Failed {
        /// What was asked for: `the manifest 1.0 of a/b`, `blob sha256:…`.
        what: String,
        /// The registry.
        host: String,
        /// Why not.
        failure: Failure,
    },
    /// The registry wants other credentials, or any.
    #[error("{host} does not let {whom} have {what}")]
    Denied {
        /// What was asked for.
        what: String,
        /// The registry.
        host: String,
        /// `everyone`, or `the user of the auth file`.
        whom: &'static str,
    },
    /// The registry asks for a login in a way that is not understood, or its login service does not answer.
    #[error("cannot log in to {host}: {reason}")]
    Login {
        /// The registry.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// The registry sends us elsewhere in a way that is not followed.
    #[error("{host} redirects {what} to a place that is not followed: {reason}")]
    Redirect {
        /// What was asked for.
        what: String,
        /// The registry.
        host: String,
        /// Why not.
        reason: &'static str,
    },
    /// A part of a blob was asked for, and the whole came: the registry, or the storage behind it, knows no ranges.
    #[error("{host} gives blobs only as a whole")]
    NoRanges {
        /// The registry.
        host: String,
    },
    /// Plain http was asked for, for a host that is elsewhere.
    #[error("{host} is not this machine, and plain http is for registries on this machine only")]
    PlainHttp {
        /// The registry.
        host: String,
    },
    /// The network is not to be used.
    #[error("offline, and {what} of {host} is not in the store")]
    Offline {
        /// What was asked for.
        what: String,
        /// The registry.
        host: String,
    },
    /// The file with the credentials cannot be read.
    #[error("the auth file cannot be understood: {reason}")]
    AuthFile {
        /// What is wrong.
        reason: String,
    },
    /// What the client cannot do without: proxy, certificates; or the user interrupted.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A blob in the making has other bytes than its digest says.
    #[error("expected {expected}, got {found}")]
    WrongDigest {
        /// The digest that the blob must have.
        expected: Digest,
        /// The digest of what came together.
        found: Digest,
    },
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        Self::Fetch(error.into())
    }
}

impl RegistryError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Failed { failure, .. } => return hint_of(failure).map(str::to_owned),
            Self::Denied { .. } => {
                "log in with `podman login` or `skopeo login`, whose auth file is used; the image may also not exist"
            }
            Self::Login { .. } => "try again later; if it stays, ask those who run the registry",
            Self::NoRanges { .. } => "without --from the whole image is fetched",
            Self::PlainHttp { .. } => "leave out --plain-http: the registry must speak https",
            Self::Offline { .. } => "run the same command once without --offline",
            Self::AuthFile { .. } => "log in anew with `podman login` or `skopeo login`",
            Self::Fetch(error) => return error.hint(),
            Self::Redirect { .. } | Self::WrongDigest { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

const fn hint_of(failure: &Failure) -> Option<&'static str> {
    Some(match failure {
        Failure::Status(404) => {
            "check the name and the tag; some registries say this to those who are not logged in"
        }
        Failure::Status(429) => "the registry limits how much it gives: log in, or try again later",
        Failure::Tls(_) => {
            "if the registry is on this machine and speaks plain http, say --plain-http; if a proxy of yours decrypts, \
             name its certificates with SSL_CERT_FILE"
        }
        Failure::WrongDigest { .. } | Failure::WrongSize { .. } | Failure::TooLarge { .. } => {
            "the registry, or something on the way, gives damaged data"
        }
        Failure::Connection(_) | Failure::NoConnection(_) | Failure::Stalled(_) => {
            "check the network and the registry's name; what came so far is kept, and the same command goes on from there"
        }
        _ => return None,
    })
}
