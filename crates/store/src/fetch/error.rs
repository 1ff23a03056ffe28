//! Why something could not be fetched: every address that was asked and what it answered, and what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use calypte_base::Digest;

use crate::error::StoreError;

/// Files that an error lists by name before it only counts them.
const NAMED: usize = 5;

/// A failure to bring a file into the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No mirror gave the file.
    #[error("cannot fetch {what}:{}", Failures(failures))]
    Failed {
        /// The file, as the caller names it.
        what: String,
        /// Each address that was asked, in order, and why it did not do.
        failures: Vec<(String, Failure)>,
    },
    /// The network is not to be used, and files are missing.
    #[error("offline, and not in the store: {}", Names(missing))]
    Offline {
        /// The files, as the caller names them.
        missing: Vec<String>,
    },
    /// A repository names a mirror that has no address.
    #[error("no address is known for the mirror `{mirror}`, which should have {what}")]
    UnknownMirror {
        /// The mirror's name.
        mirror: String,
        /// The file.
        what: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A proxy's address cannot be read.
    #[error("`{proxy}` is not the address of a proxy: {reason}")]
    Proxy {
        /// The address, without its password.
        proxy: String,
        /// What is wrong.
        reason: String,
    },
    /// The file of trusted certificates cannot be used.
    #[error("cannot read certificates from {path}: {reason}", path = path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The store's files could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why one address did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It answered with an error of HTTP.
    #[error("the server answered {0}")]
    Status(u16),
    /// It gave other bytes than expected.
    #[error("expected {expected}, got {found}")]
    WrongDigest {
        /// The digest that the file must have.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// It gave, or announced, another number of bytes than expected.
    #[error("expected {expected} bytes, got {found}")]
    WrongSize {
        /// The size that the file must have.
        expected: u64,
        /// What came, or was announced.
        found: u64,
    },
    /// It gave more bytes than a file of this kind may have.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The most that is taken.
        limit: u64,
    },
    /// It gave another part of the file than was asked for.
    #[error("the server gave another part of the file than was asked for")]
    WrongRange,
    /// It stopped sending.
    #[error("no byte came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// No connection came about in time.
    #[error("no connection within {} s", .0.as_secs_f32())]
    NoConnection(Duration),
    /// The connection failed or broke.
    #[error("{0}")]
    Connection(String),
    /// The proxy would not connect to it.
    #[error("{0}")]
    Proxy(String),
    /// It redirected in a loop, or to nowhere.
    #[error("too many redirects, or a redirect to nowhere")]
    Redirects,
    /// Its certificate is not trusted, or the encryption failed.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It is no address.
    #[error("not an address: {0}")]
    Address(String),
}

impl Failure {
    /// Whether another attempt may have another outcome.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Status(code) => matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::WrongRange | Self::Stalled(_) | Self::NoConnection(_) | Self::Connection(_) => true,
            _ => false,
        }
    }
}

impl FetchError {
    /// Whether each mirror answered and does not have these bytes; no word about a mirror that could not be asked.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let Self::Failed { failures, .. } = self else { return false };
        let gone = |failure: &Failure| {
            matches!(
                failure,
                Failure::Status(404 | 410) | Failure::WrongDigest { .. } | Failure::WrongSize { .. }
            )
        };
        !failures.is_empty() && failures.iter().all(|(_, failure)| gone(failure))
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { failures, .. } => failures.first().map(|(_, failure)| hint_of(failure).to_owned()),
            Self::Offline { .. } => {
                Some("run the same command once without --offline, or name a directory that has them with --archive".to_owned())
            }
            Self::UnknownMirror { mirror, .. } => {
                Some(format!("give its address with --mirror {mirror}=https://…"))
            }
            Self::Interrupted => Some("run the same command again: it goes on where it stopped".to_owned()),
            Self::Proxy { .. } => Some("write it as http://HOST:PORT".to_owned()),
            Self::Certificates { .. } => Some("it must be a file of certificates in PEM".to_owned()),
            Self::Store(error) => error.hint(),
        }
    }
}

const fn hint_of(failure: &Failure) -> &'static str {
    match failure {
        Failure::Status(401 | 403 | 407) => {
            "the server or a proxy on the way wants a login, or does not allow this"
        }
        Failure::Status(404 | 410) => {
            "the mirror does not have this version any more: lock anew, or name a directory that has it with --archive"
        }
        Failure::WrongDigest { .. } | Failure::WrongSize { .. } | Failure::TooLarge { .. } => {
            "the mirror is in the middle of an update, or damaged: try again in some minutes, then name another with --mirror"
        }
        Failure::Tls(_) => "if a proxy of yours decrypts, name its certificates with SSL_CERT_FILE",
        Failure::Status(_) => {
            "the mirror has a problem or too much to do: try again later, or name another with --mirror"
        }
        Failure::Proxy(_) => {
            "the proxy must allow CONNECT to the mirror's port, for http too; most allow port 443: name an https mirror with --mirror"
        }
        Failure::Redirects | Failure::Address(_) => {
            "check the address of the mirror, or name another with --mirror"
        }
        _ => "check the network, or name another mirror with --mirror; what came so far is kept",
    }
}

struct Failures<'a>(&'a [(String, Failure)]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [(url, failure)] => write!(formatter, " {url}: {failure}"),
            many => many.iter().try_for_each(|(url, failure)| write!(formatter, "\n  {url}: {failure}")),
        }
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0[..self.0.len().min(NAMED)].join(", "))?;
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}
