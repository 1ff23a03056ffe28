//! OSV documents, JSON or YAML → advisories (OSV schema 1.7, <https://ossf.github.io/osv-schema/>).
//!
//! Many databases write this form, each with habits of its own. What a package is named after (its source or what is
//! installed) depends on the ecosystem, and the names of the flaws that an advisory of a distribution fixes stand under
//! `aliases`, `upstream` or `related`.

use std::collections::BTreeSet;
use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use super::ecosystem::{ecosystem, is_distribution, role};
use super::{FeedError, Sink, whole};
use crate::model::{Advisory, Affected, Ecosystem, Event, Range, RangeKind, Reference, Severity, Status};

#[derive(Deserialize)]
struct Document {
    id: String,
    #[serde(default, deserialize_with = "whole::or_default")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "whole::or_default")]
    upstream: Vec<String>,
    #[serde(default, deserialize_with = "whole::or_default")]
    related: Vec<String>,
    published: Option<String>,
    modified: Option<String>,
    withdrawn: Option<String>,
    summary: Option<String>,
    details: Option<String>,
    #[serde(default, deserialize_with = "whole::or_default")]
    severity: Vec<Score>,
    #[serde(default, deserialize_with = "whole::or_default")]
    affected: Vec<Entry>,
    #[serde(default, deserialize_with = "whole::or_default")]
    references: Vec<Link>,
    // Each database puts what it likes here, in what shape it likes.
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Score {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    package: Option<Package>,
    #[serde(default, deserialize_with = "whole::or_default")]
    ranges: Vec<Interval>,
    #[serde(default, deserialize_with = "whole::or_default")]
    versions: BTreeSet<String>,
    #[serde(default, deserialize_with = "whole::or_default")]
    severity: Vec<Score>,
    #[serde(default)]
    ecosystem_specific: Value,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Interval {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "whole::or_default")]
    events: Vec<End>,
}

#[derive(Deserialize)]
struct End {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// Reads one document.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let bytes = whole::bytes(document, reader, whole::WHOLE_LIMIT)?;
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let parsed: Document = match start {
        Some(b'{') => whole::json(document, &bytes)?,
        _ => whole::yaml(document, &bytes)?,
    };
    let advisory = advisory(document, parsed)?;
    if let Some(modified) = advisory.modified {
        sink.dated(modified);
    }
    sink.advisory(advisory).map_err(|error| FeedError::sink(document, error))
}

fn advisory(document: &str, parsed: Document) -> Result<Advisory, FeedError> {
    whole::name(document, "id", &parsed.id)?;
    let time = |place: &str, text: &Option<String>| whole::time(document, place, text.as_deref());
    let mut affected = Vec::new();
    for (place, entry) in parsed.affected.iter().enumerate() {
        affected.extend(entry.read(document, &format!("affected[{place}]"))?);
    }
    let mut severities = scores(&parsed.severity);
    severities.extend(word(&parsed.database_specific));
    let distribution = !affected.is_empty() && affected.iter().all(|entry| is_distribution(&entry.ecosystem));
    if let Some(word) = parsed.summary.as_deref().and_then(leading_word).filter(|_| distribution) {
        severities.push(word);
    }
    Ok(Advisory {
        published: time("published", &parsed.published)?,
        modified: time("modified", &parsed.modified)?,
        withdrawn: time("withdrawn", &parsed.withdrawn)?,
        summary: whole::summary([parsed.summary.as_deref(), parsed.details.as_deref()]),
        severities,
        aliases: aliases(&parsed, distribution),
        affected,
        references: references(parsed.references),
        id: parsed.id,
    })
}

/// The flaw's other names. AlmaLinux names the flaws that an update fixes under `related`, where databases of languages
/// name flaws that merely resemble this one: so it counts for distributions alone, and where nothing better is said.
fn aliases(parsed: &Document, distribution: bool) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = parsed.aliases.iter().chain(&parsed.upstream).cloned().collect();
    if distribution && !crate::cve::is_cve(&parsed.id) && !names.iter().any(|name| crate::cve::is_cve(name)) {
        names.extend(parsed.related.iter().filter(|name| crate::cve::is_cve(name)).cloned());
    }
    names.remove(&parsed.id);
    names
}

fn references(links: Vec<Link>) -> Vec<Reference> {
    let reference =
        |link: Link| Some(Reference { kind: link.kind.unwrap_or_else(|| "WEB".to_owned()), url: link.url? });
    links.into_iter().filter_map(reference).collect()
}

/// `severity`: vectors, and the word of Ubuntu.
fn scores(scores: &[Score]) -> Vec<Severity> {
    let severity = |score: &Score| match score.kind.starts_with("CVSS") {
        true => Severity::Cvss(score.score.clone()),
        false => Severity::Word(score.score.clone()),
    };
    scores.iter().filter(|score| !score.score.is_empty()).map(severity).collect()
}

/// The word of a database: GitHub's `severity`; RustSec's `informational`, which says that it is no flaw as such.
fn word(specific: &Value) -> Option<Severity> {
    let words = ["severity", "informational"].into_iter().filter_map(|key| specific.get(key)?.as_str());
    words.map(str::trim).find(|word| !word.is_empty()).map(|word| Severity::Word(word.to_owned()))
}

/// Red Hat and those who rebuild it write the severity before an advisory's title: `Important: bash security update`.
fn leading_word(summary: &str) -> Option<Severity> {
    let (word, _) = summary.split_once(':')?;
    ["Critical", "Important", "Moderate", "Low"].contains(&word).then(|| Severity::Word(word.to_owned()))
}

impl Entry {
    /// What is said of one package; nothing where nothing can be matched: entries without a package (commits of a
    /// repository), and those without versions, which by the schema's rules match none.
    fn read(&self, document: &str, place: &str) -> Result<Option<Affected>, FeedError> {
        let Some(package) = &self.package else { return Ok(None) };
        whole::name(document, format!("{place}.package.name"), &package.name)?;
        let mut ranges = Vec::new();
        for (number, interval) in self.ranges.iter().enumerate() {
            ranges.extend(interval.read(document, &format!("{place}.ranges[{number}]"))?);
        }
        if ranges.is_empty() && self.versions.is_empty() {
            return Ok(None);
        }
        let ecosystem = ecosystem(&package.ecosystem);
        let urgency = self.ecosystem_specific.get("urgency").and_then(Value::as_str);
        let mut severities = scores(&self.severity);
        severities.extend(word(&self.database_specific).or_else(|| word(&self.ecosystem_specific)));
        severities.extend(urgency.and_then(super::debian_tracker::word));
        Ok(Some(Affected {
            package: package.name.clone(),
            role: role(&ecosystem),
            imports: imports(&ecosystem, [&self.ecosystem_specific, &self.database_specific]),
            status: match (&ecosystem, urgency) {
                (Ecosystem::Debian(_), Some("end-of-life")) => Status::EndOfLife,
                _ => Status::Affected,
            },
            ecosystem,
            ranges,
            versions: self.versions.clone(),
            architectures: BTreeSet::new(),
            module: None,
            severities,
        }))
    }
}

/// Go: the packages of a module in which the flaw is.
fn imports(ecosystem: &Ecosystem, specific: [&Value; 2]) -> BTreeSet<String> {
    if *ecosystem != Ecosystem::Go {
        return BTreeSet::new();
    }
    let lists = specific.into_iter().filter_map(|specific| specific.get("imports")?.as_array());
    let paths = lists.flatten().filter_map(|import| import.get("path")?.as_str());
    paths.map(str::to_owned).collect()
}

impl Interval {
    /// A range; none for commits of a repository, which no package's version tells.
    fn read(&self, document: &str, place: &str) -> Result<Option<Range>, FeedError> {
        let kind = match self.kind.as_str() {
            "ECOSYSTEM" => RangeKind::Ecosystem,
            "SEMVER" => RangeKind::Semver,
            "GIT" => return Ok(None),
            other => {
                let reason = format!("`{other}` is no type of a range");
                return Err(FeedError::malformed(document, format!("{place}.type"), reason));
            }
        };
        // Docker's documents have ranges without an event beside `versions`.
        if self.events.is_empty() {
            return Ok(None);
        }
        let mut events = Vec::with_capacity(self.events.len());
        let mut limits = 0_usize;
        for (number, end) in self.events.iter().enumerate() {
            let given = [&end.introduced, &end.fixed, &end.last_affected, &end.limit];
            let (event, version) = match given.map(Option::as_deref) {
                [Some(version), None, None, None] => (Event::Introduced(version.to_owned()), version),
                [None, Some(version), None, None] => (Event::Fixed(version.to_owned()), version),
                [None, None, Some(version), None] => (Event::LastAffected(version.to_owned()), version),
                // No limit, in the schema's words.
                [None, None, None, Some("*")] => continue,
                [None, None, None, Some(version)] => {
                    limits += 1;
                    (Event::Fixed(version.to_owned()), version)
                }
                _ => {
                    let reason = "an event is one of introduced, fixed, last_affected and limit";
                    return Err(FeedError::malformed(document, format!("{place}.events[{number}]"), reason));
                }
            };
            if version.trim().is_empty() {
                let place = format!("{place}.events[{number}]");
                return Err(FeedError::malformed(document, place, "an event without a version"));
            }
            events.push(event);
        }
        // The furthest of several limits would count, and only the rules of the ecosystem tell which that is.
        let reason = match events.iter().any(|event| matches!(event, Event::Introduced(_))) {
            false => "nothing is ever introduced in this range",
            true if limits > 1 => "a range has at most one limit",
            true => return Ok(Some(Range { kind, events })),
        };
        Err(FeedError::malformed(document, format!("{place}.events"), reason))
    }
}

#[cfg(test)]
mod tests;
