//! An OpenVEX document → statements. Of 0.0.1 as well, where flaws and products are mere texts.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use serde::Deserialize;

use super::CONTEXT;
use crate::feeds::FeedError;
use crate::vex::foreign::{Budget, Foreign, malformed, parse, product, time, whole};
use crate::vex::model::{Justification, Origin, Statement, Status, Whole};

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@context")]
    context: String,
    timestamp: Option<String>,
    last_updated: Option<String>,
    statements: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    vulnerability: Vulnerability,
    timestamp: Option<String>,
    last_updated: Option<String>,
    #[serde(default)]
    products: Vec<Product>,
    status: Status,
    status_notes: Option<String>,
    justification: Option<Justification>,
    impact_statement: Option<String>,
    action_statement: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    Named {
        name: String,
        #[serde(default)]
        aliases: BTreeSet<String>,
    },
    Plain(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Product {
    // In a box, so that a list of texts costs no more than texts.
    Whole(Box<Component>),
    Plain(String),
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "@id")]
    id: Option<String>,
    #[serde(default)]
    identifiers: BTreeMap<String, String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    #[serde(default)]
    subcomponents: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Component(Box<Subcomponent>),
    Plain(String),
}

#[derive(Deserialize)]
struct Subcomponent {
    #[serde(rename = "@id")]
    id: Option<String>,
    #[serde(default)]
    identifiers: BTreeMap<String, String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads a document.
///
/// # Errors
/// When it is no sound OpenVEX document: with its name and the place in it.
pub fn read(document: &str, bytes: &[u8]) -> Result<Foreign, FeedError> {
    let written: Document = parse(document, bytes)?;
    let family = CONTEXT.rsplit_once("/v").map_or(CONTEXT, |(family, _)| family);
    if !written.context.starts_with(family) {
        let reason = format!("`{}` is no context of OpenVEX", written.context);
        return Err(malformed(document, "@context", reason));
    }
    let first = written.timestamp.as_deref().map(|text| time(document, || "timestamp".to_owned(), text));
    let first = first.transpose()?;
    let last = written.last_updated.as_deref().map(|text| time(document, || "last_updated".to_owned(), text));
    let last = last.transpose()?.or(first);
    let mut reader =
        Reader { document, times: (first, last), budget: Budget::default(), out: Foreign::default() };
    for (number, entry) in written.statements.into_iter().enumerate() {
        reader.statement(entry, &format!("statements[{number}]"))?;
    }
    Ok(reader.out)
}

struct Reader<'a> {
    document: &'a str,
    /// When the document was made, and last changed.
    times: (Option<Epoch>, Option<Epoch>),
    budget: Budget,
    out: Foreign,
}

impl Reader<'_> {
    fn statement(&mut self, entry: Entry, place: &str) -> Result<(), FeedError> {
        let document = self.document;
        let (flaw, aliases) = match entry.vulnerability {
            Vulnerability::Named { name, aliases } => (name, aliases),
            Vulnerability::Plain(name) => (name, BTreeSet::new()),
        };
        if flaw.is_empty() {
            return Err(malformed(document, format!("{place}.vulnerability"), "its name is empty"));
        }
        if entry.status != Status::NotAffected && entry.justification.is_some() {
            let reason = format!("a justification is for `not_affected`, and this is `{}`", entry.status);
            return Err(malformed(document, format!("{place}.justification"), reason));
        }
        let (issued, updated) = self.times(&entry.timestamp, &entry.last_updated, place)?;
        let mut products = BTreeSet::new();
        for (number, written) in entry.products.into_iter().enumerate() {
            self.products(written, &format!("{place}.products[{number}]"), &mut products)?;
        }
        if products.is_empty() {
            return Ok(());
        }
        self.out.statements.push(Statement {
            flaw,
            aliases,
            products,
            status: entry.status,
            justification: entry.justification,
            impact: entry.impact_statement.filter(|text| !text.is_empty()),
            action: entry.action_statement.filter(|text| !text.is_empty()),
            notes: entry.status_notes.filter(|text| !text.is_empty()),
            evidence: None,
            paths: BTreeSet::new(),
            issued,
            updated,
            origin: Origin::Foreign(document.to_owned()),
        });
        Ok(())
    }

    /// The times of a statement: its own, otherwise the document's (OpenVEX, "Inheritance Model").
    fn times(
        &self,
        first: &Option<String>,
        last: &Option<String>,
        place: &str,
    ) -> Result<(Epoch, Epoch), FeedError> {
        let read = |text: &Option<String>, member: &str| {
            let member = || format!("{place}.{member}");
            text.as_deref().map(|text| time(self.document, member, text)).transpose()
        };
        let own = read(first, "timestamp")?;
        let issued = own.or(self.times.0);
        let issued = issued.ok_or_else(|| {
            malformed(self.document, place, "neither it nor the document has a `timestamp`")
        })?;
        let updated = read(last, "last_updated")?.or(own).or(self.times.1).unwrap_or(issued);
        Ok((issued, updated))
    }

    fn products(
        &mut self,
        written: Product,
        place: &str,
        products: &mut BTreeSet<crate::vex::Product>,
    ) -> Result<(), FeedError> {
        let document = self.document;
        let component = match written {
            Product::Whole(component) => *component,
            Product::Plain(id) => Component {
                id: Some(id),
                identifiers: BTreeMap::new(),
                hashes: BTreeMap::new(),
                subcomponents: Vec::new(),
            },
        };
        self.budget.take(document, || place.to_owned())?;
        let known = identify(component.id, &component.identifiers);
        let Some(known) = known.and_then(|known| with_hashes(known, &component.hashes)) else {
            self.out.unknown_products += 1;
            return Ok(());
        };
        if component.subcomponents.is_empty() {
            products.insert(product(known, None));
            return Ok(());
        }
        for part in component.subcomponents {
            self.budget.take(document, || place.to_owned())?;
            let part = match part {
                // What a package's hashes are of cannot be told: it is that file, and no other of its name.
                Part::Component(part) if !part.hashes.is_empty() => None,
                Part::Component(part) => identify(part.id, &part.identifiers),
                Part::Plain(id) => identify(Some(id), &BTreeMap::new()),
            };
            match part {
                Some(Whole::Package(purl)) => {
                    products.insert(product(known.clone(), Some(purl)));
                }
                _ => self.out.unknown_products += 1,
            }
        }
        Ok(())
    }
}

/// By its package URL, wherever that is said; otherwise by its id, or by its CPE.
fn identify(id: Option<String>, identifiers: &BTreeMap<String, String>) -> Option<Whole> {
    let purl = id.iter().chain(identifiers.get("purl")).find(|id| id.starts_with("pkg:"));
    let cpe = || identifiers.get("cpe22").or_else(|| identifiers.get("cpe23"));
    whole(purl.or(id.as_ref()).or_else(cpe)?)
}

/// The product narrowed to what has these hashes; none where they cannot be used as an image's digest, or are of another than
/// its id says. Without them more would be meant than the document says.
fn with_hashes(mut known: Whole, hashes: &BTreeMap<String, String>) -> Option<Whole> {
    if hashes.is_empty() {
        return Some(known);
    }
    let digest = hashes.get("sha-256")?.parse::<Digest>().ok()?;
    match &mut known {
        Whole::Image(image) if image.digest.is_none_or(|own| own == digest) => image.digest = Some(digest),
        Whole::Name(name) => {
            let (_, own) = name.rsplit_once('@').unwrap_or(("", name));
            match own.parse::<Digest>() {
                Ok(own) if own == digest => {}
                Ok(_) => return None,
                Err(_) => *name = format!("{name}@{digest}"),
            }
        }
        _ => return None,
    }
    Some(known)
}
