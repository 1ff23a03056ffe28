//! A Debian repository's `InRelease`: fetched or taken from the store, its signature verified, its claims checked; and
//! the indexes that it signs for.
//!
//! What must hold, in this order: a good signature by an accepted key; the suite that was asked for; a date that is
//! not in the future, and not before the newest that was seen. Past its `Valid-Until` an index is stale: it is used, and
//! says so, since a mirror that has stopped is a common thing and the caller can refuse what is stale.

use std::collections::BTreeMap;
use std::path::Path;

use calypte_base::{Architecture, Epoch};
use calypte_formats::compression::Compression;
use calypte_formats::debian_release::Release;
use calypte_store::{Download, FetchError, Fetcher, Store};
use calypte_trust::{KeyRing, verify_clearsigned};

use super::memory::{Memory, check_date, remembered};
use super::{FrozenRepository, IndexFile, Opened, Packed, key_ring, local, read_tables};
use crate::definition::{DebLayout, RepositoryDefinition};
use crate::error::UniverseError;
use crate::table;

/// The largest `InRelease` that is taken: Debian's have 200 kB.
pub const RELEASE_LIMIT: u64 = 16 * 1024 * 1024;

/// The largest index that is read, in bytes when decompressed, where the repository does not say: that of sid has 65 MB.
const INDEX_LIMIT: u64 = 1 << 30;

/// A verified `InRelease`.
struct Verified {
    frozen: FrozenRepository,
    release: Release,
    /// The directory below the mirror, with the mirror's name before it, for messages.
    shown: String,
}

/// Verifies a repository and finds the indexes to read: for each architecture its components, and packages for all
/// architectures where they are listed apart.
pub(super) fn open(
    repository: &RepositoryDefinition,
    layout: &DebLayout,
    architectures: &[Architecture],
    keys: &BTreeMap<String, String>,
    fetcher: &Fetcher,
    now: Epoch,
) -> Result<Opened, UniverseError> {
    let verified = verified(repository, layout, keys, fetcher, now)?;
    let release = &verified.release;
    let mut indexes = Vec::new();
    for architecture in architectures {
        if !release.architectures.contains(architecture.deb()) {
            return Err(UniverseError::NoArchitecture {
                file: format!("{}/InRelease", verified.shown),
                architecture: *architecture,
                found: release.architectures.iter().cloned().collect(),
            });
        }
        for component in &layout.components {
            let mut directories = vec![format!("{component}/binary-{}", architecture.deb())];
            if release.architectures.contains("all") && !release.all_in_each_architecture {
                directories.push(format!("{component}/binary-all"));
            }
            for directory in directories {
                let packages = index_file(&verified, &layout.codename, *architecture, &directory)?;
                indexes.push(IndexFile {
                    repository: repository.name.clone(),
                    architecture: *architecture,
                    base: String::new(),
                    packages,
                    files: None,
                });
            }
        }
    }
    // It says itself until when it is up to date.
    let memory = Memory { date: verified.frozen.date, release: verified.frozen.release, outdated: false };
    // A directory may be filled anew with what is older.
    let remembered = repository.local.is_none();
    Ok(Opened {
        memories: remembered.then(|| (format!("{}/InRelease", verified.shown), memory)).into_iter().collect(),
        frozen: vec![verified.frozen],
        indexes,
        updates: Vec::new(),
        addresses: Vec::new(),
    })
}

/// The tables of the indexes of one architecture, in their order.
pub(super) fn tables(
    architecture: Architecture,
    files: &[&IndexFile],
    store: &Store,
) -> Result<Vec<String>, UniverseError> {
    read_tables(files, store, |_, reader| table::deb::read_packages(reader, architecture.deb()))
}

/// Fetches and verifies. When the network is not to be used, the one that was seen last is taken from the store.
fn verified(
    repository: &RepositoryDefinition,
    layout: &DebLayout,
    keys: &BTreeMap<String, String>,
    fetcher: &Fetcher,
    now: Epoch,
) -> Result<Verified, UniverseError> {
    if let Some(directory) = &repository.local {
        return named(repository, layout, directory, fetcher.store());
    }
    let store: &Store = fetcher.store();
    let path = format!("dists/{}/InRelease", layout.codename);
    let file = format!("{}/{path}", repository.mirror);
    let ring: KeyRing = key_ring(repository, keys)?;
    let memory = remembered(store, &file)?;
    let message = match (fetcher.fetch_small(&repository.mirror, &path, RELEASE_LIMIT), &memory) {
        (Ok(message), _) => message,
        (Err(FetchError::Offline { .. }), Some(memory)) if store.has(&memory.release) => {
            store.read_verified(&memory.release)?
        }
        (Err(source), _) => {
            return Err(UniverseError::Fetch { of: format!("repository `{}`", repository.name), source });
        }
    };
    let text = verify_clearsigned(&message, &ring, now)
        .map_err(|source| UniverseError::Trust { file: file.clone(), source })?
        .text;
    let release = Release::parse(text.as_bytes())
        .map_err(|source| UniverseError::Release { file: file.clone(), source })?;
    check(&file, layout, &release)?;
    check_date(&file, release.date, memory.as_ref(), now)?;
    let frozen = FrozenRepository {
        name: repository.name.clone(),
        mirror: repository.mirror.clone(),
        architecture: None,
        release: store.put(&message)?,
        date: release.date,
        valid_until: release.valid_until,
        stale: release.valid_until.is_some_and(|until| until < now),
    };
    Ok(Verified { frozen, release, shown: format!("{}/dists/{}", repository.mirror, layout.codename) })
}

/// As [`verified`], for a directory of this machine, which nobody signs.
fn named(
    repository: &RepositoryDefinition,
    layout: &DebLayout,
    directory: &Path,
    store: &Store,
) -> Result<Verified, UniverseError> {
    let path = format!("dists/{}/Release", layout.codename);
    let bytes = local::read(directory, &path)?;
    let file = directory.join(path).display().to_string();
    let release =
        Release::parse(&bytes).map_err(|source| UniverseError::Release { file: file.clone(), source })?;
    check(&file, layout, &release)?;
    let frozen = FrozenRepository {
        name: repository.name.clone(),
        mirror: repository.mirror.clone(),
        architecture: None,
        release: store.put(&bytes)?,
        date: release.date,
        valid_until: None,
        stale: false,
    };
    Ok(Verified { frozen, release, shown: format!("{}/dists/{}", repository.mirror, layout.codename) })
}

fn check(file: &str, layout: &DebLayout, release: &Release) -> Result<(), UniverseError> {
    for (field, expected, found) in
        [("codename", &layout.codename, &release.codename), ("suite", &layout.suite, &release.suite)]
    {
        if expected != found {
            let (file, expected, found) = (file.to_owned(), expected.clone(), found.clone());
            return Err(UniverseError::OtherSuite { file, field, expected, found });
        }
    }
    Ok(())
}

fn index_file(
    verified: &Verified,
    codename: &str,
    architecture: Architecture,
    directory: &str,
) -> Result<Packed, UniverseError> {
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
    Ok(Packed {
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
