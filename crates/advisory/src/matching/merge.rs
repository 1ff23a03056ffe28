//! What sources say of one component → its findings: one for each flaw, whatever names the sources have for it.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use calypte_sbom::Component;

use super::examine::{Claim, Examiner, flaws};
use crate::cve::is_cve;
use crate::database::{Database, DatabaseError, plain_id};
use crate::finding::{Finding, FixState, Score};
use crate::model::SourceName;
use crate::risk::risk;
use crate::severity::{Word, assess_both};

/// Most references of a finding: some advisories have hundreds.
const MOST_REFERENCES: usize = 20;

/// The findings of a component, by flaw. The claims are those that count.
pub fn findings(
    component: &Component,
    claims: Vec<Claim>,
    examiner: &Examiner<'_>,
    database: &Database,
) -> Result<Vec<Finding>, DatabaseError> {
    let mut findings = Vec::new();
    for (flaw, mut group) in groups(claims) {
        group.sort_by_cached_key(|claim| precedence(claim, examiner));
        findings.extend(finding(component, &flaw, &group, examiner, database)?);
    }
    Ok(findings)
}

/// Who speaks first: the distribution's reviewed word of this very release, then of all releases, then changelogs; a source
/// before one later in the alphabet.
fn precedence(claim: &Claim, examiner: &Examiner<'_>) -> (bool, usize, String, String) {
    let name = examiner.sources.get(&claim.source).map(|source| source.source.name.clone());
    let is_changelog = examiner.traits(claim.source).changelog;
    (is_changelog, claim.weighed.rank, name.unwrap_or_default(), claim.header.id.clone())
}

/// The claims that are about one flaw, by its name. Those with a CVE number are told apart by it. One without is about
/// whatever an advisory is that shares a name with it; names may go round in circles.
fn groups(claims: Vec<Claim>) -> BTreeMap<String, Vec<Claim>> {
    let mut group_of: BTreeMap<String, usize> = BTreeMap::new();
    // Each group points to the one that it was joined with; one that points to itself stands.
    let mut joined: Vec<usize> = Vec::new();
    let find = |joined: &[usize], mut group: usize| {
        while let Some(next) = joined.get(group).copied().filter(|next| *next != group) {
            group = next;
        }
        group
    };
    for claim in &claims {
        // An advisory about several flaws joins none of them.
        let names = if flaws(&claim.header).len() > 1 {
            BTreeSet::from([claim.flaw.as_str()])
        } else {
            claim.names()
        };
        let known: BTreeSet<usize> =
            names.iter().filter_map(|name| group_of.get(*name)).map(|group| find(&joined, *group)).collect();
        let group = known.first().copied().unwrap_or_else(|| {
            joined.push(joined.len());
            joined.len() - 1
        });
        for other in known {
            if let Some(other) = joined.get_mut(other) {
                *other = group;
            }
        }
        for name in names {
            group_of.insert(name.to_owned(), group);
        }
    }
    let mut groups: BTreeMap<usize, Vec<Claim>> = BTreeMap::new();
    for claim in claims {
        let group = group_of.get(&claim.flaw).map_or(usize::MAX, |group| find(&joined, *group));
        groups.entry(group).or_default().push(claim);
    }
    let mut named: BTreeMap<String, Vec<Claim>> = BTreeMap::new();
    for claims in groups.into_values() {
        let numbers: BTreeSet<String> =
            claims.iter().map(|claim| claim.flaw.clone()).filter(|flaw| is_cve(flaw)).collect();
        let without = claims.iter().map(|claim| claim.flaw.clone()).min().unwrap_or_default();
        let first = numbers.first().cloned().unwrap_or(without);
        for claim in claims {
            // Two numbers stay two flaws, even where a third name stands for both.
            let flaw = if is_cve(&claim.flaw) { claim.flaw.clone() } else { first.clone() };
            named.entry(flaw).or_default().push(claim);
        }
    }
    named
}

fn finding(
    component: &Component,
    flaw: &str,
    claims: &[Claim],
    examiner: &Examiner<'_>,
    database: &Database,
) -> Result<Option<Finding>, DatabaseError> {
    let Some(first) = claims.first() else { return Ok(None) };
    let source = |claim: &Claim| {
        let name = examiner.sources.get(&claim.source).map(|source| source.source.name.clone());
        SourceName(name.unwrap_or_default())
    };
    // That a fix has landed is known from whoever says so.
    let is_fixed = |claim: &&Claim| matches!(claim.weighed.state, FixState::Fixed(_));
    let fixed = claims.iter().find(is_fixed);
    let mut aliases: BTreeSet<String> = claims.iter().flat_map(Claim::names).map(str::to_owned).collect();
    aliases.remove(flaw);
    let (word, scores) = severity(claims, source);
    let (epss, exploited) = (database.epss(flaw)?, database.exploited(flaw)?);
    let references: BTreeSet<&String> =
        claims.iter().flat_map(|claim| &claim.header.references).map(|reference| &reference.url).collect();
    Ok(Some(Finding {
        vulnerability: flaw.to_owned(),
        aliases,
        component: component.id.clone(),
        name: component.name.clone(),
        version: component.version.clone(),
        purl: component.purl.clone(),
        source: source(first),
        advisory: plain_id(&first.header.id).to_owned(),
        matched: first.weighed.package.clone(),
        matched_version: first.weighed.version.clone(),
        range: first.weighed.range.clone(),
        state: fixed.unwrap_or(first).weighed.state.clone(),
        risk: risk(word, &scores, epss.map(|(probability, _)| probability), exploited.as_ref()),
        severity: word.to_string(),
        scores,
        epss,
        exploited,
        published: claims.iter().filter(|claim| !is_of_a_fix(claim, examiner)).filter_map(published).min(),
        fix_since: claims.iter().filter(|claim| is_of_a_fix(claim, examiner)).filter_map(published).min(),
        files: Vec::new(),
        layers: BTreeSet::new(),
        references: references.into_iter().take(MOST_REFERENCES).cloned().collect(),
        suppressed: None,
    }))
}

fn published(claim: &Claim) -> Option<Epoch> {
    claim.header.published
}

/// Whether an advisory is published with a fix: a changelog's entry, a distribution's erratum. Others are published when the
/// flaw becomes known.
fn is_of_a_fix(claim: &Claim, examiner: &Examiner<'_>) -> bool {
    if examiner.traits(claim.source).changelog {
        return true;
    }
    let id = claim.header.id.as_str();
    ["DSA-", "DLA-", "ALSA-", "ALBA-", "ALEA-", "RHSA-", "RHBA-", "RHEA-", "FEDORA-", "USN-"]
        .iter()
        .any(|prefix| id.starts_with(prefix))
}

/// How bad a flaw is: the word of the first source that has one, and the scores of all.
fn severity(claims: &[Claim], source: impl Fn(&Claim) -> SourceName) -> (Word, Vec<Score>) {
    let mut word = Word::Unknown;
    let mut all: Vec<Score> = Vec::new();
    for claim in claims {
        let (own, scores) = assess_both(&claim.weighed.severities, &claim.header.severities, &source(claim));
        if word == Word::Unknown {
            word = own;
        }
        for score in scores {
            if !all.iter().any(|known| known.vector == score.vector) {
                all.push(score);
            }
        }
    }
    (word, all)
}
