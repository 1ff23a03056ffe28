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
    /// The registry does not take it from these credentials, or from anyone without.
    #[error("{host} does not let {whom} push {what}")]
    MayNotPush {
        /// What was to be pushed.
        what: String,
        /// The registry.
        host: String,
        /// `everyone`, or `the user of the auth file`.
        whom: &'static str,
    },
    /// The registry did not take it.
    #[error("{host} does not take {what}: {reason}")]
    Refused {
        /// What was pushed.
        what: String,
        /// The registry.
        host: String,
        /// Its own words, or the status.
        reason: String,
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
    #[error("offline, and {what} must come from {host}")]
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
    /// Whether the registry, or the way to it, failed for a reason that may pass. It tells nothing of what was asked for,
    /// and not of what came before.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            // It answers, and is asked again only since something on the way may have mixed up the part.
            Self::Failed { failure: Failure::WrongRange, .. } => false,
            // No connection, to whomever: another network, or another time, may give one.
            Self::Failed { failure: Failure::Tls(_) | Failure::Proxy(_), .. } => true,
            Self::Failed { failure, .. } => failure.is_transient(),
            _ => false,
        }
    }

    /// The status of HTTP that the registry answered with, where that is the reason.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Failed { failure: Failure::Status(code), .. } => Some(*code),
            _ => None,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Failed { failure, .. } => return hint_of(failure).map(str::to_owned),
            Self::Denied { .. } => {
                "log in with `podman login` or `skopeo login`, whose auth file is used; the image may also not exist"
            }
            Self::MayNotPush { .. } => {
                "log in with `podman login` or `skopeo login` as a user who may write to this repository"
            }
            Self::Refused { .. } => return None,
            Self::Login { .. } => "try again later; if it stays, ask those who run the registry",
            Self::NoRanges { .. } => "without --from the whole image is fetched",
            Self::PlainHttp { .. } => "leave out --plain-http: the registry must speak https",
            Self::Offline { .. } => {
                "leave out --offline: the registry is asked each time, also for an image that was pulled before; what of \
                 it is in the store is not fetched again"
            }
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
        Failure::Status(408 | 425 | 500 | 502..=504) => {
            "try again later: what came so far is kept, and the same command goes on from there"
        }
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    use super::*;
    use crate::registry::{Reference, Registry, RegistrySettings};

    #[test]
    fn what_may_pass_is_known_from_what_speaks_against_the_content() {
        let digest = Digest::of(b"");
        let text = String::new;
        let cases = [
            (Failure::Status(503), true),
            (Failure::Status(429), true),
            (Failure::Stalled(Duration::ZERO), true),
            (Failure::NoConnection(Duration::ZERO), true),
            (Failure::Connection(text()), true),
            (Failure::Tls(text()), true),
            (Failure::Proxy(text()), true),
            (Failure::Status(404), false),
            (Failure::WrongRange, false),
            (Failure::WrongSize { expected: 1, found: 2 }, false),
            (Failure::WrongDigest { expected: digest, found: digest }, false),
        ];
        for (failure, expected) in cases {
            let shown = failure.to_string();
            let error = RegistryError::Failed { what: text(), host: text(), failure };
            assert_eq!(error.may_pass(), expected, "{shown}");
        }
        assert!(!RegistryError::NoRanges { host: text() }.may_pass());
    }

    #[test]
    fn of_a_server_that_speaks_plain_http_the_option_for_it_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let reference: Reference = format!("{}/a/b:1", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut greeting = [0; 16];
                drop(connection.read(&mut greeting));
                drop(connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
                // A reset would overtake the answer if the greeting was not read to its end.
                drop(connection.shutdown(std::net::Shutdown::Write));
                drop(std::io::copy(&mut connection, &mut std::io::sink()));
            }
        });
        let registry = Registry::new(&reference, RegistrySettings::default()).unwrap();
        let error = registry.manifest(&reference.version).unwrap_err();
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("say --plain-http"), "{error}\n{hint}");
    }
}
