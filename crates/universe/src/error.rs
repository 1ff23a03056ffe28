//! Why a universe could not be loaded. Every error names the repository's file, and what can be done about it.

use std::path::PathBuf;

use calypte_base::{Architecture, Epoch};
use calypte_formats::debian_release::ReleaseError;
use calypte_formats::rpm_repository::RepositoryError;
use calypte_store::{FetchError, StoreError};
use calypte_trust::rpm::RpmTrustError;
use calypte_trust::{KeyError, TrustError};

use crate::index::IndexTooBig;
use crate::table::TableError;

/// A universe that cannot be loaded. `file` is a path below the mirror, with the mirror's name before it:
/// `debian/dists/sid/InRelease`.
#[derive(Debug, thiserror::Error)]
pub enum UniverseError {
    /// A file could not be fetched.
    #[error("{of}: {source}")]
    Fetch {
        /// Of what: a repository or all of a universe.
        of: String,
        /// Why not, with every address that was asked.
        source: FetchError,
    },
    /// The definition names a key that was not handed in.
    #[error("repository `{repository}` needs the key `{key}`, which is not in the catalog's keys")]
    NoKey {
        /// The repository.
        repository: String,
        /// The key's file name.
        key: String,
    },
    /// A file of a directory of this machine cannot be read.
    #[error("{}: {source}", path.display())]
    Local {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of a directory of this machine is not what the directory's index says.
    #[error("{} is not what the index of its directory says, or the lock", path.display())]
    LocalChanged {
        /// The file.
        path: PathBuf,
    },
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature does not hold.
    #[error("{file}: {source}")]
    Trust {
        /// The signed file.
        file: String,
        /// Why not.
        source: TrustError,
    },
    /// Nobody vouches for a package.
    #[error("package file {file}: {source}")]
    Package {
        /// The package's file name.
        file: String,
        /// Why not.
        source: RpmTrustError,
    },
    /// The index of an RPM repository says something of a package that the signed package does not say.
    #[error(
        "package file {file}: the index says of {package}: {field}: `{index}`; the signed package says: `{signed}`"
    )]
    Contradicted {
        /// The package's file name.
        file: String,
        /// The package as the index calls it, with its version.
        package: String,
        /// What they say different things of.
        field: &'static str,
        /// What the index says.
        index: String,
        /// What the package says.
        signed: String,
    },
    /// A package comes from a repository that the universe does not have, so nobody can vouch for it.
    #[error("package `{package}` comes from repository `{repository}`, which {universe} does not have")]
    UnknownRepository {
        /// The package.
        package: String,
        /// The repository.
        repository: String,
        /// The universe.
        universe: String,
    },
    /// What was signed is no `Release` file.
    #[error("{file}: {source}")]
    Release {
        /// The file.
        file: String,
        /// What is wrong.
        source: ReleaseError,
    },
    /// The file is validly signed, and is that of another suite: an attacker, or a mirror, has swapped two.
    #[error("{file} is for the {field} `{found}`, not `{expected}`")]
    OtherSuite {
        /// The file.
        file: String,
        /// `suite` or `codename`.
        field: &'static str,
        /// What the definition says.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// The file is from the future.
    #[error("{file} was made on {date}, which is after now ({now})")]
    Future {
        /// The file.
        file: String,
        /// When it says that it was made.
        date: Epoch,
        /// The time that the caller gave.
        now: Epoch,
    },
    /// An older state of the repository than was seen before: replayed by an attacker, or by a mirror that is behind.
    #[error(
        "{file} was made on {date}, but one of {seen} was seen before: going back could undo security fixes"
    )]
    Rollback {
        /// The file.
        file: String,
        /// When this one was made.
        date: Epoch,
        /// When the newest one that was seen was made.
        seen: Epoch,
    },
    /// The repository has nothing for an architecture.
    #[error("{file} has no packages for {architecture}; it has {}", found.join(", "))]
    NoArchitecture {
        /// The file.
        file: String,
        /// The architecture.
        architecture: Architecture,
        /// Those that it has packages for.
        found: Vec<String>,
    },
    /// The repository lists no index where one must be.
    #[error("{file} lists no {index}.xz and no {index}.gz")]
    NoIndex {
        /// The file.
        file: String,
        /// The index, without its compression.
        index: String,
    },
    /// The metadata of an RPM repository, or its metalink, cannot be read.
    #[error("{file}: {source}")]
    Repository {
        /// The file.
        file: String,
        /// What is wrong.
        source: RepositoryError,
    },
    /// A metalink has no digest that can be checked.
    #[error("{file} names no SHA-256 digest of repomd.xml")]
    NoDigest {
        /// The metalink.
        file: String,
    },
    /// `repomd.xml` does not list a file that must be there.
    #[error("{file} lists no {kind}")]
    NoData {
        /// The file.
        file: String,
        /// What it does not list.
        kind: &'static str,
    },
    /// `repomd.xml` lists a file that is compressed in a way that is not supported.
    #[error("{file}: `{location}` has an unknown compression (known: .gz, .xz, .zst, none)")]
    UnknownCompression {
        /// The file.
        file: String,
        /// What it lists.
        location: String,
    },
    /// An index cannot be used.
    #[error("{file}: {source}")]
    Index {
        /// The index.
        file: String,
        /// What is wrong.
        source: TableError,
    },
    /// The indexes are too big.
    #[error(transparent)]
    TooBig(#[from] IndexTooBig),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store remembers of a repository cannot be read.
    #[error("what the store remembers of {file} cannot be read: {reason}")]
    Memory {
        /// The file that it is about.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl UniverseError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { source, .. } => source.hint(),
            Self::NoKey { key, .. } => Some(format!("put the key into catalog/keys/{key}, or correct `keys` of the universe")),
            Self::Local { .. } => Some("make the packages anew, or name another directory with --overlay".to_owned()),
            Self::LocalChanged { .. } => {
                Some("make the packages and their index anew, then lock again: calypte lock … --overlay DIR".to_owned())
            }
            Self::Key(source) => source.hint(),
            Self::Trust { source, .. } => source.hint(),
            Self::Package { source, .. } => source.hint(),
            Self::Release { .. } | Self::NoIndex { .. } => {
                Some("the address may be that of something else than a Debian repository".to_owned())
            }
            Self::Repository { .. } | Self::NoDigest { .. } | Self::NoData { .. } | Self::UnknownCompression { .. } => {
                Some("the address may be that of something else than an RPM repository, or of an error page".to_owned())
            }
            Self::OtherSuite { expected, found, .. } => Some(format!(
                "if the distribution has made a release and `{expected}` is now `{found}`, correct the universe's \
                 definition; else use another mirror"
            )),
            Self::Future { .. } => Some("check the clock of this machine".to_owned()),
            Self::Rollback { .. } => Some(
                "the mirror may be behind the one that was asked before: try again later, or name a mirror that is up \
                 to date with --mirror"
                    .to_owned(),
            ),
            Self::NoArchitecture { .. } => {
                Some("correct `architectures` of the universe, or leave the repository out of it".to_owned())
            }
            Self::Contradicted { .. } => Some(
                "the index is not signed: the mirror, or something on the way to it, changed it; use another mirror, and if \
                 that says the same, tell the owner of the repository"
                    .to_owned(),
            ),
            Self::UnknownRepository { .. } => {
                Some("add the repository to the universe's definition, or lock anew".to_owned())
            }
            Self::Index { source, .. } if source.is_too_big() => Some(
                "no distribution has that much: the mirror sends something else, use another one; a repository that really \
                 is so large must be split"
                    .to_owned(),
            ),
            Self::Index { .. } => Some("the repository itself is broken: tell its owner, and use a mirror of an earlier state".to_owned()),
            Self::TooBig(_) => None,
            Self::Store(source) => source.hint(),
            Self::Memory { .. } => Some("it was written by another version of this program; remove it from the store's state".to_owned()),
        }
    }
}
