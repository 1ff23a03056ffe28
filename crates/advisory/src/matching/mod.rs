//! A bill of materials and the database of advisories → findings, and whether these are all.
//!
//! The result depends on the arguments alone. What is not known is said: a component about whose ecosystem no source that
//! is fresh enough tells makes the result unknown, a version that cannot be compared is named as a gap.

mod examine;
mod explain;
mod merge;
mod range;
mod settled;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod weigh;

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use calypte_sbom::{FileOwner, PackageKind, Sbom};
use serde::{Deserialize, Serialize};

pub use explain::{Explanation, explain};
pub use settled::{Settled, settled};
pub use weigh::Rule;

pub(crate) use examine::{Examiner, Looking, OwnFixes, flaws};
pub(crate) use target::{Target, worlds};
pub(crate) use weigh::{Traits, Weighed, weigh};

use crate::Fixes;
use crate::database::{Database, DatabaseError, StoredSource, covers};
use crate::finding::Finding;
use crate::model::{Ecosystem, SourceName};

/// How to scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The time by which the age of sources is told.
    pub now: Epoch,
    /// Most files that are listed for a finding.
    pub most_files: usize,
}

impl Options {
    /// The usual ones.
    #[must_use]
    pub const fn new(now: Epoch) -> Self {
        Self { now, most_files: 20 }
    }
}

/// What a scan says on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No finding counts, and all that is in the image was looked up.
    Clean,
    /// Some findings count; whether these are all, [`Scan::unknown`] says.
    Found,
    /// No finding counts, and not all that is in the image could be looked up.
    Unknown,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// By component and flaw.
    pub findings: Vec<Finding>,
    /// The sources that tell of what is in the image, by name.
    pub feeds: Vec<FeedAge>,
    /// Why findings may be missing: what no source, or only one that is too old, tells about. Empty when nothing is.
    pub unknown: Vec<String>,
    /// What could not be compared.
    pub gaps: Vec<Gap>,
}

impl Scan {
    /// What it says on the whole; findings that are suppressed do not count.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.findings.iter().any(|finding| finding.suppressed.is_none()) {
            Verdict::Found
        } else if self.unknown.is_empty() {
            Verdict::Clean
        } else {
            Verdict::Unknown
        }
    }
}

/// How old a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedAge {
    /// The source.
    pub source: SourceName,
    /// Where it comes from.
    pub url: String,
    /// Of what date its content is, where it says so.
    pub date: Option<Epoch>,
    /// When it was last seen to be unchanged, or imported.
    pub checked: Epoch,
    /// Its age in days.
    pub age_days: i64,
    /// From how many days on it is too old.
    pub max_age_days: u32,
    /// Whether it is.
    pub stale: bool,
    /// How many advisories, scores or known exploits it has.
    pub entries: u64,
}

impl FeedAge {
    fn new(source: &StoredSource, now: Epoch) -> Self {
        Self {
            source: SourceName(source.source.name.clone()),
            url: source.source.url.clone(),
            date: source.date,
            checked: source.checked,
            age_days: source.age_days(now),
            max_age_days: source.source.max_age_days,
            stale: source.is_stale(now),
            entries: source.advisories + source.scores + source.exploits,
        }
    }
}

/// Something that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The component.
    pub component: String,
    /// The advisory, where it is about one.
    pub advisory: Option<String>,
    /// Why not.
    pub reason: String,
}

/// Looks up all components.
///
/// # Errors
/// When the database cannot be read.
pub fn scan(
    sbom: &Sbom,
    fixes: &Fixes,
    database: &Database,
    options: &Options,
) -> Result<Scan, DatabaseError> {
    let mut examiner = Examiner::new(database)?;
    let mut known = Known::new(&examiner, options.now);
    let mut findings = Vec::new();
    let mut gaps = BTreeSet::new();
    // The language packages of a distribution's packages are matched by these alone.
    for component in sbom.components.values().filter(|component| component.part_of.is_none()) {
        let gap = |advisory, reason| Gap { component: component.id.clone(), advisory, reason };
        let target = Target::new(component);
        if let Some(reason) = target.without_version() {
            gaps.insert(gap(None, reason));
            continue;
        }
        let worlds = match worlds(component.kind, sbom.distribution.as_ref()) {
            Ok(worlds) => worlds,
            Err(why) => {
                known.nothing(why);
                continue;
            }
        };
        known.look_up(component.kind, &worlds);
        let claims = examiner.examine(&target, &worlds, fixes.get(&component.id), Looking::ForMatches)?;
        for claim in claims.iter().filter(|claim| claim.weighed.rule == Rule::Uncomparable) {
            gaps.insert(gap(Some(claim.header.id.clone()), claim.weighed.why.clone()));
        }
        let counting = claims.into_iter().filter(|claim| claim.weighed.rule == Rule::InRange).collect();
        findings.extend(merge::findings(component, counting, &examiner, database)?);
    }
    if sbom.components.is_empty() && !sbom.files.is_empty() {
        known.no_packages(sbom.files.len());
    }
    add_files(&mut findings, sbom, options.most_files);
    findings.sort_by(|left, right| {
        (&left.component, &left.vulnerability).cmp(&(&right.component, &right.vulnerability))
    });
    let feeds = known.feeds(&examiner);
    Ok(Scan { findings, feeds, unknown: known.reasons(), gaps: gaps.into_iter().collect() })
}

/// Which sources tell about what is in the image, and what none tells about.
#[derive(Debug)]
struct Known {
    now: Epoch,
    sources: Vec<StoredSource>,
    /// The sources that matter, by number.
    matter: BTreeSet<i64>,
    /// The keys of worlds that were looked up, and why nothing can be said of each, if so.
    asked: BTreeMap<Vec<String>, Option<String>>,
    /// What is missing: why, and of how many components.
    missing: BTreeMap<String, usize>,
}

impl Known {
    fn new(examiner: &Examiner<'_>, now: Epoch) -> Self {
        Self {
            now,
            sources: examiner.sources.values().cloned().collect(),
            matter: BTreeSet::new(),
            asked: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    fn nothing(&mut self, why: String) {
        *self.missing.entry(why).or_default() += 1;
    }

    fn no_packages(&mut self, files: usize) {
        self.missing.insert(format!("none of the {files} files is known to belong to a package"), 0);
    }

    fn look_up(&mut self, kind: PackageKind, worlds: &[Ecosystem]) {
        let keys: Vec<String> = worlds.iter().map(Ecosystem::key).collect();
        let why = match self.asked.get(&keys) {
            Some(why) => why.clone(),
            None => {
                let why = self.ask(kind, &keys);
                self.asked.insert(keys, why.clone());
                why
            }
        };
        if let Some(why) = why {
            self.nothing(why);
        }
    }

    /// Why nothing can be said of these worlds; none when sources tell about one of them, all fresh enough.
    fn ask(&mut self, kind: PackageKind, keys: &[String]) -> Option<String> {
        let covering = |source: &&StoredSource| keys.iter().any(|key| covers(&source.source.covers, key));
        let found: Vec<&StoredSource> = self.sources.iter().filter(covering).collect();
        self.matter.extend(found.iter().map(|source| source.id));
        let world = keys.first().map_or("", String::as_str);
        if found.is_empty() {
            return Some(format!("{kind} packages: no source tells about {world}"));
        }
        // Each tells what others do not: one that is fresh does not make up for one that is too old.
        let old: Vec<_> = found.into_iter().filter(|source| source.is_stale(self.now)).collect();
        if old.is_empty() {
            return None;
        }
        let old: Vec<_> = old
            .iter()
            .map(|source| {
                let (name, most) = (&source.source.name, source.source.max_age_days);
                format!("{name} is {} days old, and {most} are the most", source.age_days(self.now))
            })
            .collect();
        Some(format!("{kind} packages: what tells about {world} is too old: {}", old.join("; ")))
    }

    /// The ages of the sources that matter: that tell about what is in the image, or score all flaws.
    fn feeds(&self, examiner: &Examiner<'_>) -> Vec<FeedAge> {
        let matters = |source: &&StoredSource| {
            self.matter.contains(&source.id) || source.scores > 0 || source.exploits > 0
        };
        let mut feeds: Vec<_> =
            examiner.sources.values().filter(matters).map(|source| FeedAge::new(source, self.now)).collect();
        feeds.sort_by(|left, right| left.source.cmp(&right.source));
        feeds
    }

    fn reasons(&self) -> Vec<String> {
        let reason = |(why, count): (&String, &usize)| match count {
            0 => why.clone(),
            1 => format!("{why} (1 package)"),
            _ => format!("{why} ({count} packages)"),
        };
        self.missing.iter().map(reason).collect()
    }
}

/// Adds to each finding the files of its component, and the layers that they lie in.
fn add_files(findings: &mut [Finding], sbom: &Sbom, most: usize) {
    let mut places: BTreeMap<&str, (Vec<String>, BTreeSet<Digest>)> = BTreeMap::new();
    for finding in findings.iter() {
        places.entry(finding.component.as_str()).or_default();
    }
    let mut found: BTreeMap<String, (Vec<String>, BTreeSet<Digest>)> = BTreeMap::new();
    for (path, file) in &sbom.files {
        let FileOwner::Component(owner) = &file.owner else { continue };
        if let Some((files, layers)) = places.get_mut(owner.as_str()) {
            if files.len() < most {
                files.push(path.clone());
            }
            layers.extend(file.layer);
        }
    }
    for (id, (mut files, mut layers)) in places {
        let told = sbom.components.get(id).map(|component| &component.found_in);
        for path in told.into_iter().flatten() {
            layers.extend(sbom.files.get(path).and_then(|file| file.layer));
            if files.len() < most && !files.contains(path) {
                files.push(path.clone());
            }
        }
        found.insert(id.to_owned(), (files, layers));
    }
    for finding in findings {
        if let Some((files, layers)) = found.get(&finding.component) {
            finding.files.clone_from(files);
            finding.layers.clone_from(layers);
        }
    }
}
