//! Where loading differs between the formats: how a repository is opened, and how its indexes become tables.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Epoch};
use calypte_store::{Fetcher, Store};

use super::{IndexFile, Opened, Packed, deb, rpm};
use crate::definition::{Layout, RepositoryDefinition};
use crate::error::UniverseError;

impl Layout {
    /// Opens a repository that is laid out so: what it is, and what is to be read of it.
    pub(super) fn open(
        &self,
        repository: &RepositoryDefinition,
        architectures: &[Architecture],
        keys: &BTreeMap<String, String>,
        fetcher: &Fetcher,
        now: Epoch,
    ) -> Result<Opened, UniverseError> {
        match self {
            Self::Deb(layout) => deb::open(repository, layout, architectures, keys, fetcher, now),
            Self::Rpm(layout) => rpm::open(repository, layout, architectures, keys, fetcher, now),
        }
    }

    /// The tables of the indexes of all repositories for one architecture, in their order; `fetch` gets what else is
    /// needed.
    pub(super) fn tables(
        &self,
        architecture: Architecture,
        files: &[&IndexFile],
        store: &Store,
        fetch: impl Fn(Vec<&Packed>) -> Result<(), UniverseError>,
    ) -> Result<Vec<String>, UniverseError> {
        match self {
            Self::Deb(_) => deb::tables(architecture, files, store),
            Self::Rpm(_) => rpm::tables(architecture, files, store, fetch),
        }
    }
}
