//! What can be proved of an image without anybody's judgement: that a flaw is fixed, by the package's own changelog or by its
//! version; that the files which have it are not there. Whether code is reached is never guessed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use calypte_sbom::{Component, FileOwner};

use super::apply::{Scanned, globs};
use super::model::{Justification, Origin, Product, Rule, Statement, Status};
use super::purl::Purl;
use crate::Fixes;
use crate::cve::is_cve;
use crate::finding::Finding;
use crate::model::{Advisory, Affected, Event, PackageRole, Status as AdvisoryStatus};
use crate::versions::Scheme;

/// What the changelogs of the installed versions name as fixed. Holds of a package in any image.
#[must_use]
pub fn from_changelogs(fixes: &Fixes, scanned: &Scanned<'_>) -> Vec<Statement> {
    let mut statements = Vec::new();
    for (purl, component) in scanned.components() {
        for (flaw, named) in fixes.get(&component.id).into_iter().flatten() {
            let (name, version) = source_of(component);
            let mut statement = proof(flaw, Status::Fixed, Rule::FixedByChangelog, scanned.bill().created);
            statement.products.insert(Product::package(purl.clone()));
            let date = named.date.map(|date| format!(", {date}")).unwrap_or_default();
            let entry = if named.version.is_empty() { "one of its entries" } else { &named.version };
            statement.evidence = Some(format!("changelog of {name} {version}: {entry}{date}"));
            statement.notes =
                Some(format!("The changelog of the installed version names it as fixed in {entry}."));
            statements.push(statement);
        }
    }
    statements
}

/// What an advisory says of one component: all its entries that are about it, by ecosystem, package, architecture and module.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// The component, by its id in the bill of materials.
    pub component: &'a str,
    /// The advisory.
    pub advisory: &'a Advisory,
    /// Its entries about the component.
    pub entries: Vec<&'a Affected>,
}

/// What is fixed by version: all of an advisory's entries about a component leave its version out, and one of them names a
/// fixed version that is not newer. Not where a feed still finds the flaw in the component: then the feeds do not agree, and
/// nothing is proved.
#[must_use]
pub fn from_versions<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    findings: &[Finding],
    scanned: &Scanned<'_>,
) -> Vec<Statement> {
    let found: BTreeSet<(&str, &str)> = findings
        .iter()
        .flat_map(|finding| {
            let names =
                std::iter::once(&finding.vulnerability).chain(&finding.aliases).chain([&finding.advisory]);
            names.map(|name| (finding.component.as_str(), name.as_str()))
        })
        .collect();
    let mut statements = Vec::new();
    for Candidate { component, advisory, entries } in candidates {
        let Some((purl, known)) = scanned.component(component) else { continue };
        let Some((package, fixed)) = fixed_version(known, &entries) else { continue };
        if advisory.withdrawn.is_some() {
            continue;
        }
        for flaw in flaws_of(advisory) {
            if found.contains(&(component, flaw.as_str())) {
                continue;
            }
            let mut statement = proof(flaw, Status::Fixed, Rule::FixedByVersion, scanned.bill().created);
            statement.products.insert(Product::package(purl.clone()));
            let evidence = format!("{}: {package} is fixed in {fixed}", advisory.id);
            statement.evidence =
                Some(advisory.references.first().map_or(evidence, |reference| reference.url.clone()));
            statement.notes = Some(format!("{}: {package} is fixed in {fixed}.", advisory.id));
            statements.push(statement);
        }
    }
    statements
}

/// The flaws that an advisory is about: its CVE numbers, or itself where it has none.
fn flaws_of(advisory: &Advisory) -> Vec<&String> {
    let cves: BTreeSet<&String> =
        std::iter::once(&advisory.id).chain(&advisory.aliases).filter(|name| is_cve(name)).collect();
    if cves.is_empty() { vec![&advisory.id] } else { cves.into_iter().collect() }
}

/// The fixed version nearest below a component's, with the package that it is of; none where an entry has the version in its
/// range, names no fixed one, or cannot be compared.
fn fixed_version(component: &Component, entries: &[&Affected]) -> Option<(String, String)> {
    let mut nearest: Option<(String, String)> = None;
    for entry in entries.iter().filter(|entry| entry.status != AdvisoryStatus::NotAffected) {
        let scheme = Scheme::of(&entry.ecosystem)?;
        let (source, source_version) = source_of(component);
        let (name, version) = match entry.role {
            PackageRole::Source => (source, source_version),
            PackageRole::Either if entry.package != component.name => (source, source_version),
            PackageRole::Either | PackageRole::Binary => {
                (component.name.as_str(), component.version.as_str())
            }
        };
        if name != entry.package || entry.ranges.is_empty() || entry.versions.contains(version) {
            return None;
        }
        for range in &entry.ranges {
            let Some(fixed) = fixed_in(scheme, version, &range.events)? else { continue };
            let is_nearer = match &nearest {
                Some((_, known)) => scheme.compare(known, &fixed).ok()?.is_lt(),
                None => true,
            };
            if is_nearer {
                nearest = Some((name.to_owned(), fixed));
            }
        }
    }
    nearest
}

/// Whether a version is outside of a range, and behind which fix; none where it is inside or cannot be compared (OSV schema,
/// "Evaluation").
fn fixed_in(scheme: Scheme, version: &str, events: &[Event]) -> Option<Option<String>> {
    let text = |event: &Event| match event {
        Event::Introduced(text) | Event::Fixed(text) | Event::LastAffected(text) => text.clone(),
    };
    // The last end that is not behind the version decides.
    let mut last: Option<(&Event, String)> = None;
    for event in events {
        let end = text(event);
        let starts_all = matches!(event, Event::Introduced(text) if text == "0");
        let order = if starts_all { Ordering::Less } else { scheme.compare(&end, version).ok()? };
        let is_passed = match event {
            Event::LastAffected(_) => order.is_lt(),
            _ => order.is_le(),
        };
        if !is_passed {
            continue;
        }
        let is_later = match &last {
            None => true,
            Some((Event::Introduced(from), _)) if from == "0" => true,
            Some(_) if starts_all => false,
            Some((_, known)) => scheme.compare(known, &end).ok()?.is_le(),
        };
        if is_later {
            last = Some((event, end));
        }
    }
    match last {
        Some((Event::Introduced(_), _)) => None,
        Some((Event::Fixed(_), end)) => Some(Some(end)),
        Some((Event::LastAffected(_), _)) | None => Some(None),
    }
}

/// The source package of a component, or the component itself where none is named.
fn source_of(component: &Component) -> (&str, &str) {
    match &component.source {
        Some(source) => (&source.name, &source.version),
        None => (&component.name, &component.version),
    }
}

/// Where reviewed statements say which files have a flaw ([`Statement::paths`]): the packages in this image that they are
/// about, where the image has none of those files. Only where the bill lists a file of the package at all: a bill without
/// files proves nothing.
#[must_use]
pub fn from_absent_files(reviewed: &[Statement], scanned: &Scanned<'_>) -> Vec<Statement> {
    let with_files: BTreeSet<&str> = scanned
        .bill()
        .files
        .values()
        .filter_map(|file| match &file.owner {
            FileOwner::Component(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let mut purls: BTreeMap<&Purl, bool> = BTreeMap::new();
    for (purl, component) in scanned.components() {
        *purls.entry(purl).or_insert(true) &= with_files.contains(component.id.as_str());
    }
    let mut statements = Vec::new();
    for reviewed in reviewed {
        // What is no glob proves nothing.
        if reviewed.paths.is_empty() || globs(&reviewed.paths).is_none() || scanned.has_paths(reviewed) {
            continue;
        }
        let packages = reviewed.products.iter().flat_map(|product| scanned.packages(product)).flatten();
        let packages = packages.filter(|purl| purls.get(purl) == Some(&true));
        let products: BTreeSet<Product> =
            packages.map(|purl| Product::image(scanned.image(), Some(purl))).collect();
        if products.is_empty() {
            continue;
        }
        let paths: Vec<&str> = reviewed.paths.iter().map(String::as_str).collect();
        let mut statement =
            proof(&reviewed.flaw, Status::NotAffected, Rule::FilesNotPresent, reviewed.updated);
        statement.aliases.clone_from(&reviewed.aliases);
        statement.products = products;
        statement.justification = Some(Justification::ComponentNotPresent);
        statement.impact =
            Some(format!("The flaw is in {}, which the image does not have.", paths.join(", ")));
        statement.evidence.clone_from(&reviewed.evidence);
        statement.notes = Some(format!("Where the flaw is: {}.", reviewed.origin));
        statements.push(statement);
    }
    statements
}

fn proof(flaw: &str, status: Status, rule: Rule, time: Epoch) -> Statement {
    Statement {
        flaw: flaw.to_owned(),
        aliases: BTreeSet::new(),
        products: BTreeSet::new(),
        status,
        justification: None,
        impact: None,
        action: None,
        notes: None,
        evidence: None,
        paths: BTreeSet::new(),
        issued: time,
        updated: time,
        origin: Origin::Derived(rule),
    }
}

#[cfg(test)]
mod tests;
