//! From a universe's definition to its packages: verify each repository, fetch the indexes that it signs for, read
//! them.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest, Epoch};
use calypte_formats::compression::{Compression, decoder};
use calypte_store::{Download, Fetcher, Progress, Store};
use rayon::prelude::*;

use crate::definition::UniverseDefinition;
use crate::error::UniverseError;
use crate::index::PackageIndex;
use crate::release::{FrozenRepository, Verified, remember, verified};
use crate::table::{CACHE_KIND, TableError, check_kept, read_packages};

/// The largest index that is read, in bytes when decompressed, where the repository does not say: that of sid has 65 MB.
const INDEX_LIMIT: u64 = 1 << 30;

/// A distribution at one moment: repositories that were verified, and their packages.
#[derive(Debug)]
pub struct Universe {
    /// Its definition.
    pub definition: UniverseDefinition,
    /// The state of each repository, in the definition's order.
    pub repositories: Vec<FrozenRepository>,
    /// The packages of all repositories, for each architecture.
    pub packages: BTreeMap<Architecture, PackageIndex>,
}

/// An index that a repository has signed for.
struct IndexFile {
    repository: usize,
    architecture: Architecture,
    /// The path as the repository lists it, for messages.
    shown: String,
    compression: Compression,
    /// The most bytes that it may decompress to.
    limit: u64,
    download: Download,
}

/// Loads a universe. `keys` are the texts of the key files by name, as [`UniverseDefinition::keys`] lists them; `now` is
/// the time against which signatures and dates are judged.
///
/// # Errors
/// When any part of any repository cannot be fetched, verified or read; nothing is used in part. A repository that
/// is past its `Valid-Until` is no error: see [`FrozenRepository::stale`].
pub fn load(
    definition: &UniverseDefinition,
    keys: &BTreeMap<String, String>,
    store: &Store,
    fetcher: &Fetcher,
    now: Epoch,
    progress: &dyn Progress,
) -> Result<Universe, UniverseError> {
    let releases = definition
        .repositories
        .par_iter()
        .map(|repository| verified(repository, keys, store, fetcher, now))
        .collect::<Result<Vec<Verified>, _>>()?;
    let files = index_files(definition, &releases)?;
    let kept: Vec<Option<String>> = files.par_iter().map(|file| kept_table(store, file)).collect();
    let missing = files.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
    let missing: Vec<Download> = missing.map(|(file, _)| file.download.clone()).collect();
    fetcher.fetch_all(&missing, progress).map_err(|source| UniverseError::Fetch {
        of: format!("universe `{}`", definition.universe),
        source,
    })?;
    let tables = files
        .par_iter()
        .zip(kept)
        .map(|(file, kept)| kept.map_or_else(|| read_table(store, file), Ok))
        .collect::<Result<Vec<String>, _>>()?;

    let mut by_architecture: BTreeMap<Architecture, Vec<(String, String)>> = BTreeMap::new();
    for (file, table) in files.iter().zip(tables) {
        let repository =
            definition.repositories.get(file.repository).map_or_else(String::new, |known| known.name.clone());
        by_architecture.entry(file.architecture).or_default().push((repository, table));
    }
    let packages = by_architecture
        .into_par_iter()
        .map(|(architecture, tables)| {
            Ok((architecture, PackageIndex::new(&definition.universe, architecture, tables)?))
        })
        .collect::<Result<BTreeMap<_, _>, UniverseError>>()?;
    for release in &releases {
        remember(store, release)?;
    }
    let repositories = releases.into_iter().map(|verified| verified.frozen).collect();
    Ok(Universe { definition: definition.clone(), repositories, packages })
}

/// The indexes to read: for each architecture and repository its components, and packages for all architectures where
/// they are listed apart.
fn index_files(
    definition: &UniverseDefinition,
    releases: &[Verified],
) -> Result<Vec<IndexFile>, UniverseError> {
    let mut files = Vec::new();
    for architecture in &definition.architectures {
        for (number, (repository, verified)) in definition.repositories.iter().zip(releases).enumerate() {
            let release = &verified.release;
            if !release.architectures.contains(architecture.deb()) {
                return Err(UniverseError::NoArchitecture {
                    file: format!("{}/InRelease", verified.shown),
                    architecture: *architecture,
                    found: release.architectures.iter().cloned().collect(),
                });
            }
            for component in &repository.components {
                let directory = format!("{component}/binary-{}", architecture.deb());
                files.push(index_file(verified, &repository.codename, number, *architecture, &directory)?);
                if release.architectures.contains("all") && !release.all_in_each_architecture {
                    let directory = format!("{component}/binary-all");
                    files.push(index_file(
                        verified,
                        &repository.codename,
                        number,
                        *architecture,
                        &directory,
                    )?);
                }
            }
        }
    }
    Ok(files)
}

fn index_file(
    verified: &Verified,
    codename: &str,
    repository: usize,
    architecture: Architecture,
    directory: &str,
) -> Result<IndexFile, UniverseError> {
    let index = format!("{directory}/Packages");
    let listed = [("xz", Compression::Xz), ("gz", Compression::Gzip)].into_iter().find_map(
        |(extension, compression)| {
            let path = format!("{index}.{extension}");
            let (digest, size) = verified.release.sha256.get(&path)?;
            Some((path, compression, *digest, *size))
        },
    );
    let Some((path, compression, digest, size)) = listed else {
        return Err(UniverseError::NoIndex { file: format!("{}/InRelease", verified.shown), index });
    };
    // Under its digest an index stays the one that was signed for, whatever the mirror is updated to meanwhile.
    let fetched = if verified.release.acquire_by_hash {
        format!("{directory}/by-hash/SHA256/{}", digest.hex())
    } else {
        path.clone()
    };
    let limit = verified.release.sha256.get(&index).map_or(INDEX_LIMIT, |(_, size)| *size).min(INDEX_LIMIT);
    Ok(IndexFile {
        repository,
        architecture,
        shown: format!("{}/{path}", verified.shown),
        compression,
        limit,
        download: Download {
            mirror: verified.frozen.mirror.clone(),
            path: format!("dists/{codename}/{fetched}"),
            digest,
            size,
            what: format!("index of {codename} for {architecture}"),
        },
    })
}

/// The digest under which a table is kept: it depends on the index and on the architecture that was taken out of it.
fn table_key(file: &IndexFile) -> Digest {
    Digest::of(format!("{} {}", file.architecture, file.download.digest).as_bytes())
}

/// A table that was kept in the store's cache. One that cannot be used counts as absent.
fn kept_table(store: &Store, file: &IndexFile) -> Option<String> {
    let table = String::from_utf8(store.cache_get(CACHE_KIND, &table_key(file))?).ok()?;
    check_kept(&table).is_ok().then_some(table)
}

fn read_table(store: &Store, file: &IndexFile) -> Result<String, UniverseError> {
    let index = |source: TableError| UniverseError::Index { file: file.shown.clone(), source };
    let reader = store.open_verified(&file.download.digest)?;
    let packages = decoder(file.compression, reader, file.limit)
        .map_err(|error| index(TableError::Form(error.into())))?;
    let table = read_packages(packages, file.architecture.deb()).map_err(index)?;
    store.cache_put(CACHE_KIND, &table_key(file), table.as_bytes())?;
    Ok(table)
}
