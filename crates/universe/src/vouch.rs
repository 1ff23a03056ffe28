//! Who vouches for a package: the signed index of a Debian repository, or the package's own signature where the index of
//! its repository is not signed.

use std::collections::BTreeMap;

use calypte_base::{Digest, Epoch};
use calypte_store::Store;
use calypte_trust::KeyRing;
use rayon::prelude::*;

use crate::definition::{Layout, UniverseDefinition};
use crate::error::UniverseError;
use crate::load::key_ring;

/// A package to be checked, in the store already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched<'a> {
    /// The name of the repository that it comes from.
    pub repository: &'a str,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// The file's name, for messages.
    pub file: String,
}

/// Checks packages for a lock. One of a Debian repository has been vouched for by the signature on the index that named
/// its digest. One of an RPM repository must be signed itself, its header and through that its payload, by a key that
/// its own repository accepts.
///
/// # Errors
/// The first package, in the order given, that nobody vouches for.
pub fn vouch(
    definition: &UniverseDefinition,
    keys: &BTreeMap<String, String>,
    store: &Store,
    packages: &[Vouched<'_>],
    now: Epoch,
) -> Result<(), UniverseError> {
    let mut rings: BTreeMap<&str, KeyRing> = BTreeMap::new();
    for repository in &definition.repositories {
        if matches!(repository.layout, Layout::Rpm(_)) {
            rings.insert(&repository.name, key_ring(repository, keys)?);
        }
    }
    let check = |package: &Vouched<'_>| {
        let Some(ring) = rings.get(package.repository) else { return Ok(()) };
        let file = store.open_verified(&package.digest)?;
        calypte_trust::rpm::verify_package(file, ring, now)
            .map_err(|source| UniverseError::Package { file: package.file.clone(), source })?;
        Ok(())
    };
    let results: Vec<Result<(), UniverseError>> = packages.par_iter().map(check).collect();
    results.into_iter().collect()
}
