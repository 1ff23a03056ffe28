//! A Fedora-shaped RPM repository for tests, made on the spot out of real files: Debian packages are taken apart, laid
//! out as Fedora lays them out, packed by `rpmbuild`, signed with a throw-away key and indexed by `createrepo_c`. What
//! readers of RPMs meet in Rawhide is in it in small: see [`packages`]. A server on the loopback serves it, honestly or not.
//!
//! Nothing of this is part of the program. The tools decide what a right RPM is, so that our reader is not tested by
//! our writer. The result is kept below `target/tmp` under the digest of what it is made by, and shared by all tests.

mod build;
mod catalog;
mod debian;
mod index;
mod metalink;
pub mod packages;
mod recipe;
mod server;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use catalog::KEY_NAME;
pub use debian::configured_mirror;
pub use recipe::{Kind, Recipe};
pub use server::{Behaviour, Server};
pub use tools::Failure;

/// The package that the bad universes tamper with.
pub const VICTIM: &str = "nginx-core";

/// When the repository says it was made: fixed, so that two builds of it say the same. Seconds since 1970.
pub const TIMESTAMP: u64 = 1_750_000_000;

/// When the older state of it says it was made.
pub const OLDER_TIMESTAMP: u64 = 1_749_000_000;

/// Why there is no fixture here: a program or the Debian mirror is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The program that is missing to make the fixture, if one is. Whether the mirror is there only making it tells.
#[must_use]
pub fn missing() -> Option<String> {
    match tools::check_programs() {
        Err(Failure::Missing(what)) => Some(what),
        _ => None,
    }
}

/// The repositories on the disk.
#[derive(Debug)]
pub struct Fixture {
    root: PathBuf,
    key: String,
}

impl Fixture {
    /// The fixture, made now if no test has made it before.
    ///
    /// # Errors
    /// What is missing to make it.
    ///
    /// # Panics
    /// When all tools are there and it cannot be made all the same: that is a fault of the recipes.
    pub fn get() -> Result<&'static Self, Skip> {
        static FIXTURE: OnceLock<Result<Fixture, Skip>> = OnceLock::new();
        FIXTURE.get_or_init(Self::make).as_ref().map_err(Clone::clone)
    }

    fn make() -> Result<Self, Skip> {
        match build::root() {
            Ok(root) => {
                let key = tools::read(&root.join("key.asc"))
                    .unwrap_or_else(|failure| panic!("the fixture has no key: {failure}"));
                Ok(Self { root, key })
            }
            Err(Failure::Missing(what)) => Err(Skip(what)),
            Err(failure) => panic!("the RPM fixture cannot be made: {failure}"),
        }
    }

    /// The repository of one architecture (`x86_64`, `aarch64`): the directory with `repodata/` and `Packages/`.
    #[must_use]
    pub fn repository(&self, architecture: &str) -> PathBuf {
        index::repository(&self.tree(index::CURRENT), architecture)
    }

    /// The key that signed the packages, armored.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key's file.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.root.join("key.asc")
    }

    /// The packages of one architecture's repository, sorted by file name.
    #[must_use]
    pub fn package_files(&self, architecture: &str) -> Vec<PathBuf> {
        tools::files_below(&self.repository(architecture).join("Packages")).unwrap_or_default()
    }

    /// Serves the repositories on the loopback until the server is dropped.
    ///
    /// # Panics
    /// When there is no loopback.
    #[must_use]
    pub fn serve(&self, behaviour: Behaviour) -> Server {
        Server::start(self.root.clone(), behaviour).unwrap_or_else(|failure| panic!("no server: {failure}"))
    }

    /// The tree of one state of the repositories.
    fn tree(&self, state: &str) -> PathBuf {
        self.root.join(state)
    }
}

/// The repository of this project.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).unwrap_or(Path::new("."))
}
