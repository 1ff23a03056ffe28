//! One component → all that the sources say of it, each with the rule by which it counts or does not.
//!
//! An advisory whose version is in range is only the beginning: the component's own changelog, the distribution's "not
//! affected", and withdrawal take it away again. Each of these is kept with its reason, so that a scan can explain itself.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use calypte_formats::changelog::NamedFix;

use super::target::Target;
use super::weigh::{Rule, Traits, Weighed, weigh};
use crate::cve::is_cve;
use crate::database::{CHANGELOG, Database, DatabaseError, Entry, Header, Snapshot, StoredSource, plain_id};
use crate::model::{Affected, Ecosystem};

/// The flaws that a component's own changelog names as fixed.
pub type OwnFixes = BTreeMap<String, NamedFix>;

/// What one advisory says of one component about one flaw.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The flaw: a CVE number, or the advisory's id where it has none.
    pub flaw: String,
    /// The number of the source.
    pub source: i64,
    /// The number of the advisory.
    pub advisory: i64,
    /// The advisory, without what it says of packages.
    pub header: Rc<Header>,
    /// What it says.
    pub weighed: Weighed,
}

impl Claim {
    /// By which rule it counts, or does not.
    pub fn drop(&mut self, rule: Rule, why: String) {
        self.weighed.rule = rule;
        self.weighed.why = why;
    }

    /// Its names: of an advisory about several flaws, not those of the others.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<&str> = names(&self.header).filter(|name| !is_cve(name)).collect();
        names.insert(&self.flaw);
        names
    }
}

/// All names of an advisory.
fn names(header: &Header) -> impl Iterator<Item = &str> {
    header.aliases.iter().map(String::as_str).chain([plain_id(&header.id)])
}

/// The flaws that an advisory is about: its CVE numbers, or its id where it has none.
pub fn flaws(header: &Header) -> BTreeSet<&str> {
    let numbers: BTreeSet<&str> = names(header).filter(|name| is_cve(name)).collect();
    if numbers.is_empty() { BTreeSet::from([plain_id(&header.id)]) } else { numbers }
}

/// An advisory, and the entries of it that decide something.
type Deciding = (Rc<Header>, Vec<Affected>);

/// Which advisories are looked at.
#[derive(Debug, Clone, Copy)]
pub enum Looking<'a> {
    /// All; those that do not match are not kept.
    ForMatches,
    /// These alone; all are kept.
    At(&'a BTreeSet<i64>),
}

/// Where something stands that an advisory says.
#[derive(Debug)]
struct Place {
    /// How specific the release is that it speaks of; 0 is most.
    rank: usize,
    entries: Rc<Vec<Entry>>,
    number: usize,
}

impl Place {
    fn entry(&self) -> Option<&Entry> {
        self.entries.get(self.number)
    }
}

/// What was read for one component and serves others: those of one source package share all of it.
#[derive(Debug)]
pub struct Examiner<'d> {
    database: &'d Database,
    /// All is read as of one moment, and locked once.
    _snapshot: Option<Snapshot<'d>>,
    /// The sources by their numbers.
    pub sources: BTreeMap<i64, StoredSource>,
    ecosystems: BTreeMap<String, Vec<(i64, Ecosystem)>>,
    entries: BTreeMap<(i64, String), Rc<Vec<Entry>>>,
    headers: BTreeMap<i64, Rc<Header>>,
}

impl<'d> Examiner<'d> {
    pub fn new(database: &'d Database) -> Result<Self, DatabaseError> {
        let snapshot = database.snapshot()?;
        Ok(Self {
            database,
            _snapshot: snapshot,
            sources: database.sources()?.into_iter().map(|source| (source.id, source)).collect(),
            ecosystems: BTreeMap::new(),
            entries: BTreeMap::new(),
            headers: BTreeMap::new(),
        })
    }

    /// All claims about a component.
    pub fn examine(
        &mut self,
        target: &Target,
        worlds: &[Ecosystem],
        own: Option<&OwnFixes>,
        looking: Looking<'_>,
    ) -> Result<Vec<Claim>, DatabaseError> {
        let weighed = self.weigh(target, worlds, looking)?;
        let mut claims = Vec::new();
        for (advisory, (source, said)) in &weighed {
            let matters = matches!(said.rule, Rule::InRange | Rule::NotAffected | Rule::Uncomparable);
            if !matters && matches!(looking, Looking::ForMatches) {
                continue;
            }
            let header = self.header(*advisory)?;
            for flaw in flaws(&header) {
                claims.push(Claim {
                    flaw: flaw.to_owned(),
                    source: *source,
                    advisory: *advisory,
                    header: Rc::clone(&header),
                    weighed: said.clone(),
                });
            }
        }
        let is_distribution = worlds.first().is_some_and(Ecosystem::is_distribution);
        withdraw(&mut claims);
        by_own_changelog(&mut claims, own);
        not_affected(&mut claims, is_distribution);
        if is_distribution {
            self.between_changelogs_and_trackers(&mut claims, &weighed)?;
        }
        Ok(claims)
    }

    /// What each advisory says of a component, by the advisory's number, with its source's.
    fn weigh(
        &mut self,
        target: &Target,
        worlds: &[Ecosystem],
        looking: Looking<'_>,
    ) -> Result<BTreeMap<i64, (i64, Weighed)>, DatabaseError> {
        let mut weighed = BTreeMap::new();
        for (advisory, places) in self.places(target, worlds, looking)? {
            let Some(source) = places.iter().find_map(Place::entry).map(|entry| entry.source) else {
                continue;
            };
            let said = places.iter().filter_map(|place| Some((place.rank, &place.entry()?.affected)));
            if let Some(said) = weigh(target, said, self.traits(source)) {
                weighed.insert(advisory, (source, said));
            }
        }
        Ok(weighed)
    }

    /// Where what each advisory says of a component stands, by the advisory's number.
    fn places(
        &mut self,
        target: &Target,
        worlds: &[Ecosystem],
        looking: Looking<'_>,
    ) -> Result<BTreeMap<i64, Vec<Place>>, DatabaseError> {
        let mut found: BTreeMap<i64, Vec<Place>> = BTreeMap::new();
        for (rank, world) in worlds.iter().enumerate() {
            for ecosystem in self.ecosystems(&world.key())? {
                for name in target.names(world) {
                    let entries = self.entries(&ecosystem, &name)?;
                    for (number, entry) in entries.iter().enumerate() {
                        if matches!(looking, Looking::At(keys) if !keys.contains(&entry.advisory)) {
                            continue;
                        }
                        let place = Place { rank, entries: Rc::clone(&entries), number };
                        found.entry(entry.advisory).or_default().push(place);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The advisories that leave a component's version out, each with its entries that decide that: those of the image's own
    /// release where there are any, as [`weigh`] has it.
    pub fn out_of_range(
        &mut self,
        target: &Target,
        worlds: &[Ecosystem],
    ) -> Result<Vec<Deciding>, DatabaseError> {
        let mut found = Vec::new();
        for (advisory, places) in self.places(target, worlds, Looking::ForMatches)? {
            let entries: Vec<(usize, &Entry)> =
                places.iter().filter_map(|place| Some((place.rank, place.entry()?))).collect();
            let Some(source) = entries.first().map(|(_, entry)| entry.source) else { continue };
            let said = entries.iter().map(|(rank, entry)| (*rank, &entry.affected));
            let Some(said) = weigh(target, said, self.traits(source)) else { continue };
            if said.rule != Rule::NotInRange {
                continue;
            }
            let decides = |(rank, entry): &(usize, &Entry)| {
                *rank == said.rank && target.by(&entry.affected) == Some(said.by)
            };
            let deciding =
                entries.into_iter().filter(decides).map(|(_, entry)| entry.affected.clone()).collect();
            found.push((self.header(advisory)?, deciding));
        }
        Ok(found)
    }

    /// What matters of a source.
    pub fn traits(&self, source: i64) -> Traits {
        let source = self.sources.get(&source);
        Traits {
            modular: source.is_some_and(|source| source.modular),
            changelog: source.is_some_and(|source| source.source.feed == CHANGELOG),
        }
    }

    /// Where a tracker and the archive's changelogs speak of one flaw: a tracker that knows the version as fixed was
    /// reviewed, and goes before a changelog that names the flaw later; a version that is not before the one whose changelog
    /// names the flaw has the fix, whatever a tracker does not know yet.
    fn between_changelogs_and_trackers(
        &self,
        claims: &mut [Claim],
        weighed: &BTreeMap<i64, (i64, Weighed)>,
    ) -> Result<(), DatabaseError> {
        let settled = |changelog: bool| -> BTreeMap<i64, &Weighed> {
            let fixed = weighed.iter().filter(|(_, (source, said))| {
                let is_fixed = matches!(said.rule, Rule::NotInRange | Rule::Rebuild);
                is_fixed && self.traits(*source).changelog == changelog
            });
            fixed.map(|(advisory, (_, said))| (*advisory, said)).collect()
        };
        let (by_tracker, by_changelog) = (settled(false), settled(true));
        for claim in claims.iter_mut().filter(|claim| claim.weighed.rule == Rule::InRange) {
            let is_changelog = self.traits(claim.source).changelog;
            let others = if is_changelog { &by_tracker } else { &by_changelog };
            if others.is_empty() {
                continue;
            }
            let Some(why) = self.settles(&claim.flaw, others)? else { continue };
            let rule = if is_changelog { Rule::DistributionSaysFixed } else { Rule::Changelog };
            claim.drop(rule, why);
        }
        Ok(())
    }

    /// Who of these says that a flaw is fixed, in words; of several the first by name, whichever was imported first.
    fn settles(&self, flaw: &str, others: &BTreeMap<i64, &Weighed>) -> Result<Option<String>, DatabaseError> {
        let mut found = BTreeSet::new();
        for key in self.database.advisories_named(flaw)? {
            let Some(said) = others.get(&key) else { continue };
            let (source, header) = self.database.header(key)?;
            if header.withdrawn.is_none() {
                let source = self.sources.get(&source).map_or("", |source| source.source.name.as_str());
                found.insert(format!("{source} says that it is fixed: {}", said.why));
            }
        }
        Ok(found.pop_first())
    }

    fn ecosystems(&mut self, key: &str) -> Result<Vec<(i64, Ecosystem)>, DatabaseError> {
        if let Some(found) = self.ecosystems.get(key) {
            return Ok(found.clone());
        }
        let found = self.database.ecosystems(key)?;
        self.ecosystems.insert(key.to_owned(), found.clone());
        Ok(found)
    }

    fn entries(&mut self, ecosystem: &(i64, Ecosystem), name: &str) -> Result<Rc<Vec<Entry>>, DatabaseError> {
        let key = (ecosystem.0, name.to_owned());
        if let Some(found) = self.entries.get(&key) {
            return Ok(Rc::clone(found));
        }
        let found = Rc::new(self.database.entries(ecosystem, name)?);
        self.entries.insert(key, Rc::clone(&found));
        Ok(found)
    }

    fn header(&mut self, advisory: i64) -> Result<Rc<Header>, DatabaseError> {
        if let Some(found) = self.headers.get(&advisory) {
            return Ok(Rc::clone(found));
        }
        let found = Rc::new(self.database.header(advisory)?.1);
        self.headers.insert(advisory, Rc::clone(&found));
        Ok(found)
    }
}

/// What was withdrawn says nothing, neither of what has a flaw nor of what has not.
fn withdraw(claims: &mut [Claim]) {
    for claim in claims {
        if let Some(when) = claim.header.withdrawn {
            let why = format!("{} was withdrawn on {when}", claim.header.id);
            claim.drop(Rule::Withdrawn, why);
        }
    }
}

/// What the component's own changelog names is fixed, whatever a comparison of versions says.
fn by_own_changelog(claims: &mut [Claim], own: Option<&OwnFixes>) {
    let Some(own) = own else { return };
    for claim in claims.iter_mut().filter(|claim| claim.weighed.rule == Rule::InRange) {
        if let Some(fix) = own.get(&claim.flaw) {
            let (flaw, said) = (&claim.flaw, &claim.weighed.why);
            let why = format!("its own changelog names {flaw} in the entry of {} ({said})", fix.version);
            claim.drop(Rule::Changelog, why);
        }
    }
}

/// What a distribution says not to be affected is not, whoever else says so; outside of distributions a source takes
/// away its own claims alone.
fn not_affected(claims: &mut [Claim], is_distribution: bool) {
    let mut said: BTreeMap<(String, Option<i64>), String> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| claim.weighed.rule == Rule::NotAffected) {
        let by = (!is_distribution).then_some(claim.source);
        let why = format!("{}: {}", claim.header.id, claim.weighed.why);
        for name in claim.names() {
            let known = said.entry((name.to_owned(), by)).or_insert_with(|| why.clone());
            if why < *known {
                known.clone_from(&why);
            }
        }
    }
    for claim in claims.iter_mut().filter(|claim| claim.weighed.rule == Rule::InRange) {
        let by = (!is_distribution).then_some(claim.source);
        // Of an advisory about several flaws only this one counts; of others any name does.
        let names = if is_cve(&claim.flaw) { BTreeSet::from([claim.flaw.as_str()]) } else { claim.names() };
        let why = names.into_iter().find_map(|name| said.get(&(name.to_owned(), by)));
        if let Some(why) = why.cloned() {
            claim.drop(Rule::DistributionSaysNot, why);
        }
    }
}
