//! What sources say of one component → its findings: one for each flaw, whatever names the sources have for it.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use calypte_sbom::Component;

use super::examine::{Claim, Examiner, flaws, is_cve};
use crate::database::{Database, DatabaseError};
use crate::finding::{Finding, FixState, Score};
use crate::model::{Severity, SourceName};

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
    let said: Vec<(String, &[Severity])> = claims
        .iter()
        .map(|claim| {
            let own = &claim.weighed.severities;
            (source(claim).0, if own.is_empty() { claim.header.severities.as_slice() } else { own })
        })
        .collect();
    let (severity, scores) = severity(&said);
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
        advisory: first.header.id.clone(),
        matched: first.weighed.package.clone(),
        matched_version: first.weighed.version.clone(),
        range: first.weighed.range.clone(),
        state: fixed.unwrap_or(first).weighed.state.clone(),
        risk: risk(&severity, &scores, epss, exploited.is_some()),
        severity,
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

/// How bad a flaw is, in a word and in scores, out of what each source says; the first that says something counts.
// Provisional: a distribution's own word alone. Vectors are read by the rules of `severity`.
fn severity(said: &[(String, &[Severity])]) -> (String, Vec<Score>) {
    for severity in said.iter().flat_map(|(_, severities)| *severities) {
        let Severity::Word(word) = severity else { continue };
        let word = match word.to_ascii_lowercase().trim_end_matches('*') {
            "critical" => "critical",
            "high" | "important" => "high",
            "medium" | "moderate" => "medium",
            "low" => "low",
            "unimportant" | "negligible" => "negligible",
            _ => continue,
        };
        return (word.to_owned(), Vec::new());
    }
    ("unknown".to_owned(), Vec::new())
}

/// How much a finding matters, 0 to 100.
// Provisional: the word, doubled up when it is exploited. The rule of `docs/reference/scan.md` takes its place.
fn risk(severity: &str, _scores: &[Score], epss: Option<(f64, f64)>, exploited: bool) -> f64 {
    let weight = match severity {
        "critical" => 1.0,
        "high" => 0.75,
        "medium" => 0.5,
        "low" => 0.25,
        "negligible" => 0.05,
        _ => 0.4,
    };
    let threat = if exploited { 1.0 } else { epss.map_or(0.0, |(probability, _)| probability) };
    100.0 * weight * threat
}
