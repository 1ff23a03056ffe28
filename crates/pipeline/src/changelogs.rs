//! The changelogs of the archive itself as a feed: which flaws the packages of a universe have fixed, by now and in the
//! versions that locks name. It needs no tracker, and is as fresh as the mirror.
//!
//! One package of each source package is read: the sources of all that is locked, in their newest version, and in the
//! locked one where that differs. So the cost is that of what changed since.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use calypte_advisory::versions::Scheme;
use calypte_advisory::{Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Status};
use calypte_base::{Epoch, PackageFormat};
use calypte_formats::changelog::NamedFix;
use calypte_resolve::LockedPackage;
use calypte_rootfs::assemble::package_file;
use calypte_rootfs::unpack;
use calypte_sbom::evidence;
use calypte_store::Contents;
use calypte_universe::definition::Layout;
use calypte_universe::{PackageRecord, Universe, UniverseDefinition};

use crate::factory::Factory;
use crate::lock::locked_package;

/// Packages read between two looks at whether the user wants to stop.
const READ_AT_ONCE: usize = 32;

/// What the changelogs of a universe say.
#[derive(Debug, Clone)]
pub struct Changelogs {
    /// One for each flaw and source package.
    pub advisories: Vec<Advisory>,
    /// The date of the newest index that was read.
    pub date: Option<Epoch>,
}

/// The fixes of each source package: flaw → the version that names it first.
type Fixes = BTreeMap<String, BTreeMap<String, NamedFix>>;

impl Factory<'_> {
    /// Reads the changelogs of all source packages that the locks of a universe name.
    ///
    /// # Errors
    /// When the universe or a package cannot be fetched or read.
    pub fn changelogs(&self, universe: &str) -> Result<Changelogs> {
        let (definition, _) = self.universe(universe)?;
        let mut locked = BTreeMap::new();
        for family in self.families(&[], universe)? {
            let lock = self.settings.catalog.read_lock(universe, &family)?;
            for package in lock.into_iter().flat_map(|lock| lock.packages.into_values().flatten()) {
                locked.insert((package.id.clone(), package.architecture.clone()), package);
            }
        }
        let loaded = self.load_universe(universe)?;
        let (packages, records) = to_read(locked.values(), &loaded);
        self.fetch_with(&loaded.fetcher(&self.fetcher(definition)), definition, &packages)?;
        let keys = self.keys(definition)?;
        calypte_universe::vouch(definition, &keys, self.store(), &records, self.settings.now)?;
        let scheme = match definition.format {
            PackageFormat::Deb => Scheme::Deb,
            PackageFormat::Rpm => Scheme::Rpm,
        };
        let fixes = self.fixes_of(&packages, scheme)?;
        Ok(Changelogs {
            advisories: advisories(&fixes, &ecosystem(definition)),
            date: loaded.repositories.iter().map(|repository| repository.date).max(),
        })
    }

    fn fixes_of(&self, packages: &[LockedPackage], scheme: Scheme) -> Result<Fixes> {
        let mut fixes = Fixes::new();
        let mut newest: BTreeMap<String, String> = BTreeMap::new();
        self.settings.reporter.step("reading changelogs");
        for (place, package) in packages.iter().enumerate() {
            if place % READ_AT_ONCE == 0 {
                self.stop_if_interrupted()?;
            }
            let found = self.evidence_of_file(package)?;
            // The newest changelog alone: it repeats the older ones, and knows what was reverted since.
            let version = &package.source_version;
            let newest = newest.entry(package.source.clone()).or_insert_with(|| version.clone());
            let order = scheme.compare(version, newest);
            if order.is_ok_and(Ordering::is_ge) {
                newest.clone_from(version);
                fixes.insert(package.source.clone(), found.fixes);
            }
        }
        Ok(fixes)
    }

    fn evidence_of_file(&self, package: &LockedPackage) -> Result<evidence::PackageEvidence> {
        let unpacked = unpack::unpack(self.store(), &package_file(package))?;
        let mut contents = Contents::new();
        unpacked.add_to(&mut contents)?;
        crate::bill::evidence(&unpacked.package, &contents, self.store())
    }
}

/// One package of each source in its newest version, and one of each locked version that differs; older ones first. Of the
/// packages of a source the smallest is taken: all have the same changelog.
fn to_read<'l, 'u>(
    locked: impl Iterator<Item = &'l LockedPackage>,
    universe: &'u Universe,
) -> (Vec<LockedPackage>, Vec<PackageRecord<'u>>) {
    let mut chosen: BTreeMap<(String, String), LockedPackage> = BTreeMap::new();
    let mut records: BTreeMap<(String, String), PackageRecord<'u>> = BTreeMap::new();
    let mut choose = |package: LockedPackage| {
        let key = (package.source.clone(), package.source_version.clone());
        if chosen.get(&key).is_none_or(|before| package.size < before.size) {
            chosen.insert(key.clone(), package);
            return Some(key);
        }
        None
    };
    for package in locked {
        choose(package.clone());
        for index in universe.packages.values() {
            let Some(newest) = index.named(&package.id).next().map(|id| index.record(id)) else { continue };
            if newest.source_version == package.source_version || newest.source != package.source {
                continue;
            }
            if let Some(key) = choose(locked_package(&newest)) {
                records.insert(key, newest);
            }
        }
    }
    (chosen.into_values().collect(), records.into_values().collect())
}

/// The ecosystem whose advisories a universe's own are.
pub(crate) fn ecosystem(definition: &UniverseDefinition) -> Ecosystem {
    let codename = definition.repositories.iter().find_map(|repository| match &repository.layout {
        Layout::Deb(layout) => Some(layout.codename.clone()),
        Layout::Rpm(_) => None,
    });
    match definition.format {
        PackageFormat::Deb => Ecosystem::Debian(codename),
        PackageFormat::Rpm => Ecosystem::Fedora(definition.rolling.then(|| "rawhide".to_owned())),
    }
}

fn advisories(fixes: &Fixes, ecosystem: &Ecosystem) -> Vec<Advisory> {
    let mut by_flaw: BTreeMap<&str, Vec<(&str, &NamedFix)>> = BTreeMap::new();
    for (source, flaws) in fixes {
        for (flaw, fix) in flaws {
            by_flaw.entry(flaw).or_default().push((source, fix));
        }
    }
    let affected = |source: &str, fix: &NamedFix| Affected {
        ecosystem: ecosystem.clone(),
        package: source.to_owned(),
        role: PackageRole::Source,
        ranges: vec![Range {
            kind: RangeKind::Ecosystem,
            events: vec![Event::Introduced("0".to_owned()), Event::Fixed(fix.version.clone())],
        }],
        versions: BTreeSet::new(),
        status: Status::Affected,
        architectures: BTreeSet::new(),
        module: None,
        severities: Vec::new(),
        imports: BTreeSet::new(),
    };
    let advisory = |(flaw, sources): (&str, Vec<(&str, &NamedFix)>)| Advisory {
        id: flaw.to_owned(),
        aliases: BTreeSet::new(),
        published: sources.iter().filter_map(|(_, fix)| fix.date).min(),
        modified: sources.iter().filter_map(|(_, fix)| fix.date).max(),
        withdrawn: None,
        summary: String::new(),
        severities: Vec::new(),
        affected: sources.iter().map(|(source, fix)| affected(source, fix)).collect(),
        references: Vec::new(),
    };
    by_flaw.into_iter().map(advisory).collect()
}
