//! What counts for images → one OpenVEX document. Its time is that of its newest statement, its identifier is the digest of
//! what it says: the same statements give the same bytes.
//!
//! A product is the image, by its digest, with the packages of it as subcomponents. Some scanners look for the package as a
//! product of its own: so what holds of a package in any image is said of the package as well, in the same statement.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use calypte_sbom::write::Tool;
use serde::Serialize;

use super::CONTEXT;
use crate::vex::merge::Decided;
use crate::vex::model::{ImageId, Statement};
use crate::vex::purl::Purl;

/// Who answers for the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The organisation or person.
    pub name: String,
    /// Its part (`Document Creator`); none where it is not to be said.
    pub role: Option<String>,
    /// The address that identifiers of documents begin with, without a slash at the end (`https://example.org/vex`).
    pub namespace: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@id")]
    id: String,
    author: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    timestamp: String,
    version: u32,
    tooling: String,
    statements: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    vulnerability: Vulnerability<'a>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated: Option<String>,
    products: Vec<Product>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_notes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impact_statement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_statement: Option<&'a str>,
}

#[derive(Serialize)]
struct Vulnerability<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    aliases: &'a BTreeSet<String>,
}

/// Serde hands a reference to the member, which is one itself.
fn is_empty(names: &&BTreeSet<String>) -> bool {
    names.is_empty()
}

#[derive(Serialize)]
struct Product {
    #[serde(rename = "@id")]
    id: String,
    identifiers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    hashes: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subcomponents: Vec<Subcomponent>,
}

#[derive(Serialize)]
struct Subcomponent {
    #[serde(rename = "@id")]
    id: String,
}

/// Writes what counts ([`crate::vex::for_image`]) for one image, or for several. What says the same of several products
/// becomes one statement; no flaw and product are in two.
#[must_use]
pub fn write(decided: &[Decided], author: &Author, tool: &Tool) -> Vec<u8> {
    let mut together: BTreeMap<Statement, Vec<&Decided>> = BTreeMap::new();
    for decided in decided {
        together.entry(decided.statement.without_products()).or_default().push(decided);
    }
    let mut general = BTreeSet::new();
    let statements: Vec<Entry<'_>> =
        together.iter().map(|(said, of)| entry(said, products(&said.flaw, of, &mut general))).collect();
    let newest = together.keys().map(|said| said.updated).max().unwrap_or(Epoch(0));
    // Statements are plain values in ordered containers: they always can be written.
    let content = serde_json::to_vec(&statements).unwrap_or_default();
    let document = Document {
        context: CONTEXT,
        id: format!("{}/{}", author.namespace, Digest::of(&content).hex()),
        author: &author.name,
        role: author.role.as_deref(),
        timestamp: newest.to_string(),
        version: 1,
        tooling: format!("{} {}", tool.name, tool.version),
        statements,
    };
    let mut bytes = serde_json::to_vec(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn entry(said: &Statement, products: Vec<Product>) -> Entry<'_> {
    let evidence = said.evidence.as_ref().map(|evidence| format!("Evidence: {evidence}"));
    let notes: Vec<String> = said.notes.iter().cloned().chain(evidence).collect();
    Entry {
        vulnerability: Vulnerability { name: &said.flaw, aliases: &said.aliases },
        timestamp: said.issued.to_string(),
        last_updated: (said.updated != said.issued).then(|| said.updated.to_string()),
        products,
        status: said.status.word(),
        status_notes: (!notes.is_empty()).then(|| notes.join(" ")),
        justification: said.justification.map(|word| word.word()),
        impact_statement: said.impact.as_deref(),
        action_statement: said.action.as_deref(),
    }
}

/// The images with their packages, then the packages themselves, each of a flaw once.
fn products(flaw: &str, decided: &[&Decided], general: &mut BTreeSet<(String, Purl)>) -> Vec<Product> {
    let mut images: BTreeMap<&ImageId, BTreeSet<&Purl>> = BTreeMap::new();
    let mut packages = BTreeSet::new();
    for decided in decided {
        images.entry(&decided.image).or_default().extend(&decided.package);
        let own = decided.package.as_ref().filter(|_| decided.is_general);
        packages.extend(own.filter(|purl| general.insert((flaw.to_owned(), (*purl).clone()))));
    }
    let mut products: Vec<Product> =
        images.into_iter().map(|(image, parts)| of_image(image, &parts)).collect();
    let forms = packages.into_iter().flat_map(Purl::published);
    products.extend(forms.map(|purl| purl.to_string()).map(|purl| Product {
        id: purl.clone(),
        identifiers: BTreeMap::from([("purl", purl)]),
        hashes: BTreeMap::new(),
        subcomponents: Vec::new(),
    }));
    products
}

fn of_image(image: &ImageId, parts: &BTreeSet<&Purl>) -> Product {
    let purl = image.purl().to_string();
    Product {
        id: purl.clone(),
        identifiers: BTreeMap::from([("purl", purl)]),
        hashes: image.digest.iter().map(|digest| ("sha-256", digest.hex())).collect(),
        subcomponents: parts
            .iter()
            .flat_map(|part| part.published())
            .map(|part| Subcomponent { id: part.to_string() })
            .collect(),
    }
}
