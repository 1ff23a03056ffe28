//! What is remembered of a repository from one run to the next: a state that is older than one that was seen is refused.

use calypte_base::{Digest, Epoch};
use calypte_store::Store;
use serde::{Deserialize, Serialize};

use crate::error::UniverseError;

/// How far another machine's clock may be ahead of this one's, in seconds.
const CLOCK_TOLERANCE: i64 = 300;

/// The newest state of a repository that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// When it was made.
    pub(super) date: Epoch,
    /// SHA-256 of its index of indexes.
    pub(super) release: Digest,
    /// Whether the distribution already had a newer one: without the network it still is an old one.
    #[serde(default)]
    pub(super) outdated: bool,
}

/// Whether a state made at this time may be used: it is not from the future, and not older than what was seen.
pub(super) fn check_date(
    file: &str,
    date: Epoch,
    memory: Option<&Memory>,
    now: Epoch,
) -> Result<(), UniverseError> {
    let file = file.to_owned();
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

/// The name under which the store remembers a repository. Its file alone counts, not the universe or the address:
/// otherwise an old state would pass by another way.
fn name(file: &str) -> String {
    format!("release {file}")
}

/// What the store remembers of the repository with this index of indexes.
pub(super) fn remembered(store: &Store, file: &str) -> Result<Option<Memory>, UniverseError> {
    let Some(bytes) = store.state_get(&name(file))? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| UniverseError::Memory { file: file.to_owned(), reason: error.to_string() })
}

/// Remembers the state of a repository, once all of it was read.
pub(super) fn remember(store: &Store, file: &str, memory: Memory) -> Result<(), UniverseError> {
    let bytes = serde_json::to_vec(&memory)
        .map_err(|error| UniverseError::Memory { file: file.to_owned(), reason: error.to_string() })?;
    Ok(store.state_put(&name(file), &bytes)?)
}
