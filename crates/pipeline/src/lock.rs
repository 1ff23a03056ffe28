//! Locking: universe → resolution of every image → packages fetched, unpacked and their scripts looked up → lock.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use calypte_base::{Digest, Epoch};
use calypte_definition::ImageId;
use calypte_resolve::{Blocked, Lock, LockedPackage, Request, resolve};
use calypte_rootfs::assemble::package_file;
use calypte_rootfs::{UnpackedPackage, scripts, unpack};
use calypte_universe::{PackageRecord, Rules, SecurityUpdate, Universe, UniverseDefinition};
use serde::Serialize;

use crate::diff::{PackageChange, Side, diff};
use crate::factory::Factory;
use crate::hints::hinted;

/// Packages unpacked between two looks at whether the user wants to stop.
const INSPECTED_AT_ONCE: usize = 32;

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
    /// The security advisories that the changed packages bring, as far as the universe's repositories tell of any.
    pub advisories: Vec<Brought>,
}

/// A security advisory that a new version of a package brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brought {
    /// The advisory (`FEDORA-2026-0123456789`).
    pub advisory: String,
    /// How grave it is, in the publisher's words; empty when it does not say.
    pub severity: String,
    /// The vulnerabilities that it names.
    pub vulnerabilities: BTreeSet<String>,
    /// The package.
    pub package: String,
    /// Its new version.
    pub version: String,
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
        let universe = self.load_universe(universe)?;
        let (mut locks, mut records) = (Vec::new(), Vec::new());
        for family in families {
            locks.push(self.resolve_family(family, &universe, &mut records)?);
        }
        let packages = locks.iter().flat_map(|lock| lock.packages.values().flatten());
        self.fetch_with(&universe.fetcher(&self.fetcher(definition)), definition, packages)?;
        let (keys, now) = (self.keys(definition)?, self.settings.now);
        calypte_universe::vouch(definition, &keys, self.store(), &records, now)?;
        self.inspect(&mut locks, definition, rules)?;
        for lock in &mut locks {
            lock.images = self.seals(lock)?;
        }
        locks.iter().map(|lock| self.save(lock, &universe.updates)).collect()
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
        let wanted = self.seals(lock)?;
        if let Some(gone) = lock.images.keys().find(|key| !wanted.contains_key(*key)) {
            return Ok(Some(format!("holds image `{gone}`, which the definition does not have")));
        }
        for (key, seal) in &wanted {
            match lock.images.get(key) {
                None => return Ok(Some(format!("does not hold image `{key}`"))),
                Some(written) if written != seal => {
                    let text = "is not what its definition asks for, or was changed by hand";
                    return Ok(Some(format!("{text} (image `{key}`)")));
                }
                Some(_) => {}
            }
        }
        let architectures = &self.universe(&lock.universe)?.0.architectures;
        let missing = architectures.iter().find(|architecture| !lock.packages.contains_key(architecture));
        Ok(missing.map(|architecture| format!("has no packages for {architecture}")))
    }

    /// The seal of each image that the family has: the digest of what its definition asks for and of the packages that
    /// the lock gives it. Neither can change without the other being looked at again.
    pub(crate) fn seals(&self, lock: &Lock) -> Result<BTreeMap<String, Digest>> {
        let format = self.universe(&lock.universe)?.0.format;
        let mut seals = BTreeMap::new();
        for (id, request) in self.requests(&lock.family, &lock.universe)? {
            let key = id.key();
            let mut packages = BTreeMap::new();
            for architecture in lock.packages.keys() {
                let given = lock.packages_of(*architecture, &key).collect::<Vec<_>>();
                packages.insert(architecture, given);
            }
            let chosen: BTreeSet<&str> =
                packages.values().flatten().map(|package| package.id.as_str()).collect();
            let sealed =
                serde_json::to_vec(&(request.digest(format, &chosen), packages, &lock.repositories))?;
            seals.insert(key, Digest::of(&sealed));
        }
        Ok(seals)
    }

    /// What each image of a family asks the resolver for, whatever is blocked.
    fn requests(&self, family: &str, universe: &str) -> Result<BTreeMap<ImageId, Request<'_>>> {
        let (definition, rules) = self.universe(universe)?;
        let images = self.images.images_in(family, universe).into_iter();
        images
            .map(|id| {
                let image = self.images.image(&id)?;
                let packages = image.packages_of(definition.format).map(str::to_owned).collect();
                let (prefer, blocked) = (image.prefer.clone(), Blocked::new());
                let request = Request { packages, prefer, assumed: &rules.assumed, blocked };
                Ok((id, request))
            })
            .collect()
    }

    pub(crate) fn load_universe(&self, name: &str) -> Result<Universe> {
        let (definition, _) = self.universe(name)?;
        let fetcher = self.fetcher(definition);
        let settings = &self.settings;
        settings.reporter.step(&format!("reading {name}"));
        let keys = self.keys(definition)?;
        let downloads = settings.reporter.downloads();
        let universe = calypte_universe::load(definition, &keys, &fetcher, settings.now, downloads)?;
        for repository in universe.repositories.iter().filter(|repository| repository.stale) {
            let until = repository
                .valid_until
                .map_or_else(String::new, |until| format!(" (it was valid until {until})"));
            let architecture = repository
                .architecture
                .map_or_else(String::new, |architecture| format!(" for {architecture}"));
            settings.reporter.warn(&format!(
                "{name}: the index of {}{architecture} is out of date{until}: the mirror is stale, security fixes may be missing; the lock records this",
                repository.name
            ));
        }
        Ok(universe)
    }

    /// The texts of the keys that a universe accepts.
    pub(crate) fn keys(&self, definition: &UniverseDefinition) -> Result<BTreeMap<String, String>> {
        let key = |name: &str| Ok((name.to_owned(), self.settings.catalog.text(&format!("keys/{name}"))?));
        definition.keys().map(key).collect()
    }

    /// Chooses the packages of every image of a family; the packages' dates are not known yet. Adds what the indexes say
    /// of them to `records`.
    pub(crate) fn resolve_family<'u>(
        &self,
        family: &str,
        universe: &'u Universe,
        records: &mut Vec<PackageRecord<'u>>,
    ) -> Result<Lock> {
        let mut requests = self.requests(family, &universe.definition.universe)?;
        let blocked = self.blocked()?;
        requests.values_mut().for_each(|request| request.blocked.clone_from(&blocked));
        let mut packages = BTreeMap::new();
        for (architecture, index) in &universe.packages {
            self.settings.reporter.step(&format!("resolving {family} for {architecture}"));
            // By name and version: two streams may take two versions of one package.
            let mut chosen: BTreeMap<(&str, &str), LockedPackage> = BTreeMap::new();
            for (id, request) in &requests {
                let resolution =
                    resolve(index, request).with_context(|| format!("{id} for {architecture}"))?;
                for selected in resolution.packages {
                    let record = selected.record;
                    let locked = chosen.entry((record.name, record.version)).or_insert_with(|| {
                        records.push(record);
                        locked_package(&record)
                    });
                    locked.r#in.insert(id.key());
                    locked.by.extend(selected.by.into_iter().map(str::to_owned));
                }
            }
            packages.insert(*architecture, chosen.into_values().collect());
        }
        Ok(Lock {
            schema: SCHEMA,
            family: family.to_owned(),
            universe: universe.definition.universe.clone(),
            repositories: universe.repositories.clone(),
            images: BTreeMap::new(),
            packages,
        })
    }

    /// Unpacks every package, to learn its date and to look up its maintainer scripts.
    pub(crate) fn inspect(
        &self,
        locks: &mut [Lock],
        definition: &UniverseDefinition,
        rules: &Rules,
    ) -> Result<()> {
        self.settings.reporter.step("reading packages");
        let all: BTreeMap<Digest, &LockedPackage> = locks
            .iter()
            .flat_map(|lock| lock.packages.values().flatten())
            .map(|package| (package.sha256, package))
            .collect();
        let files: Vec<_> = all.into_values().map(package_file).collect();
        let mut dates = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for files in files.chunks(INSPECTED_AT_ONCE) {
            self.stop_if_interrupted()?;
            for unpacked in unpack::unpack_all(self.store(), files)? {
                let package = unpacked.package;
                dates.insert(package.digest, package.date);
                unknown.extend(unknown_scripts(&package, rules));
            }
        }
        self.refuse(definition, unknown)?;
        for package in locks.iter_mut().flat_map(|lock| lock.packages.values_mut().flatten()) {
            package.date = dates.get(&package.sha256).copied().unwrap_or_default();
        }
        Ok(())
    }

    /// As locking does: a lock from elsewhere, or a review that was withdrawn, must not get around the table.
    pub(crate) fn refuse_unknown_scripts(
        &self,
        packages: &[UnpackedPackage],
        (definition, rules): &(UniverseDefinition, Rules),
    ) -> Result<()> {
        self.refuse(definition, packages.iter().flat_map(|package| unknown_scripts(package, rules)).collect())
    }

    fn refuse(&self, definition: &UniverseDefinition, unknown: BTreeSet<String>) -> Result<()> {
        if unknown.is_empty() {
            return Ok(());
        }
        let table = self.settings.catalog.shown(&format!("universes/{}/scripts.yaml", definition.rules));
        Err(unreviewed(definition, &table, &unknown))
    }

    fn save(&self, lock: &Lock, updates: &BTreeSet<SecurityUpdate>) -> Result<LockChange> {
        // A lock that cannot be read any more is replaced; nothing in it is worth keeping.
        let before = self.settings.catalog.read_lock(&lock.universe, &lock.family).ok().flatten();
        self.settings.catalog.write_lock(lock)?;
        let is_new = before.is_none();
        let changes = before.as_ref().map_or_else(Vec::new, |before| changes(before, lock));
        Ok(LockChange {
            advisories: brought(&changes, updates),
            family: lock.family.clone(),
            is_new,
            images: lock.images.len(),
            packages: lock.packages.values().map(Vec::len).sum(),
            download_size: lock.packages.values().flatten().map(|package| package.size).sum(),
            changes,
        })
    }
}

/// The packages that differ between two locks of a family, all architectures together.
#[must_use]
pub fn changes(before: &Lock, after: &Lock) -> Vec<PackageChange> {
    let side = |lock: &Lock| Side {
        packages: lock
            .packages
            .values()
            .flatten()
            .map(|package| (package.id.clone(), package.version.clone()))
            .collect(),
        ..Side::default()
    };
    diff(&side(before), &side(after)).packages
}

/// The advisories that are about the new versions of packages.
fn brought(changes: &[PackageChange], updates: &BTreeSet<SecurityUpdate>) -> Vec<Brought> {
    let mut all = Vec::new();
    for PackageChange { name, from, to } in changes {
        let (Some(_), Some(version)) = (from, to) else { continue };
        let package = (name.clone(), version.clone());
        for update in updates.iter().filter(|update| update.packages.contains(&package)) {
            all.push(Brought {
                advisory: update.id.clone(),
                severity: update.severity.clone(),
                vulnerabilities: update.vulnerabilities.clone(),
                package: name.clone(),
                version: version.clone(),
            });
        }
    }
    all
}

/// The scripts of a package that are not in the reviewed table, each with its text and the entry to add.
fn unknown_scripts(package: &UnpackedPackage, rules: &Rules) -> Vec<String> {
    let unknown = scripts::classify(&rules.scripts, package).err().unwrap_or_default();
    unknown.iter().map(ToString::to_string).collect()
}

/// The refusal of scripts that are not in the table.
fn unreviewed(definition: &UniverseDefinition, table: &str, unknown: &BTreeSet<String>) -> anyhow::Error {
    let (one, several) = definition.scripts_name();
    let (count, texts) = (unknown.len(), unknown.iter().map(String::as_str).collect::<Vec<_>>().join("\n\n"));
    let name = if count == 1 { one } else { several };
    hinted(
        format!("{count} {name} that nobody has reviewed:\n\n{texts}"),
        format!(
            "read each {one}, and add the entry below it to {table} with its verdict once you know what it does"
        ),
    )
}

/// A package as a lock names it; its date is not known before it is unpacked.
pub(crate) fn locked_package(record: &PackageRecord<'_>) -> LockedPackage {
    LockedPackage {
        id: record.name.to_owned(),
        version: record.version.to_owned(),
        architecture: record.architecture.to_owned(),
        source: record.source.to_owned(),
        source_version: record.source_version.to_owned(),
        repository: record.repository.to_owned(),
        url: record.path.to_owned(),
        size: record.size,
        sha256: record.sha256,
        date: Epoch::default(),
        r#in: BTreeSet::new(),
        by: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calypte_rootfs::scripts::UnknownScript;
    use calypte_universe::rules::{MaintainerScript, Scripts};

    #[test]
    fn an_entry_that_is_pasted_unread_is_no_review() {
        let text = include_str!("../../../catalog/universes/fedora-rawhide.yaml");
        let definition = UniverseDefinition::parse("fedora-rawhide.yaml", text).unwrap();
        let script = UnknownScript {
            package: "nginx-core".to_owned(),
            version: "1-1".to_owned(),
            script: MaintainerScript::Post,
            sha256: Digest::of(b"script"),
            text: Some("#!/bin/sh\nkill -USR2 1\n".to_owned()),
        };
        let error =
            unreviewed(&definition, "catalog/universes/fedora/scripts.yaml", &[script.to_string()].into());
        let text = error.to_string();
        assert!(
            text.starts_with("1 scriptlet that nobody has reviewed:\n\nthe post of nginx-core 1-1"),
            "{text}"
        );
        let hint = crate::hint(&error).unwrap();
        assert!(hint.contains("add the entry below it to catalog/universes/fedora/scripts.yaml"), "{hint}");
        let entry = &text[text.find("- package:").unwrap()..];
        let parse = |entry: &str| calypte_definition::yaml::from_str::<Scripts>("scripts.yaml", entry);
        assert!(parse(entry).unwrap_err().to_string().contains("verdict"), "{entry}");
        assert_eq!(parse(&entry.replace("verdict:", "verdict: no-op")).unwrap().0.len(), 1);
    }
}
