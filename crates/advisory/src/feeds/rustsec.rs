//! RustSec's advisories → advisories: TOML between fences at the start of a Markdown document, or TOML alone
//! (<https://github.com/RustSec/advisory-db>).
//!
//! They say which versions are patched and which never had the flaw, as requirements; what is affected is all else.

mod ranges;

use std::collections::BTreeSet;
use std::io::Read;

use serde::Deserialize;

use super::{FeedError, Sink, whole};
use crate::model::{
    Advisory, Affected, Ecosystem, PackageRole, Range, RangeKind, Reference, Severity, Status,
};

/// The fence before the TOML.
const FENCE: &str = "```toml";

/// The largest document; a real one has 20 kB.
const DOCUMENT_LIMIT: u64 = 4 << 20;

#[derive(Deserialize)]
struct Document {
    advisory: Head,
    versions: Option<Versions>,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    date: String,
    withdrawn: Option<String>,
    title: Option<String>,
    description: Option<String>,
    url: Option<String>,
    cvss: Option<String>,
    informational: Option<String>,
    #[serde(default)]
    aliases: BTreeSet<String>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    patched_versions: Vec<String>,
    #[serde(default)]
    unaffected_versions: Vec<String>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// Reads one document.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let bytes = whole::bytes(document, reader, DOCUMENT_LIMIT)?;
    let text = whole::text(document, &bytes)?;
    let (front, body) = parts(document, text)?;
    let parsed: Document = toml::from_str(front).map_err(|error| {
        let before = error.span().and_then(|span| front.get(..span.start)).unwrap_or_default();
        // Lines are counted in the document, where the fence is one of them.
        let fence = usize::from(front.len() < text.len());
        let line = before.matches('\n').count() + 1 + fence;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        FeedError::malformed(document, format!("line {line}, column {column}"), error.message())
    })?;
    let advisory = advisory(document, parsed, body)?;
    if let Some(published) = advisory.published {
        sink.dated(published);
    }
    sink.advisory(advisory).map_err(|error| FeedError::sink(document, error))
}

/// The TOML, and the Markdown behind it.
fn parts<'a>(document: &str, text: &'a str) -> Result<(&'a str, &'a str), FeedError> {
    let Some(rest) = text.strip_prefix(FENCE) else { return Ok((text, "")) };
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    let (front, body) = rest.split_once("\n```").ok_or_else(|| {
        FeedError::malformed(document, "line 1, column 1", "the TOML that starts here has no end (```)")
    })?;
    Ok((front, body))
}

fn advisory(document: &str, parsed: Document, body: &str) -> Result<Advisory, FeedError> {
    let head = parsed.advisory;
    whole::name(document, "advisory.id", &head.id)?;
    whole::name(document, "advisory.package", &head.package)?;
    // Of two forms of the same, older advisories have the one in `advisory`.
    let (patched, unaffected) = match parsed.versions {
        Some(versions) => (versions.patched, versions.unaffected),
        None => (head.patched_versions, head.unaffected_versions),
    };
    let ranges = ranges::affected(patched.iter().chain(&unaffected).map(String::as_str))
        .map_err(|reason| FeedError::malformed(document, "versions", reason))?;
    let affected = Affected {
        ecosystem: Ecosystem::CratesIo,
        package: head.package,
        role: PackageRole::Binary,
        ranges: ranges.into_iter().map(|events| Range { kind: RangeKind::Semver, events }).collect(),
        versions: BTreeSet::new(),
        status: Status::Affected,
        architectures: BTreeSet::new(),
        module: None,
        severities: Vec::new(),
        imports: BTreeSet::new(),
    };
    // Unmaintained or unsound: not a flaw as such.
    let words = head.informational.iter().map(|word| Severity::Word(word.trim().to_owned()));
    let heading = body.lines().find_map(|line| line.trim().strip_prefix("# "));
    let urls = head.url.into_iter().chain(head.references);
    Ok(Advisory {
        aliases: head.aliases,
        published: whole::time(document, "advisory.date", Some(&head.date))?,
        modified: None,
        withdrawn: whole::time(document, "advisory.withdrawn", head.withdrawn.as_deref())?,
        summary: whole::summary([heading, head.title.as_deref(), head.description.as_deref(), Some(body)]),
        severities: head.cvss.into_iter().map(Severity::Cvss).chain(words).collect(),
        affected: if affected.ranges.is_empty() { Vec::new() } else { vec![affected] },
        references: urls.map(|url| Reference { kind: "WEB".to_owned(), url }).collect(),
        id: head.id,
    })
}

#[cfg(test)]
mod tests;
