//! What is known of the source packages of all images → OSV documents (OSV schema 1.7), one of each flaw in each source
//! package: since which version it is fixed, or that it is not.
//!
//! Pure, as the CSAF documents are: a document that says what it said before stays as it is, byte by byte. One of a flaw that
//! is none any more, in a package that is still there, is marked as withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use serde_json::{Value, json};

use super::csaf::Tree;
use super::foreign::parse;
use crate::feeds::{FeedError, osv_name};
use crate::finding::{Score, ScoreKind};
use crate::model::{Ecosystem, Reference};
use crate::versions::Scheme;

const SCHEMA_VERSION: &str = "1.7.0";

/// A flaw in a source package.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The flaw: its CVE number where it has one.
    pub flaw: String,
    /// Its other names.
    pub aliases: BTreeSet<String>,
    /// The source package.
    pub package: String,
    /// The first version without it; none where there is none yet.
    pub fixed: Option<String>,
    /// How bad it is, in one of the words critical, high, medium, low, negligible; empty where nobody says.
    pub severity: String,
    /// Its scores.
    pub scores: Vec<Score>,
    /// What it is about, in one paragraph.
    pub summary: String,
    /// When it was disclosed.
    pub published: Option<Epoch>,
    /// Where more is said.
    pub references: Vec<Reference>,
}

/// Records of one ecosystem, one of each flaw in each source package.
#[derive(Debug, Clone)]
pub struct Records {
    ecosystem: Ecosystem,
    scheme: Option<Scheme>,
    packages: BTreeSet<String>,
    records: BTreeMap<(String, String), Record>,
}

impl Records {
    /// None yet.
    #[must_use]
    pub fn new(ecosystem: Ecosystem) -> Self {
        let scheme = Scheme::of(&ecosystem);
        Self { ecosystem, scheme, packages: BTreeSet::new(), records: BTreeMap::new() }
    }

    /// That a source package is there, whatever is known of it.
    pub fn has(&mut self, package: &str) {
        if !self.packages.contains(package) {
            self.packages.insert(package.to_owned());
        }
    }

    /// What one more image or feed knows. Of two fixed versions the later one counts, and any counts more than none.
    pub fn add(&mut self, record: Record) {
        self.has(&record.package);
        let key = (record.package.clone(), record.flaw.clone());
        let Some(known) = self.records.get_mut(&key) else {
            self.records.insert(key, record);
            return;
        };
        known.aliases.extend(record.aliases);
        let is_later = |new: &str, old: &str| {
            self.scheme.is_some_and(|scheme| scheme.compare(new, old).is_ok_and(std::cmp::Ordering::is_gt))
        };
        match (&known.fixed, record.fixed) {
            (None, fixed @ Some(_)) => known.fixed = fixed,
            (Some(old), Some(new)) if is_later(&new, old) => known.fixed = Some(new),
            _ => {}
        }
        if known.severity.is_empty() {
            known.severity = record.severity;
        }
        if known.scores.is_empty() {
            known.scores = record.scores;
        }
        if known.summary.is_empty() {
            known.summary = record.summary;
        }
        known.published = known.published.or(record.published);
        for reference in record.references {
            if !known.references.contains(&reference) {
                known.references.push(reference);
            }
        }
    }

    /// The records, by package and flaw, to say more of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.records.values_mut()
    }

    /// The files to publish: `PACKAGE/ID.json`. Nothing where OSV has no name for the ecosystem.
    ///
    /// # Errors
    /// When a document of the previous tree cannot be read.
    pub fn publish(&self, now: Epoch, previous: &Tree) -> Result<Tree, FeedError> {
        let mut tree = Tree::new();
        let Some(ecosystem) = osv_name(&self.ecosystem) else { return Ok(tree) };
        for record in self.records.values() {
            let id = id(&ecosystem, record);
            let path = format!("{}/{id}.json", safe(&record.package));
            let said = document(&ecosystem, &id, record);
            let before = previous.get(&path).map(|bytes| parse::<Value>(&path, bytes)).transpose()?;
            let bytes = match (before, previous.get(&path)) {
                (Some(before), Some(bytes)) if without_time(&before) == said => bytes.clone(),
                _ => bytes_of(said, now),
            };
            tree.insert(path, bytes);
        }
        let packages: BTreeSet<String> = self.packages.iter().map(|package| safe(package)).collect();
        for (path, bytes) in previous {
            if tree.contains_key(path) || !path.ends_with(".json") {
                continue;
            }
            let package = path.split('/').next().unwrap_or_default();
            let mut before: Value = parse(path, bytes)?;
            let is_gone = packages.contains(package) && before.get("withdrawn").is_none();
            let bytes = match before.as_object_mut() {
                Some(members) if is_gone => {
                    members.insert("withdrawn".to_owned(), json!(now.to_string()));
                    members.remove("modified");
                    bytes_of(before, now)
                }
                _ => bytes.clone(),
            };
            tree.insert(path.clone(), bytes);
        }
        Ok(tree)
    }
}

/// `CALYPTE-DEBIAN-zlib-CVE-2026-0001`: the same flaw in another package or ecosystem is another record.
fn id(ecosystem: &str, record: &Record) -> String {
    let world = ecosystem.split(':').next().unwrap_or(ecosystem).to_uppercase();
    safe(&format!("CALYPTE-{world}-{}-{}", record.package, record.flaw))
}

/// A name that is one part of a path.
fn safe(name: &str) -> String {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "+-._~".contains(letter);
    let name: String = name.chars().map(|letter| if is_safe(letter) { letter } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// What is said, without when it was said.
fn document(ecosystem: &str, id: &str, record: &Record) -> Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(record.fixed.as_ref().map(|fixed| json!({ "fixed": fixed })));
    let mut affected = json!({
        "package": {"ecosystem": ecosystem, "name": record.package},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    });
    let mut upstream: BTreeSet<&str> = record.aliases.iter().map(String::as_str).collect();
    upstream.insert(&record.flaw);
    let mut document = json!({"schema_version": SCHEMA_VERSION, "id": id, "upstream": upstream});
    if !record.severity.is_empty() && record.severity != "unknown" {
        affected["database_specific"] = json!({"severity": record.severity});
        document["database_specific"] = json!({"severity": record.severity.to_uppercase()});
    }
    document["affected"] = json!([affected]);
    if !record.summary.trim().is_empty() {
        document["details"] = json!(record.summary.trim());
    }
    if let Some(published) = record.published {
        document["published"] = json!(published.to_string());
    }
    let scores = scores(&record.scores);
    if !scores.is_empty() {
        document["severity"] = json!(scores);
    }
    let is_address = |reference: &&Reference| reference.url.starts_with("http");
    let references: Vec<Value> = record.references.iter().filter(is_address).map(reference).collect();
    if !references.is_empty() {
        document["references"] = json!(references);
    }
    document
}

/// One vector of each version of CVSS.
fn scores(scores: &[Score]) -> Vec<Value> {
    let mut of_kind = BTreeMap::new();
    for score in scores {
        of_kind.entry(score.kind).or_insert(score);
    }
    let name = |kind| match kind {
        ScoreKind::V2 => "CVSS_V2",
        ScoreKind::V3 => "CVSS_V3",
        ScoreKind::V4 => "CVSS_V4",
    };
    of_kind.values().map(|score| json!({"type": name(score.kind), "score": score.vector})).collect()
}

/// The schema's kinds; what is none of them is a page of the web.
fn reference(reference: &Reference) -> Value {
    const KINDS: &[&str] = &[
        "ADVISORY",
        "ARTICLE",
        "DETECTION",
        "DISCUSSION",
        "REPORT",
        "FIX",
        "INTRODUCED",
        "PACKAGE",
        "EVIDENCE",
    ];
    let kind = KINDS.iter().find(|kind| **kind == reference.kind).unwrap_or(&"WEB");
    json!({"type": kind, "url": reference.url})
}

fn without_time(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(members) = document.as_object_mut() {
        members.remove("modified");
    }
    document
}

fn bytes_of(mut document: Value, now: Epoch) -> Vec<u8> {
    document["modified"] = json!(now.to_string());
    // A tree of JSON values always can be written.
    let mut bytes = serde_json::to_vec(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::{Feed, Sink, SinkError};
    use crate::finding::Exploited;
    use crate::model::{Advisory, Event, Severity};

    fn record(flaw: &str, fixed: Option<&str>) -> Record {
        Record {
            flaw: flaw.to_owned(),
            aliases: BTreeSet::new(),
            package: "zlib".to_owned(),
            fixed: fixed.map(str::to_owned),
            severity: "high".to_owned(),
            scores: Vec::new(),
            summary: String::new(),
            published: None,
            references: Vec::new(),
        }
    }

    fn records(of: &[Record]) -> Records {
        let mut records = Records::new(Ecosystem::Debian(Some("sid".to_owned())));
        records.has("zlib");
        of.iter().cloned().for_each(|record| records.add(record));
        records
    }

    /// As a reader of feeds finds them.
    fn read(tree: &Tree) -> Vec<Advisory> {
        struct Into(Vec<Advisory>);
        impl Sink for Into {
            fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
                self.0.push(advisory);
                Ok(())
            }
            fn epss(&mut self, _: &str, _: f64, _: f64) -> Result<(), SinkError> {
                Ok(())
            }
            fn exploited(&mut self, _: &str, _: Exploited) -> Result<(), SinkError> {
                Ok(())
            }
            fn dated(&mut self, _: Epoch) {}
        }
        let mut sink = Into(Vec::new());
        for (path, bytes) in tree {
            crate::feeds::read(Feed::Osv, path, &mut bytes.as_slice(), &mut sink).unwrap();
        }
        sink.0
    }

    #[test]
    fn a_reader_finds_what_is_fixed_and_what_is_not() {
        let tree = records(&[record("CVE-2026-0001", Some("1:2")), record("CVE-2026-0002", None)])
            .publish(Epoch(1_800_000_000), &Tree::new())
            .unwrap();
        let read = read(&tree);
        assert_eq!(read.len(), 2);
        let events = |place: usize| &read[place].affected[0].ranges[0].events;
        let introduced = Event::Introduced("0".to_owned());
        assert_eq!(*events(0), [introduced.clone(), Event::Fixed("1:2".to_owned())]);
        assert_eq!(*events(1), [introduced]);
        assert_eq!(read[0].affected[0].ecosystem, Ecosystem::Debian(Some("sid".to_owned())));
        assert_eq!(read[0].aliases, BTreeSet::from(["CVE-2026-0001".to_owned()]));
        assert!(read[0].severities.contains(&Severity::Word("HIGH".to_owned())));
        assert_eq!(read[0].modified, Some(Epoch(1_800_000_000)));
    }

    #[test]
    fn only_what_changed_has_a_new_time() {
        let (first, now) = (Epoch(1_800_000_000), Epoch(1_900_000_000));
        let both = [record("CVE-2026-0001", None), record("CVE-2026-0002", None)];
        let before = records(&both).publish(first, &Tree::new()).unwrap();
        assert_eq!(records(&both).publish(now, &before).unwrap(), before);
        let fixed = [record("CVE-2026-0001", Some("3")), record("CVE-2026-0002", None)];
        let after = records(&fixed).publish(now, &before).unwrap();
        let changed: Vec<_> = after.iter().filter(|(path, bytes)| before[*path] != **bytes).collect();
        assert_eq!(changed.len(), 1);
        assert!(changed[0].0.ends_with("CVE-2026-0001.json"), "{changed:?}");
    }

    #[test]
    fn what_is_no_flaw_any_more_is_withdrawn_where_the_package_is_still_there() {
        let before = records(&[record("CVE-2026-0001", None)]).publish(Epoch(1), &Tree::new()).unwrap();
        let after = records(&[]).publish(Epoch(1_900_000_000), &before).unwrap();
        assert_eq!(read(&after)[0].withdrawn, Some(Epoch(1_900_000_000)));
        assert_eq!(records(&[]).publish(Epoch(2_000_000_000), &after).unwrap(), after);
        let elsewhere = Records::new(Ecosystem::Debian(Some("sid".to_owned())));
        assert_eq!(elsewhere.publish(Epoch(1_900_000_000), &before).unwrap(), before);
    }

    #[test]
    fn the_later_fix_counts() {
        let all = records(&[
            record("CVE-2026-0001", None),
            record("CVE-2026-0001", Some("1.10")),
            record("CVE-2026-0001", Some("1.9")),
        ]);
        let fixed: Vec<_> = all.records.values().map(|record| record.fixed.as_deref()).collect();
        assert_eq!(fixed, [Some("1.10")]);
    }
}
