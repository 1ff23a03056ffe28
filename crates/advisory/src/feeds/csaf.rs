//! CSAF 2.0 documents, as Red Hat writes them → advisories (<https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html>).
//!
//! A document has products (a package in a release, mostly thousands of them) and flaws; each flaw says of each product
//! what is known. VEX documents have one flaw, and their name is its number. Documents of an update have as many flaws as
//! it fixes, and become as many advisories, `RHSA-2026:1/CVE-2026-1`. Beside the documents lie lists of those that
//! changed and of those that were deleted; what was deleted is withdrawn.

mod products;
mod status;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use calypte_base::Epoch;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::{FeedError, Sink, whole};
use crate::model::{Advisory, Reference, Severity};
use products::Products;

/// The largest document: those of flaws in all builds of glibc or the kernel have some 25 MB, and grow with each build.
const DOCUMENT_LIMIT: u64 = 128 << 20;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    document: Head<'a>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    product_tree: products::Tree<'a>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    vulnerabilities: Vec<Flaw<'a>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    csaf_version: Text<'a>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    aggregate_severity: Option<Aggregate<'a>>,
    #[serde(borrow)]
    tracking: Tracking<'a>,
}

#[derive(Deserialize)]
struct Aggregate<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
struct Tracking<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    initial_release_date: Option<Text<'a>>,
    #[serde(borrow)]
    current_release_date: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Flaw<'a> {
    #[serde(borrow)]
    cve: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    ids: Vec<OtherId<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    notes: Vec<Note<'a>>,
    #[serde(borrow)]
    release_date: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    references: Vec<Link<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    product_status: status::Lists<'a>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    remediations: Vec<status::Remediation<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    scores: Vec<status::Score<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    threats: Vec<status::Threat<'a>>,
}

#[derive(Deserialize)]
struct OtherId<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
struct Note<'a> {
    #[serde(borrow)]
    category: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow)]
    category: Option<Text<'a>>,
    #[serde(borrow)]
    url: Text<'a>,
}

/// A text that lies in the document where it needs no unescaping: the names of products come by the ten thousand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Cow<'de, str>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Borrow).map(Self)
    }
}

fn as_str<'t>(text: &'t Option<Text<'_>>) -> Option<&'t str> {
    text.as_ref().map(Text::as_str)
}

/// Reads a document, or one of the lists beside them.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    match document.rsplit('/').next() {
        // The documents themselves come whole, so that what changed need not be told.
        Some("changes.csv") => return Ok(()),
        Some("deletions.csv") => return deletions(document, reader, sink),
        _ => {}
    }
    let bytes = whole::bytes(document, reader, DOCUMENT_LIMIT)?;
    let parsed: Document<'_> = whole::json(document, &bytes)?;
    let version = parsed.document.csaf_version.as_str();
    if !version.starts_with("2.") {
        let reason = format!("version `{version}` of CSAF is not 2");
        return Err(FeedError::malformed(document, "document.csaf_version", reason));
    }
    let products = Products::new(&parsed.product_tree);
    for (number, flaw) in parsed.vulnerabilities.iter().enumerate() {
        let advisory = advisory(document, &parsed, &products, number, flaw)?;
        if let Some(modified) = advisory.modified {
            sink.dated(modified);
        }
        sink.advisory(advisory).map_err(|error| FeedError::sink(document, error))?;
    }
    Ok(())
}

fn advisory<'d>(
    document: &str,
    parsed: &'d Document<'d>,
    products: &'d Products<'d>,
    number: usize,
    flaw: &'d Flaw<'d>,
) -> Result<Advisory, FeedError> {
    let tracking = &parsed.document.tracking;
    let own = tracking.id.as_str();
    whole::name(document, "document.tracking.id", own)?;
    let place = format!("vulnerabilities[{number}]");
    let time = |place: &str, text: &Option<Text<'_>>| whole::time(document, place, as_str(text));
    let modified = time("document.tracking.current_release_date", &tracking.current_release_date)?;
    let published = time(&format!("{place}.release_date"), &flaw.release_date)?;
    let initial = time("document.tracking.initial_release_date", &tracking.initial_release_date)?;
    let name = as_str(&flaw.cve).or_else(|| flaw.ids.first().map(|id| id.text.as_str()));
    let id = match parsed.vulnerabilities.len() {
        1 => own.to_owned(),
        _ => format!("{own}/{}", name.map_or_else(|| (number + 1).to_string(), str::to_owned)),
    };
    whole::name(document, place, &id)?;
    let mut aliases: BTreeSet<String> = flaw.cve.iter().map(|cve| cve.as_str().to_owned()).collect();
    aliases.remove(&id);
    let known = status::Known {
        lists: &flaw.product_status,
        remediations: &flaw.remediations,
        scores: &flaw.scores,
        threats: &flaw.threats,
    };
    let known = known.resolve(products);
    let aggregate = parsed.document.aggregate_severity.as_ref();
    let mut severities = known.severities;
    if !severities.iter().any(|severity| matches!(severity, Severity::Word(_))) {
        severities.extend(aggregate.map(|word| Severity::Word(word.text.as_str().to_owned())));
    }
    let described = flaw.notes.iter().filter(|note| as_str(&note.category) == Some("description"));
    let description = described.filter_map(|note| as_str(&note.text)).next();
    Ok(Advisory {
        aliases,
        published: published.or(initial),
        modified,
        withdrawn: rejected([as_str(&flaw.title), description]).then_some(modified.unwrap_or_default()),
        summary: whole::summary([as_str(&flaw.title), description, as_str(&parsed.document.title)]),
        severities,
        affected: known.affected,
        references: references(&flaw.references),
        id,
    })
}

/// A number that was given and taken back: its text starts with the word of the list of CVEs.
fn rejected(texts: [Option<&str>; 2]) -> bool {
    texts.into_iter().flatten().any(|text| {
        let text = text.trim_start();
        text.starts_with("** REJECT") || text.starts_with("Rejected reason:")
    })
}

fn references(links: &[Link<'_>]) -> Vec<Reference> {
    let kind = |link: &Link<'_>| match as_str(&link.category) {
        Some("self") => "ADVISORY".to_owned(),
        _ => "WEB".to_owned(),
    };
    let reference = |link: &Link<'_>| Reference { kind: kind(link), url: link.url.as_str().to_owned() };
    links.iter().map(reference).collect()
}

/// `"2024/cve-2024-1234.json","2024-11-03T07:09:01+00:00"`, a row for each document that was deleted.
fn deletions(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let bytes = whole::bytes(document, reader, whole::WHOLE_LIMIT)?;
    for (number, row) in whole::text(document, &bytes)?.lines().enumerate() {
        let place = format!("row {}", number + 1);
        let row = row.trim();
        if row.is_empty() {
            continue;
        }
        let unquoted = |field: &str| field.trim().trim_matches('"').to_owned();
        let (path, date) = row
            .split_once(',')
            .map(|(path, date)| (unquoted(path), unquoted(date)))
            .ok_or_else(|| FeedError::malformed(document, place.clone(), "a row has a path and a time"))?;
        let id = name_of(&path).ok_or_else(|| {
            FeedError::malformed(document, place.clone(), format!("`{path}` is no path of a document"))
        })?;
        let withdrawn = whole::time(document, &place, Some(&date))?;
        let advisory = withdrawn_advisory(id, withdrawn.unwrap_or_default());
        sink.advisory(advisory).map_err(|error| FeedError::sink(document, error))?;
    }
    Ok(())
}

/// The name of a document by its path: `2024/cve-2024-1234.json`, `2024/rhsa-2024_2705.json`.
fn name_of(path: &str) -> Option<String> {
    let stem = path.rsplit('/').next()?.strip_suffix(".json")?;
    let name = stem.to_ascii_uppercase().replace('_', ":");
    (!name.is_empty()).then_some(name)
}

fn withdrawn_advisory(id: String, withdrawn: Epoch) -> Advisory {
    Advisory {
        id,
        aliases: BTreeSet::new(),
        published: None,
        modified: Some(withdrawn),
        withdrawn: Some(withdrawn),
        summary: String::new(),
        severities: Vec::new(),
        affected: Vec::new(),
        references: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
