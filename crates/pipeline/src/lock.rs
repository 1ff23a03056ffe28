//! Locking: universe → resolution of every image → packages fetched, unpacked and their scripts looked up → lock.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, Digest};
use calypte_definition::ImageId;
use calypte_resolve::{Lock, LockedPackage, LockedRepository, Request, resolve};
use calypte_rootfs::{UnknownScript, UnpackedPackage, scripts, unpack};
use calypte_store::{Download, Fetcher};
use calypte_universe::{PackageRecord, Rules, Universe};
use rayon::prelude::*;
use serde::Serialize;

use crate::diff::{PackageChange, Side, diff};
use crate::factory::Factory;
use crate::hints::hinted;

/// The form of locks that is written.
const SCHEMA: u32 = 1;

/// What locking a family came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockChange {
    /// The family.
    pub family: String,
    /// Whether there was no lock before.
    pub is_new: bool,
    /// How many images the lock holds (streams and variants).
    pub images: usize,
    /// How many packages, all architectures together.
    pub packages: usize,
    /// Bytes to download for all of them.
    pub download_size: u64,
    /// What differs from the lock before.
    pub changes: Vec<PackageChange>,
}

/// Whether a lock is what its definition needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockState {
    /// The family.
    pub family: String,
    /// What is wrong with the lock; `None` when it is what its definition needs.
    pub problem: Option<String>,
}

impl Factory<'_> {
    /// Locks families anew from the newest state of a universe and writes the locks.
    ///
    /// # Errors
    /// When packages cannot be chosen or had, or a maintainer script is unknown; then no lock is written.
    pub fn lock(&self, universe: &str, families: &[String]) -> Result<Vec<LockChange>> {
        let (definition, rules) = self.universe(universe)?;
        let fetcher = self.fetcher(definition)?;
        let universe = self.load_universe(universe, &fetcher)?;
        let mut locks = Vec::new();
        for family in families {
            locks.push(self.resolve_family(family, &universe, rules)?);
        }
        self.fetch_locked(&fetcher, locks.iter())?;
        self.inspect(&mut locks, rules)?;
        locks.iter().map(|lock| self.save(lock)).collect()
    }

    /// Whether the locks of families are what the definitions need. Reads nothing but the catalog.
    ///
    /// # Errors
    /// When a lock cannot be read.
    pub fn check_locks(&self, universe: &str, families: &[String]) -> Result<Vec<LockState>> {
        let state = |family: &String| {
            let lock = self.settings.catalog.read_lock(universe, family)?;
            let problem = match &lock {
                None => Some("is missing".to_owned()),
                Some(lock) => self.lock_problem(lock)?,
            };
            Ok(LockState { family: family.clone(), problem })
        };
        families.iter().map(state).collect()
    }

    /// Why a lock is not what its family's definition needs.
    pub(crate) fn lock_problem(&self, lock: &Lock) -> Result<Option<String>> {
        let wanted = self.requests(&lock.family, &lock.universe)?;
        let wanted_keys: BTreeSet<String> = wanted.keys().map(ImageId::key).collect();
        if let Some(gone) = lock.images.keys().find(|key| !wanted_keys.contains(*key)) {
            return Ok(Some(format!("holds image `{gone}`, which the definition does not have")));
        }
        for (id, request) in &wanted {
            match lock.images.get(&id.key()) {
                None => return Ok(Some(format!("does not hold image `{}`", id.key()))),
                Some(digest) if *digest != request.digest() => {
                    return Ok(Some(format!("holds other packages than the definition of `{}` asks for", id.key())));
                }
                Some(_) => {}
            }
        }
        let architectures = &self.universe(&lock.universe)?.0.architectures;
        let missing = architectures.iter().find(|architecture| !lock.packages.contains_key(architecture));
        Ok(missing.map(|architecture| format!("has no packages for {architecture}")))
    }

    /// What each image of a family asks the resolver for.
    fn requests(&self, family: &str, universe: &str) -> Result<BTreeMap<ImageId, Request>> {
        let (definition, rules) = self.universe(universe)?;
        let images = self.images.images_in(family, universe).into_iter();
        images
            .map(|id| {
                let image = self.images.image(&id)?;
                let request = Request::new(image, definition.format, rules);
                Ok((id, request))
            })
            .collect()
    }

    fn load_universe(&self, name: &str, fetcher: &Fetcher) -> Result<Universe> {
        let (definition, _) = self.universe(name)?;
        let settings = &self.settings;
        settings.reporter.step(&format!("reading {name}"));
        let keys = definition.keys();
        let keys = keys.map(|key| Ok((key.to_owned(), settings.catalog.text(&format!("keys/{key}"))?))).collect::<Result<_>>()?;
        let universe = calypte_universe::load(definition, &keys, &settings.store, fetcher, settings.now)?;
        for repository in universe.repositories.iter().filter(|repository| repository.stale) {
            let until = repository.valid_until.map_or_else(String::new, |until| format!(" (it was valid until {until})"));
            settings.reporter.warn(&format!(
                "{name}: the index of {} is out of date{until}: the mirror is stale, security fixes may be missing; the lock records this",
                repository.name
            ));
        }
        Ok(universe)
    }

    /// Chooses the packages of every image of a family; the packages' dates are not known yet.
    fn resolve_family(&self, family: &str, universe: &Universe, rules: &Rules) -> Result<Lock> {
        self.settings.reporter.step(&format!("resolving {family}"));
        let requests = self.requests(family, &universe.definition.universe)?;
        let mut packages = BTreeMap::new();
        for (architecture, index) in &universe.packages {
            let mut chosen: BTreeMap<String, LockedPackage> = BTreeMap::new();
            for (id, request) in &requests {
                let resolution = resolve(index, request).with_context(|| format!("{id} for {architecture}"))?;
                for selected in resolution.packages {
                    let record = index.get(selected.record);
                    merge(&mut chosen, record, &id.key(), selected.by).with_context(|| format!("{id} for {architecture}"))?;
                }
            }
            packages.insert(*architecture, chosen.into_values().collect());
        }
        let _ = rules;
        Ok(Lock {
            schema: SCHEMA,
            family: family.to_owned(),
            universe: universe.definition.universe.clone(),
            repositories: universe.repositories.iter().map(LockedRepository::from).collect(),
            images: requests.iter().map(|(id, request)| (id.key(), request.digest())).collect(),
            packages,
        })
    }
}
