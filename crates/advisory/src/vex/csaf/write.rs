//! What counts for one flaw, over all images → one CSAF document.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use serde_json::{Value, json};

use super::products::Products;
use super::provider::Publication;
use crate::cve::is_cve;
use crate::finding::{Score, ScoreKind};
use crate::model::Reference;
use crate::vex::merge::Decided;
use crate::vex::model::{Statement, Status};

/// Who publishes (CSAF 2.0, 3.2.1.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The name.
    pub name: String,
    /// An address under its control.
    pub namespace: String,
    /// Its category: `vendor`, `coordinator`, `discoverer`, `translator`, `user`, `other`.
    pub category: String,
    /// How it can be reached.
    pub contact: Option<String>,
}

/// What is known of a flaw itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// What it is about, in one paragraph.
    pub summary: String,
    /// How bad it is; of each version of CVSS the first counts.
    pub scores: Vec<Score>,
    /// Where more is said.
    pub references: Vec<Reference>,
    /// When it was disclosed.
    pub published: Option<Epoch>,
}

/// A revision of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revision {
    /// When it was made.
    pub date: String,
    /// What changed.
    pub summary: String,
}

/// The document about one flaw, with these revisions, the oldest first, numbered from 1.
pub(super) fn document(
    flaw: &str,
    decided: &[&Decided],
    facts: &Facts,
    publication: &Publication<'_>,
    revisions: &[Revision],
    path: &str,
) -> Value {
    let publisher = publication.publisher;
    let products = Products::of(decided);
    let date =
        |revision: Option<&Revision>| revision.map(|revision| revision.date.clone()).unwrap_or_default();
    let history: Vec<Value> = revisions
        .iter()
        .enumerate()
        .map(|(place, revision)| {
            json!({"date": revision.date, "number": (place + 1).to_string(), "summary": revision.summary})
        })
        .collect();
    let mut from = json!({
        "category": publisher.category, "name": publisher.name, "namespace": publisher.namespace,
    });
    if let Some(contact) = &publisher.contact {
        from["contact_details"] = json!(contact);
    }
    let about = format!("What is known of {flaw} in the images of {}.", publisher.name);
    json!({
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "distribution": {"tlp": {"label": "WHITE", "url": "https://www.first.org/tlp/"}},
            "lang": "en",
            "notes": [{"category": "summary", "text": about, "title": "Summary"}],
            "publisher": from,
            "references": [{
                "category": "self", "summary": "This document", "url": format!("{}/{path}", publication.base),
            }],
            "title": format!("{flaw} in the images of {}", publisher.name),
            "tracking": {
                "current_release_date": date(revisions.last()),
                "generator": {
                    "date": date(revisions.last()),
                    "engine": {"name": publication.tool.name, "version": publication.tool.version},
                },
                "id": flaw,
                "initial_release_date": date(revisions.first()),
                "revision_history": history,
                "status": "final",
                "version": revisions.len().to_string(),
            },
        },
        "product_tree": products.tree(&publisher.name),
        "vulnerabilities": [vulnerability(flaw, &products, facts)],
    })
}

fn vulnerability(flaw: &str, products: &Products<'_>, facts: &Facts) -> Value {
    let description =
        if facts.summary.trim().is_empty() { "No description is known." } else { facts.summary.trim() };
    let mut notes = vec![json!({"category": "description", "text": description, "title": "Description"})];
    let mut references: BTreeSet<(String, String)> = facts
        .references
        .iter()
        .filter(|reference| is_address(&reference.url))
        .map(|reference| (reference.url.clone(), reference.kind.clone()))
        .collect();
    for statement in products.said.values() {
        match &statement.evidence {
            Some(evidence) if is_address(evidence) => {
                references.insert((evidence.clone(), "Evidence".to_owned()));
            }
            Some(evidence) => {
                let note = json!({"category": "details", "text": evidence, "title": "Evidence"});
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            None => {}
        }
    }
    let mut document = json!({"notes": notes, "product_status": product_status(products)});
    name(flaw, products, &mut document);
    let references: Vec<Value> = references
        .into_iter()
        .map(|(url, summary)| {
            let summary = if summary.is_empty() { "More".to_owned() } else { summary };
            json!({"category": "external", "summary": summary, "url": url})
        })
        .collect();
    let parts = [
        ("flags", flags(products)),
        ("references", references),
        ("remediations", remediations(products)),
        ("scores", scores(products, facts)),
        ("threats", threats(products)),
    ];
    for (member, items) in parts.into_iter().filter(|(_, items)| !items.is_empty()) {
        document[member] = json!(items);
    }
    if let Some(published) = facts.published {
        document["release_date"] = json!(published.to_string());
    }
    document
}

/// The flaw's number, and its other names.
fn name(flaw: &str, products: &Products<'_>, document: &mut Value) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for statement in products.said.values() {
        names.extend(statement.aliases.iter().map(String::as_str));
    }
    if is_cve(flaw) {
        document["cve"] = json!(flaw);
    } else {
        names.insert(flaw);
    }
    let ids: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let system = if name.starts_with("GHSA-") { "GitHub Security Advisory" } else { "Other name" };
            json!({"system_name": system, "text": name})
        })
        .collect();
    if !ids.is_empty() {
        document["ids"] = json!(ids);
    }
}

/// By the pattern of the standard's schema.
fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

fn product_status(products: &Products<'_>) -> Value {
    let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, statement) in &products.said {
        let list = match statement.status {
            Status::Fixed => "fixed",
            Status::NotAffected => "known_not_affected",
            Status::UnderInvestigation => "under_investigation",
            Status::Affected => "known_affected",
        };
        lists.entry(list).or_default().push(id);
    }
    json!(lists)
}

/// The products of which the same thing is said, with it.
fn grouped<'a, K: Ord>(
    products: &'a Products<'_>,
    said: impl Fn(&'a Statement) -> Option<K>,
) -> impl Iterator<Item = (K, Vec<&'a str>)> {
    let mut groups: BTreeMap<K, Vec<&str>> = BTreeMap::new();
    for (id, statement) in &products.said {
        if let Some(key) = said(statement) {
            groups.entry(key).or_default().push(id);
        }
    }
    groups.into_iter()
}

fn flags(products: &Products<'_>) -> Vec<Value> {
    let said = |statement: &Statement| Some((statement.justification?, statement.updated));
    grouped(products, said)
        .map(
            |((word, date), ids)| json!({"date": date.to_string(), "label": word.word(), "product_ids": ids}),
        )
        .collect()
}

/// Why products are not affected, in words.
fn threats(products: &Products<'_>) -> Vec<Value> {
    let said = |statement: &Statement| {
        let why = statement.impact.clone().or_else(|| statement.notes.clone());
        (statement.status == Status::NotAffected).then_some((why?, statement.updated))
    };
    grouped(products, said)
        .map(|((why, date), ids)| {
            json!({"category": "impact", "date": date.to_string(), "details": why, "product_ids": ids})
        })
        .collect()
}

fn remediations(products: &Products<'_>) -> Vec<Value> {
    let said = |statement: &Statement| {
        let (category, details) = match (statement.status, &statement.action) {
            (Status::Affected, Some(action)) => ("mitigation", action.clone()),
            (Status::Affected, None) => ("none_available", "There is no fix yet.".to_owned()),
            (Status::Fixed, _) => {
                let notes = statement.notes.clone();
                ("vendor_fix", notes.unwrap_or_else(|| "This version has the fix.".to_owned()))
            }
            _ => return None,
        };
        Some((category, details, statement.updated))
    };
    grouped(products, said)
        .map(|((category, details, date), ids)| {
            json!({"category": category, "date": date.to_string(), "details": details, "product_ids": ids})
        })
        .collect()
}

/// One score of each version that the standard knows, for all products.
fn scores(products: &Products<'_>, facts: &Facts) -> Vec<Value> {
    let ids: Vec<&String> = products.said.keys().collect();
    let mut score = json!({ "products": ids });
    for (kind, member) in [(ScoreKind::V2, "cvss_v2"), (ScoreKind::V3, "cvss_v3")] {
        let Some(found) = facts.scores.iter().find(|score| score.kind == kind) else { continue };
        score[member] = if kind == ScoreKind::V2 {
            json!({"version": "2.0", "vectorString": found.vector, "baseScore": found.score})
        } else {
            let version = if found.vector.starts_with("CVSS:3.0/") { "3.0" } else { "3.1" };
            json!({
                "version": version, "vectorString": found.vector, "baseScore": found.score,
                "baseSeverity": severity(found.score),
            })
        };
    }
    let has_score = score.as_object().is_some_and(|members| members.len() > 1);
    if has_score { vec![score] } else { Vec::new() }
}

/// CVSS 3.1, section 5.
fn severity(score: f64) -> &'static str {
    match score {
        score if score >= 9.0 => "CRITICAL",
        score if score >= 7.0 => "HIGH",
        score if score >= 4.0 => "MEDIUM",
        score if score > 0.0 => "LOW",
        _ => "NONE",
    }
}
