//! What locks would be if families were locked now: nothing is written. A family that cannot be locked is told, and does not
//! stop the others. Whatever a proposed lock names is in the store, and was looked into: a lock that is accepted can be built.
//! And whatever it names is where it says: a lock that is accepted can be built by others too.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use calypte_base::{Architecture, Digest};
use calypte_definition::ImageId;
use calypte_resolve::{Lock, LockedPackage};
use calypte_store::Download;
use calypte_universe::UniverseDefinition;

use crate::factory::Factory;

/// What locking a family would give.
#[derive(Debug)]
pub struct Proposal {
    /// The family.
    pub family: String,
    /// The lock that the catalog has, where it is what the definition asks for.
    pub current: Option<Lock>,
    /// The lock that it would get; why it gets none.
    pub proposed: Result<Lock>,
}

impl Factory<'_> {
    /// Proposes a lock for each of these families, out of the newest state of a universe.
    ///
    /// # Errors
    /// When the universe cannot be had, or the user wants it to stop.
    pub fn propose(&self, universe: &str, families: &[String]) -> Result<Vec<Proposal>> {
        let (definition, rules) = self.universe(universe)?;
        let universe = self.load_universe(universe)?;
        let fetcher = universe.fetcher(&self.fetcher(definition));
        let keys = self.keys(definition)?;
        let mut asked = BTreeSet::new();
        let mut all = Vec::new();
        for family in families {
            self.stop_if_interrupted()?;
            let current = self.settings.catalog.read_lock(&definition.universe, family).ok().flatten();
            let current = current.filter(|lock| matches!(self.lock_problem(lock), Ok(None)));
            let mut propose = || -> Result<Lock> {
                let mut records = Vec::new();
                let lock = self.resolve_family(family, &universe, &mut records)?;
                // Fetched before it is accepted: a mirror that lists what it does not have breaks no build later.
                let named = self.named_anew(definition, &lock, current.as_ref())?;
                let is_had =
                    |download: &&Download| self.store().has(&download.digest) && !asked.contains(*download);
                let had: Vec<Download> = named.iter().filter(is_had).cloned().collect();
                self.fetch_with(&fetcher, definition, lock.packages.values().flatten())?;
                fetcher.ask_for(&had)?;
                asked.extend(named);
                calypte_universe::vouch(definition, &keys, self.store(), &records, self.settings.now)?;
                let mut locks = [lock];
                self.inspect(&mut locks, definition, rules)?;
                let [mut lock] = locks;
                lock.images = self.seals(&lock)?;
                Ok(lock)
            };
            let proposed = propose();
            self.stop_if_interrupted()?;
            all.push(Proposal { family: family.clone(), current, proposed });
        }
        Ok(all)
    }

    /// What a new lock names that the lock before did not. Of this, what the store has already is asked for: that it is
    /// there, from elsewhere or from before, says nothing of where the lock says it is.
    fn named_anew(
        &self,
        definition: &UniverseDefinition,
        lock: &Lock,
        current: Option<&Lock>,
    ) -> Result<Vec<Download>> {
        let place =
            |package: &LockedPackage| (package.repository.clone(), package.url.clone(), package.sha256);
        let known: BTreeSet<_> =
            current.iter().flat_map(|lock| lock.packages.values()).flatten().map(place).collect();
        let is_local = |package: &LockedPackage| {
            definition.repository(&package.repository).is_some_and(|repository| repository.local.is_some())
        };
        let packages = lock.packages.values().flatten();
        let anew = packages.filter(|package| !is_local(package) && !known.contains(&place(package)));
        anew.map(|package| self.download(definition, package)).collect()
    }

    /// Writes a proposed lock into the catalog.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn accept(&self, lock: &Lock) -> Result<()> {
        self.settings.catalog.write_lock(lock)?;
        Ok(())
    }

    /// The directory of the catalog, and where the lock of a family lies below it.
    #[must_use]
    pub fn lock_place(&self, universe: &str, family: &str) -> (PathBuf, String) {
        (PathBuf::from(self.settings.catalog.shown("")), format!("locks/{universe}/{family}.lock"))
    }

    /// The lock that the catalog has of a family.
    ///
    /// # Errors
    /// When there is none, or it is out of date.
    pub fn lock_of(&self, universe: &str, family: &str) -> Result<Lock> {
        self.current_lock(universe, family)
    }

    /// The digest of all that an image of a lock is made from: two that are the same are the same image.
    ///
    /// # Errors
    /// When the lock does not have the image.
    pub fn build_key(&self, lock: &Lock, image: &ImageId, architecture: Architecture) -> Result<Digest> {
        self.key(&self.inputs(lock, image, architecture)?, &self.layer_options())
    }
}
