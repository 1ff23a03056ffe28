//! Which images a change concerns, exactly: those whose machines' images would be made from other inputs than what is
//! published.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use calypte_advisory::database::Database;
use calypte_advisory::{Finding, FixState};
use calypte_base::version::{DebVersion, RpmVersion};
use calypte_base::{Architecture, Epoch, PackageFormat};
use calypte_definition::ImageId;
use calypte_pipeline::Factory;
use calypte_pipeline::propose::Proposal;
use calypte_resolve::{Lock, LockedPackage, ResolveError};
use calypte_store::FetchError;

use crate::report::{Fixed, Held};
use crate::risk::Class;
use crate::run::is_around;
use crate::state::{Dirty, State};

/// What is to be done in a universe.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The keys that are dirty now.
    pub dirty: Vec<Dirty>,
    /// The keys that are in the queue and no longer dirty.
    pub clean: Vec<(String, Architecture)>,
    /// The flaws that images lose, by image.
    pub fixes: Vec<(String, Fixed)>,
    /// The locks to be written.
    pub locks: Vec<Lock>,
    /// The families that keep their locks.
    pub held: Vec<Held>,
    /// Of these, those that could not be locked.
    pub failed: usize,
    /// Images of all families that have a lock.
    pub images: BTreeMap<String, ImageId>,
    /// How many images are as they are published.
    pub fresh: usize,
}

/// What planning looks at.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    pub factory: &'a Factory<'a>,
    pub universe: &'a str,
    pub state: &'a State,
    pub database: Option<&'a Database>,
    pub now: Epoch,
}

impl Plan {
    /// A family keeps its lock. Network and disk that fail say nothing of it, and nothing of the universe; nor does a version
    /// that is blocked. That no mirror has a package does.
    fn hold(&mut self, family: String, error: &anyhow::Error) {
        let is_gone = error.chain().any(|cause| cause.downcast_ref().is_some_and(FetchError::is_gone));
        let is_block =
            error.chain().any(|cause| cause.downcast_ref().is_some_and(ResolveError::is_for_a_block));
        self.failed += usize::from(is_gone || !(is_around(error) || is_block));
        self.held.push(Held { family, reason: shown(error) });
    }
}

impl Planner<'_> {
    pub fn plan(&self, proposals: Vec<Proposal>) -> Result<Plan> {
        let mut plan = Plan::default();
        for proposal in proposals {
            let family = proposal.family.clone();
            let lock = match self.chosen(proposal, &mut plan) {
                Ok(Some(lock)) => lock,
                Ok(None) => continue,
                Err(error) => {
                    plan.hold(family, &error);
                    continue;
                }
            };
            for image in self.factory.images_of(&family, self.universe) {
                self.image(&image, &lock, &mut plan)?;
            }
        }
        plan.clean = self.clean(&plan)?;
        let count = u32::try_from(plan.dirty.len()).unwrap_or(u32::MAX);
        let mut by_reason: BTreeMap<String, u32> = BTreeMap::new();
        for key in &plan.dirty {
            *by_reason.entry(key.reason.clone()).or_default() += 1;
        }
        for key in &mut plan.dirty {
            key.fan_out = by_reason.get(&key.reason).copied().unwrap_or(count);
        }
        Ok(plan)
    }

    /// The keys in the queue of images that were looked at and for which nothing is to be done: they are as they are published,
    /// or their lock no longer has the architecture.
    fn clean(&self, plan: &Plan) -> Result<Vec<(String, Architecture)>> {
        let dirty: BTreeSet<(&str, Architecture)> =
            plan.dirty.iter().map(|key| (key.image.as_str(), key.architecture)).collect();
        let queued = self.state.dirty(self.universe)?.into_iter().map(|key| (key.image, key.architecture));
        let is_clean = |(image, architecture): &(String, Architecture)| {
            plan.images.contains_key(image) && !dirty.contains(&(image.as_str(), *architecture))
        };
        Ok(queued.filter(is_clean).collect())
    }

    /// The lock that a family gets or keeps; none where it has none.
    fn chosen(&self, proposal: Proposal, plan: &mut Plan) -> Result<Option<Lock>> {
        let Proposal { family, current, proposed } = proposal;
        let proposed = match (proposed, &current) {
            (Ok(proposed), _) => proposed,
            (Err(error), Some(_)) => {
                plan.hold(family, &error);
                return Ok(current);
            }
            (Err(error), None) => return Err(error),
        };
        match current {
            Some(current) if !self.is_news(&current, &proposed)? => Ok(Some(current)),
            _ => {
                plan.locks.push(proposed.clone());
                Ok(Some(proposed))
            }
        }
    }

    /// Whether a new lock is more than the same packages from an index that was written anew. One from an index that has
    /// aged is worth writing: the gate asks how old it is.
    fn is_news(&self, current: &Lock, proposed: &Lock) -> Result<bool> {
        const OLD: i64 = 86_400;
        let oldest = |lock: &Lock| lock.repositories.iter().map(|it| it.date.0).min().unwrap_or_default();
        let is_stale = |lock: &Lock| lock.repositories.iter().any(|it| it.stale);
        if current.packages != proposed.packages
            || is_stale(current) != is_stale(proposed)
            || oldest(proposed) - oldest(current) > OLD
        {
            return Ok(true);
        }
        Ok(current.images.keys().ne(proposed.images.keys()))
    }

    fn image(&self, image: &ImageId, lock: &Lock, plan: &mut Plan) -> Result<()> {
        let name = image.to_string();
        plan.images.insert(name.clone(), image.clone());
        let before = self.state.machines(self.universe, &name)?;
        let mut is_fresh = true;
        for architecture in lock.packages.keys().copied() {
            let key = self.factory.build_key(lock, image, architecture)?;
            if before.get(&architecture).is_some_and(|machine| machine.key == key) {
                continue;
            }
            is_fresh = false;
            let is_new = !before.contains_key(&architecture);
            let changed = if is_new { BTreeSet::new() } else { self.changed(image, lock, architecture)? };
            let fixes = if is_new { Vec::new() } else { self.fixes(image, lock, architecture, &changed)? };
            let class = fixes.iter().map(|(fix, exploited)| Class::of(&fix.severity, *exploited)).min();
            plan.dirty.push(Dirty {
                image: name.clone(),
                architecture,
                key,
                since: self.now,
                reason: reason(is_new, &fixes, &changed),
                class: class.unwrap_or(Class::Schedule),
                fan_out: 1,
            });
            plan.fixes.extend(fixes.into_iter().map(|(fix, _)| (name.clone(), fix)));
        }
        plan.fresh += usize::from(is_fresh);
        Ok(())
    }

    /// The packages of an image that a new lock changes.
    fn changed(&self, image: &ImageId, lock: &Lock, architecture: Architecture) -> Result<BTreeSet<String>> {
        let Ok(current) = self.factory.lock_of(self.universe, &image.family) else {
            return Ok(BTreeSet::new());
        };
        let of = |lock: &Lock| -> BTreeMap<String, String> {
            let name = image.key();
            let packages = lock.packages_of(architecture, &name);
            packages.map(|package| (package.id.clone(), package.version.clone())).collect()
        };
        let (before, after) = (of(&current), of(lock));
        let names = before.keys().chain(after.keys());
        Ok(names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect())
    }

    /// The flaws that an image has now, with fixes that the changed packages bring; whether each is exploited.
    fn fixes(
        &self,
        image: &ImageId,
        lock: &Lock,
        architecture: Architecture,
        changed: &BTreeSet<String>,
    ) -> Result<Vec<(Fixed, bool)>> {
        let Some(database) = self.database.filter(|_| !changed.is_empty()) else { return Ok(Vec::new()) };
        let report = self.factory.scanned(image, self.universe, architecture, database)?;
        // A fix that no feed dates was there when the index that brings it was made, at the latest.
        let index = lock.repositories.iter().map(|it| it.date).max().unwrap_or(self.now);
        let format = self.factory.universe(self.universe)?.0.format;
        let name = image.key();
        let with_fix = report.findings.iter().filter(|finding| {
            let mut packages = lock.packages_of(architecture, &name);
            changed.contains(&finding.name)
                && packages.any(|package| package.id == finding.name && has_fix(finding, package, format))
        });
        let fix = |finding: &Finding| {
            let fix = Fixed {
                flaw: finding.vulnerability.clone(),
                package: finding.name.clone(),
                version: finding.version.clone(),
                severity: finding.severity.clone(),
                architecture,
                available: finding.fix_since.unwrap_or(index),
                published: None,
            };
            (fix, finding.exploited.is_some())
        };
        Ok(with_fix.map(fix).collect())
    }
}

/// Whether a package has the fix of a finding: by the version that the finding compared, its own or its source's.
fn has_fix(finding: &Finding, package: &LockedPackage, format: PackageFormat) -> bool {
    let FixState::Fixed(versions) = &finding.state else { return false };
    let own = if finding.matched == package.id { &package.version } else { &package.source_version };
    let is_at_least = |fixed: &String| match format {
        PackageFormat::Deb => match (own.parse::<DebVersion>(), fixed.parse::<DebVersion>()) {
            (Ok(own), Ok(fixed)) => own >= fixed,
            _ => false,
        },
        PackageFormat::Rpm => match (RpmVersion::parse(own), RpmVersion::parse(fixed)) {
            (Ok(own), Ok(fixed)) => own >= fixed,
            _ => false,
        },
    };
    versions.iter().any(is_at_least)
}

fn reason(is_new: bool, fixes: &[(Fixed, bool)], changed: &BTreeSet<String>) -> String {
    let names: BTreeSet<&str> = fixes.iter().map(|(fix, _)| fix.flaw.as_str()).collect();
    let join = |names: Vec<&str>| match names.as_slice() {
        few if few.len() <= 4 => few.join(", "),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
        _ => String::new(),
    };
    match (is_new, names.is_empty(), changed.is_empty()) {
        (true, _, _) => "not published yet".to_owned(),
        (false, false, _) => format!("fixes {}", join(names.into_iter().collect())),
        (false, true, false) => format!("new: {}", join(changed.iter().map(String::as_str).collect())),
        (false, true, true) => "its definition, its rules or this program changed".to_owned(),
    }
}

/// An error with its cure, in one text.
pub(crate) fn shown(error: &anyhow::Error) -> String {
    let cure = calypte_pipeline::hint(error).map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    format!("{error:#}{cure}")
}
