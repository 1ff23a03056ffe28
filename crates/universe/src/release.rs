//! A repository's `InRelease`: fetched or taken from the store, its signature verified, its claims checked.
//!
//! What must hold, in this order: a good signature by an accepted key; the suite that was asked for; a date that is
//! not in the future, and not before the newest that was seen. Past its `Valid-Until` an index is stale: it is used, and
//! says so, since a mirror that has stopped is a common thing and the caller can refuse what is stale.

use std::collections::BTreeMap;

use calypte_base::{Digest, Epoch};
use calypte_formats::debian_release::Release;
use calypte_store::{FetchError, Fetcher, Store};
use calypte_trust::{KeyRing, verify_clearsigned};
use serde::{Deserialize, Serialize};

use crate::definition::RepositoryDefinition;
use crate::error::UniverseError;

/// The largest `InRelease` that is taken: Debian's have 200 kB.
pub const RELEASE_LIMIT: u64 = 16 * 1024 * 1024;

/// How far another machine's clock may be ahead of this one's, in seconds.
const CLOCK_TOLERANCE: i64 = 300;

/// A repository in the state in which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenRepository {
    /// Its name in the universe.
    pub name: String,
    /// The name of the mirrors that have it.
    pub mirror: String,
    /// SHA-256 of its `InRelease`.
    pub release: Digest,
    /// When that was made.
    pub date: Epoch,
    /// Until when it claims to be up to date.
    pub valid_until: Option<Epoch>,
    /// Whether that time was over when it was read: updates, security fixes among them, may be missing.
    pub stale: bool,
}

/// What is remembered of a repository from one run to the next.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    date: Epoch,
    release: Digest,
}

/// A verified `InRelease`.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) frozen: FrozenRepository,
    pub(crate) release: Release,
    /// The directory below the mirror, with the mirror's name before it, for messages.
    pub(crate) shown: String,
}

/// Fetches and verifies. When the network is not to be used, the one that was seen last is taken from the store.
pub(crate) fn verified(
    repository: &RepositoryDefinition,
    keys: &BTreeMap<String, String>,
    store: &Store,
    fetcher: &Fetcher,
    now: Epoch,
) -> Result<Verified, UniverseError> {
    let path = format!("dists/{}/InRelease", repository.codename);
    let file = format!("{}/{path}", repository.mirror);
    let ring = key_ring(repository, keys)?;
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
    check(&file, repository, &release, memory.as_ref(), now)?;
    let frozen = FrozenRepository {
        name: repository.name.clone(),
        mirror: repository.mirror.clone(),
        release: store.put(&message)?,
        date: release.date,
        valid_until: release.valid_until,
        stale: release.valid_until.is_some_and(|until| until < now),
    };
    Ok(Verified { frozen, release, shown: format!("{}/dists/{}", repository.mirror, repository.codename) })
}

fn check(
    file: &str,
    repository: &RepositoryDefinition,
    release: &Release,
    memory: Option<&Memory>,
    now: Epoch,
) -> Result<(), UniverseError> {
    let file = file.to_owned();
    for (field, expected, found) in
        [("codename", &repository.codename, &release.codename), ("suite", &repository.suite, &release.suite)]
    {
        if expected != found {
            let (expected, found) = (expected.clone(), found.clone());
            return Err(UniverseError::OtherSuite { file, field, expected, found });
        }
    }
    let date = release.date;
    if date.0 > now.0.saturating_add(CLOCK_TOLERANCE) {
        return Err(UniverseError::Future { file, date, now });
    }
    match memory {
        Some(Memory { date: seen, .. }) if date < *seen => {
            Err(UniverseError::Rollback { file, date, seen: *seen })
        }
        _ => Ok(()),
    }
}

fn key_ring(
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

/// The name under which the store remembers a repository. The suite alone counts, not the universe or the address:
/// otherwise an old state would pass by another way.
fn memory_name(file: &str) -> String {
    format!("release {file}")
}

fn remembered(store: &Store, file: &str) -> Result<Option<Memory>, UniverseError> {
    let Some(bytes) = store.state_get(&memory_name(file))? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| UniverseError::Memory { file: file.to_owned(), reason: error.to_string() })
}

/// Remembers the state of a repository, once all of it was read.
pub(crate) fn remember(store: &Store, verified: &Verified) -> Result<(), UniverseError> {
    let file = format!("{}/InRelease", verified.shown);
    let memory = Memory { date: verified.frozen.date, release: verified.frozen.release };
    let bytes = serde_json::to_vec(&memory)
        .map_err(|error| UniverseError::Memory { file: file.clone(), reason: error.to_string() })?;
    Ok(store.state_put(&memory_name(&file), &bytes)?)
}
