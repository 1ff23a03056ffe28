//! From a universe's definition to its packages: open each repository as its format wants it, fetch the indexes, read
//! them. An index that was made once for a state of the repositories is kept, and read back as it was.

mod deb;
mod layout;
mod local;
mod memory;
mod rpm;
mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use calypte_base::{Architecture, Digest, Epoch};
use calypte_formats::compression::{Compression, Decoder, decoder};
use calypte_store::{Download, Fetcher, Progress, Store};
use calypte_trust::KeyRing;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::deb::RELEASE_LIMIT;
pub use self::local::import;
pub use self::updates::SecurityUpdate;

use self::memory::Memory;
use crate::definition::{RepositoryDefinition, UniverseDefinition};
use crate::error::UniverseError;
use crate::index::{self, PackageIndex};
use crate::table::TableError;

/// The kind under which indexes are kept in the store.
const CACHE_KIND: &str = "package-index";

/// A repository in the state in which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenRepository {
    /// Its name in the universe.
    pub name: String,
    /// The name of the mirrors that have it.
    pub mirror: String,
    /// The architecture that it is for, where each has a repository of its own (RPM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// SHA-256 of its index of indexes: `InRelease`, `repomd.xml`.
    pub release: Digest,
    /// When that was made.
    pub date: Epoch,
    /// Until when it claims to be up to date.
    pub valid_until: Option<Epoch>,
    /// Whether that time was over when it was read: updates, security fixes among them, may be missing.
    pub stale: bool,
}

/// A distribution at one moment: repositories that were verified, and their packages.
#[derive(Debug)]
pub struct Universe {
    /// Its definition.
    pub definition: UniverseDefinition,
    /// The state of each repository, in the definition's order.
    pub repositories: Vec<FrozenRepository>,
    /// The packages of all repositories, for each architecture.
    pub packages: BTreeMap<Architecture, PackageIndex>,
    /// The security fixes that the repositories tell of.
    pub updates: BTreeSet<SecurityUpdate>,
    /// Addresses that the repositories themselves named for their mirrors.
    pub addresses: BTreeMap<String, Vec<String>>,
}

/// A repository that was opened: what it is, and what is to be read of it.
#[derive(Debug, Default)]
struct Opened {
    frozen: Vec<FrozenRepository>,
    /// What to remember once all was read, by the file that it is about.
    memories: Vec<(String, Memory)>,
    indexes: Vec<IndexFile>,
    /// Advisories, where there are any.
    updates: Vec<Packed>,
    /// Further addresses of its mirror.
    addresses: Vec<String>,
}

/// The index of one architecture of a repository.
#[derive(Debug)]
struct IndexFile {
    repository: String,
    architecture: Architecture,
    /// What stands before the paths in it, where they are not relative to the mirror.
    base: String,
    packages: Packed,
    /// The list of all files of the packages, where it is apart.
    files: Option<Packed>,
}

/// What is in a file of a repository, decompressed.
type Reader = Decoder<Box<dyn Read + Send>>;

/// A compressed file that a repository vouches for.
#[derive(Debug)]
struct Packed {
    /// The path as the repository lists it, for messages.
    shown: String,
    compression: Compression,
    /// The most bytes that it may decompress to.
    limit: u64,
    download: Download,
}

impl Packed {
    fn open(&self, store: &Store) -> Result<Reader, UniverseError> {
        let reader: Box<dyn Read + Send> = Box::new(store.open_verified(&self.download.digest)?);
        decoder(self.compression, reader, self.limit)
            .map_err(|error| self.failed(TableError::Form(error.into())))
    }

    fn failed(&self, source: TableError) -> UniverseError {
        UniverseError::Index { file: self.shown.clone(), source }
    }
}

/// Loads a universe. `keys` are the texts of the key files by name, as [`UniverseDefinition::keys`] lists them; `now` is
/// the time against which signatures and dates are judged.
///
/// # Errors
/// When any part of any repository cannot be fetched, verified or read; nothing is used in part. A repository that
/// is past the time for which it is valid is no error: see [`FrozenRepository::stale`].
pub fn load(
    definition: &UniverseDefinition,
    keys: &BTreeMap<String, String>,
    fetcher: &Fetcher,
    now: Epoch,
    progress: &dyn Progress,
) -> Result<Universe, UniverseError> {
    let architectures: Vec<Architecture> = definition.architectures.iter().copied().collect();
    let open = |repository: &RepositoryDefinition| {
        let opened = repository.layout.open(repository, &architectures, keys, fetcher, now)?;
        if let Some(directory) = &repository.local {
            local::import_indexes(directory, &opened, fetcher.store())?;
        }
        Ok(opened)
    };
    let opened =
        definition.repositories.par_iter().map(open).collect::<Result<Vec<Opened>, UniverseError>>()?;

    let mut universe = Universe {
        definition: definition.clone(),
        repositories: Vec::new(),
        packages: BTreeMap::new(),
        updates: BTreeSet::new(),
        addresses: BTreeMap::new(),
    };
    let (mut indexes, mut memories, mut updates) = (Vec::new(), Vec::new(), Vec::new());
    for (opened, repository) in opened.into_iter().zip(&definition.repositories) {
        universe.repositories.extend(opened.frozen);
        memories.extend(opened.memories);
        indexes.extend(opened.indexes);
        updates.extend(opened.updates);
        universe.addresses.entry(repository.mirror.clone()).or_default().extend(opened.addresses);
    }
    universe.addresses.retain(|_, addresses| !addresses.is_empty());
    let fetcher = universe.fetcher(fetcher);
    for architecture in architectures {
        let files: Vec<&IndexFile> =
            indexes.iter().filter(|index| index.architecture == architecture).collect();
        let index = package_index(definition, architecture, &files, &fetcher, progress)?;
        universe.packages.insert(architecture, index);
    }
    fetch(&fetcher, definition, updates.iter(), progress)?;
    for packed in &updates {
        universe.updates.extend(updates::read(fetcher.store(), packed)?);
    }
    for (file, memory) in memories {
        memory::remember(fetcher.store(), &file, memory)?;
    }
    Ok(universe)
}

impl Universe {
    /// The fetcher with the addresses that the repositories named.
    #[must_use]
    pub fn fetcher(&self, fetcher: &Fetcher) -> Fetcher {
        self.addresses
            .iter()
            .fold(fetcher.clone(), |fetcher, (mirror, addresses)| fetcher.with_addresses(mirror, addresses))
    }
}

/// The index of one architecture: kept, or made of the repositories' files.
fn package_index(
    definition: &UniverseDefinition,
    architecture: Architecture,
    files: &[&IndexFile],
    fetcher: &Fetcher,
    progress: &dyn Progress,
) -> Result<PackageIndex, UniverseError> {
    let store = fetcher.store();
    let key = key(definition, architecture, files);
    let kept = store.cache_get(CACHE_KIND, &key);
    if let Some(index) =
        kept.and_then(|bytes| PackageIndex::from_bytes(definition.format, architecture, bytes))
    {
        return Ok(index);
    }
    let more = |packed: Vec<&Packed>| fetch(fetcher, definition, packed, progress);
    more(files.iter().map(|file| &file.packages).collect())?;
    // All repositories of a universe are of one format; without a repository there is nothing to read.
    let tables = match definition.repositories.first() {
        Some(first) => first.layout.tables(architecture, files, store, more)?,
        None => Vec::new(),
    };
    let tables = files.iter().map(|file| file.repository.clone()).zip(tables).collect();
    let index = PackageIndex::new(&definition.universe, definition.format, architecture, tables)?;
    store.cache_put(CACHE_KIND, &key, &index.to_bytes())?;
    Ok(index)
}

/// Reads the index of each repository; `read` makes its table of what is in it.
fn read_tables(
    files: &[&IndexFile],
    store: &Store,
    read: impl Fn(&IndexFile, Reader) -> Result<String, TableError> + Sync,
) -> Result<Vec<String>, UniverseError> {
    let read = |file: &&IndexFile| {
        let table = read(file, file.packages.open(store)?);
        table.map_err(|source| file.packages.failed(source))
    };
    files.par_iter().map(read).collect()
}

fn fetch<'p>(
    fetcher: &Fetcher,
    definition: &UniverseDefinition,
    packed: impl IntoIterator<Item = &'p Packed>,
    progress: &dyn Progress,
) -> Result<(), UniverseError> {
    let downloads: Vec<Download> = packed.into_iter().map(|packed| packed.download.clone()).collect();
    let of = format!("universe `{}`", definition.universe);
    fetcher.fetch_all(&downloads, progress).map_err(|source| UniverseError::Fetch { of, source })
}

/// What an index depends on: the files that it is made of, in their order, and the form in which it is kept.
fn key(definition: &UniverseDefinition, architecture: Architecture, files: &[&IndexFile]) -> Digest {
    let mut text = format!("{} {} {architecture}", index::VERSION, definition.universe);
    for IndexFile { repository, base, packages, files, .. } in files {
        let files = files.as_ref().map(|files| files.download.digest.hex()).unwrap_or_default();
        text.push_str(&format!("\n{repository} {base} {} {files}", packages.download.digest));
    }
    Digest::of(text.as_bytes())
}

/// The keys whose signatures a repository's definition accepts.
pub(crate) fn key_ring(
    repository: &RepositoryDefinition,
    keys: &BTreeMap<String, String>,
) -> Result<KeyRing, UniverseError> {
    let mut ring = KeyRing::new();
    for key in &repository.keys {
        let text = keys
            .get(key)
            .ok_or_else(|| UniverseError::NoKey { repository: repository.name.clone(), key: key.clone() })?;
        ring.extend(KeyRing::from_armored(key, text.as_bytes())?);
    }
    Ok(ring)
}
