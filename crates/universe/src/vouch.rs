//! Who vouches for a package: the signed index of a Debian repository, or the package's own signature where the index of
//! its repository is not signed.

use std::collections::BTreeMap;

use calypte_base::{Digest, Epoch};
use calypte_store::Store;
use calypte_trust::KeyRing;
use calypte_trust::rpm::verify_package;
use rayon::prelude::*;

use crate::definition::UniverseDefinition;
use crate::error::UniverseError;
use crate::index::PackageRecord;
use crate::load::key_ring;
use crate::signed::difference;

/// Checks packages for a lock; they are in the store already. One of a repository with a signed index has been vouched
/// for by that: it named the package's digest. So has one of a directory of this machine, by whoever named that. Any other must be signed itself, its header and through that its payload, by a key
/// that its own repository accepts; and it must be what the index said of it, by which it was chosen.
///
/// # Errors
/// The first package, in the order given, that nobody vouches for; one of a repository that the definition does not have
/// is among these.
pub fn vouch(
    definition: &UniverseDefinition,
    keys: &BTreeMap<String, String>,
    store: &Store,
    packages: &[PackageRecord<'_>],
    now: Epoch,
) -> Result<(), UniverseError> {
    let mut rings: BTreeMap<&str, KeyRing> = BTreeMap::new();
    for repository in &definition.repositories {
        if !repository.layout.has_signed_index() {
            rings.insert(&repository.name, key_ring(repository, keys)?);
        }
    }
    // Several records may name one file; what they say of it is checked for each. The same file in another repository is
    // another question, since that has other keys.
    let mut groups: Vec<(&KeyRing, Vec<&PackageRecord<'_>>)> = Vec::new();
    let mut places: BTreeMap<(&str, Digest), usize> = BTreeMap::new();
    for package in packages {
        let unknown = || UniverseError::UnknownRepository {
            package: package.name.to_owned(),
            repository: package.repository.to_owned(),
            universe: definition.universe.clone(),
        };
        let repository = definition.repository(package.repository).ok_or_else(unknown)?;
        if repository.layout.has_signed_index() || repository.local.is_some() {
            continue;
        }
        let ring = rings.get(package.repository).ok_or_else(unknown)?;
        let place = *places.entry((package.repository, package.sha256)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, records)) => records.push(package),
            None => groups.push((ring, vec![package])),
        }
    }
    let check = |(ring, records): &(&KeyRing, Vec<&PackageRecord<'_>>)| check(ring, records, store, now);
    let results: Vec<Result<(), UniverseError>> = groups.par_iter().map(check).collect();
    results.into_iter().collect()
}

/// Checks one file, and what these records say of it.
fn check(
    ring: &KeyRing,
    records: &[&PackageRecord<'_>],
    store: &Store,
    now: Epoch,
) -> Result<(), UniverseError> {
    let Some(first) = records.first() else { return Ok(()) };
    let refused = |source| UniverseError::Package { file: first.file().to_owned(), source };
    let file = store.open_verified(&first.sha256)?;
    let package = verify_package(file, ring, now).map_err(refused)?;
    for record in records {
        if let Some(found) = difference(record, &package.header).map_err(|error| refused(error.into()))? {
            return Err(UniverseError::Contradicted {
                file: record.file().to_owned(),
                package: format!("{} {}", record.name, record.version),
                field: found.field,
                index: found.index,
                signed: found.package,
            });
        }
    }
    Ok(())
}
