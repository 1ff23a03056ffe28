//! What counts for all images, and the files that were published before → the files to publish (CSAF 2.0, section 7): a
//! document for each flaw in the directory of its year, the hashes of each, and the lists by which others find what changed.
//! Pure: paths to bytes, with the time as an argument.
//!
//! A document whose content is the same stays as it is, byte by byte, also when a newer version of the program would write it;
//! one whose content changed gets a revision more. What is no longer there is listed among the deletions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use calypte_base::Epoch;
use calypte_sbom::write::Tool;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::write::{Facts, Publisher, Revision, document};
use crate::feeds::FeedError;
use crate::vex::foreign::{malformed, parse};
use crate::vex::merge::Decided;

/// Files by their paths below the directory that is published.
pub type Tree = BTreeMap<String, Vec<u8>>;

const FEED: &str = "feed-tlp-white.json";
const DELETIONS: &str = "deletions.csv";

/// By whom, with what, where and when documents are published.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// By whom.
    pub publisher: &'a Publisher,
    /// With what.
    pub tool: &'a Tool,
    /// The address of the directory, without a slash at the end.
    pub base: &'a str,
    /// When: the time of new revisions.
    pub now: Epoch,
}

/// The files to publish. `facts` are of flaws by their names; of those that are not there nothing is said but what the
/// statements say.
///
/// # Errors
/// When a document of the previous tree is not one that this could have written: with its path and the place in it.
pub fn publish(
    decided: &[Decided],
    facts: &BTreeMap<String, Facts>,
    publication: &Publication<'_>,
    previous: &Tree,
) -> Result<Tree, FeedError> {
    let mut flaws: BTreeMap<&str, Vec<&Decided>> = BTreeMap::new();
    for decided in decided {
        flaws.entry(&decided.statement.flaw).or_default().push(decided);
    }
    let known: BTreeMap<&str, (&str, &[u8])> = previous
        .iter()
        .filter_map(|(path, bytes)| Some((name_of(path)?, (path.as_str(), bytes.as_slice()))))
        .collect();
    let (mut tree, mut entries) = (Tree::new(), Vec::new());
    let none = Facts::default();
    for (flaw, decided) in flaws {
        let facts = facts.get(flaw).unwrap_or(&none);
        let name = file_name(flaw);
        let (entry, bytes) =
            one(flaw, &decided, facts, publication, &name, known.get(name.as_str()).copied())?;
        let path = entry.path.clone();
        entries.push(entry);
        if tree.insert(path.clone(), bytes).is_some() {
            return Err(malformed(
                &path,
                "document.tracking.id",
                format!("`{flaw}` and another flaw would have this one file"),
            ));
        }
    }
    let deletions = deletions(&tree, previous, publication.now);
    // Newest first, as the standard has it.
    entries.sort_by(|left, right| right.updated.cmp(&left.updated).then_with(|| left.path.cmp(&right.path)));
    let newest = entries
        .iter()
        .map(|entry| entry.updated.as_str())
        .chain(deletions.values().map(String::as_str))
        .max();
    let newest = newest.map_or_else(|| publication.now.to_string(), str::to_owned);
    let mut hashes = Tree::new();
    for (path, bytes) in &tree {
        let name = path.rsplit('/').next().unwrap_or(path);
        hashes.insert(
            format!("{path}.sha256"),
            format!("{}  {name}\n", hex(&Sha256::digest(bytes))).into_bytes(),
        );
        hashes.insert(
            format!("{path}.sha512"),
            format!("{}  {name}\n", hex(&Sha512::digest(bytes))).into_bytes(),
        );
    }
    let index: String = tree.keys().map(|path| format!("{path}\n")).collect();
    let changes: String =
        entries.iter().map(|entry| format!("\"{}\",\"{}\"\n", entry.path, entry.updated)).collect();
    let mut gone: Vec<_> = deletions.iter().collect();
    gone.sort_by(|left, right| right.1.cmp(left.1).then_with(|| left.0.cmp(right.0)));
    let gone: String = gone.into_iter().map(|(path, date)| format!("\"{path}\",\"{date}\"\n")).collect();
    tree.extend(hashes);
    tree.insert("index.txt".to_owned(), index.into_bytes());
    tree.insert("changes.csv".to_owned(), changes.into_bytes());
    tree.insert(DELETIONS.to_owned(), gone.into_bytes());
    tree.insert(FEED.to_owned(), bytes_of(&feed(&entries, publication, &newest)));
    tree.insert("provider-metadata.json".to_owned(), bytes_of(&metadata(publication, &newest)));
    Ok(tree)
}

/// The document about a flaw: its place in the lists and its bytes. `known` is the one that was
/// published before.
fn one(
    flaw: &str,
    decided: &[&Decided],
    facts: &Facts,
    publication: &Publication<'_>,
    name: &str,
    known: Option<(&str, &[u8])>,
) -> Result<(Entry, Vec<u8>), FeedError> {
    let mut revisions = Vec::new();
    if let Some((path, bytes)) = known {
        let before: Value = parse(path, bytes)?;
        revisions = revisions_of(path, &before)?;
        let again = document(flaw, decided, facts, publication, &revisions, path);
        if content(&again) == content(&before) {
            return Ok((Entry::of(flaw, path, &before, &revisions), bytes.to_vec()));
        }
    }
    let summary = if revisions.is_empty() { "First version." } else { "What is known of products changed." };
    // A clock that was set back makes no history that runs backwards.
    let last = revisions.last().and_then(|revision| revision.date.parse().ok());
    let date = last.map_or(publication.now, |last: Epoch| last.max(publication.now));
    revisions.push(Revision { date: date.to_string(), summary: summary.to_owned() });
    let first = revisions.first().map(|revision| revision.date.as_str()).unwrap_or_default();
    let year = first.split('-').next().unwrap_or_default();
    let path = known.map_or_else(|| format!("{year}/{name}"), |(path, _)| path.to_owned());
    let document = document(flaw, decided, facts, publication, &revisions, &path);
    Ok((Entry::of(flaw, &path, &document, &revisions), bytes_of(&document)))
}

fn revisions_of(path: &str, document: &Value) -> Result<Vec<Revision>, FeedError> {
    let place = "document.tracking.revision_history";
    let wrong = |reason: &str| malformed(path, place, reason);
    let history = document.pointer("/document/tracking/revision_history").and_then(Value::as_array);
    let history = history.ok_or_else(|| wrong("it is no list"))?;
    let mut revisions = Vec::new();
    for revision in history {
        let text = |member: &str| revision.get(member).and_then(Value::as_str).map(str::to_owned);
        let (date, summary) =
            text("date").zip(text("summary")).ok_or_else(|| wrong("an entry has no date or summary"))?;
        date.parse::<Epoch>().map_err(|error| wrong(&error.to_string()))?;
        revisions.push(Revision { date, summary });
    }
    if revisions.is_empty() { Err(wrong("it is empty")) } else { Ok(revisions) }
}

/// What of a document counts when it is asked whether it changed: all but which version of the program wrote it.
fn content(document: &Value) -> Value {
    let mut content = document.clone();
    if let Some(tracking) = content.pointer_mut("/document/tracking").and_then(Value::as_object_mut) {
        tracking.remove("generator");
    }
    content
}

/// The name of a document's file (CSAF 2.0, 5.1): small letters, digits, `+` and `-`; a `_` for all else.
fn file_name(flaw: &str) -> String {
    let mut name = String::new();
    for letter in flaw.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() || letter == '+' || letter == '-' {
            name.push(letter);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name + ".json"
}

/// The name of a document by its path, `YEAR/NAME.json`; none for other files.
fn name_of(path: &str) -> Option<&str> {
    let (year, name) = path.split_once('/')?;
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    (is_year && name.ends_with(".json") && !name.contains('/')).then_some(name)
}

/// What was published once and is not any more, each with when it went.
fn deletions(tree: &Tree, previous: &Tree, now: Epoch) -> BTreeMap<String, String> {
    let listed = previous.get(DELETIONS).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let mut deletions: BTreeMap<String, String> = BTreeMap::new();
    for line in listed.lines() {
        let parts = line
            .strip_prefix('"')
            .and_then(|line| line.strip_suffix('"'))
            .and_then(|line| line.split_once("\",\""));
        deletions.extend(parts.map(|(path, date)| (path.to_owned(), date.to_owned())));
    }
    let gone: BTreeSet<&String> = previous.keys().filter(|path| name_of(path).is_some()).collect();
    for path in gone {
        deletions.insert(path.clone(), now.to_string());
    }
    deletions.retain(|path, _| !tree.contains_key(path));
    deletions
}

/// A document in the lists.
struct Entry {
    flaw: String,
    path: String,
    title: String,
    published: String,
    updated: String,
}

impl Entry {
    fn of(flaw: &str, path: &str, document: &Value, revisions: &[Revision]) -> Self {
        let title = document.pointer("/document/title").and_then(Value::as_str).unwrap_or(flaw);
        let date =
            |revision: Option<&Revision>| revision.map(|revision| revision.date.clone()).unwrap_or_default();
        Self {
            flaw: flaw.to_owned(),
            path: path.to_owned(),
            title: title.to_owned(),
            published: date(revisions.first()),
            updated: date(revisions.last()),
        }
    }
}

/// The feed (ROLIE, RFC 8322; CSAF 2.0, 7.1.15).
fn feed(entries: &[Entry], publication: &Publication<'_>, newest: &str) -> Value {
    let base = publication.base;
    let entry = |entry: &Entry| {
        let url = format!("{base}/{}", entry.path);
        json!({
            "id": entry.flaw,
            "title": entry.title,
            "link": [
                {"rel": "self", "href": url},
                {"rel": "hash", "href": format!("{url}.sha256")},
                {"rel": "hash", "href": format!("{url}.sha512")},
            ],
            "published": entry.published,
            "updated": entry.updated,
            "summary": {"content": entry.title},
            "content": {"type": "application/json", "src": url},
            "format": {
                "schema": "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json", "version": "2.0",
            },
        })
    };
    json!({"feed": {
        "id": "csaf-feed-tlp-white",
        "title": format!("VEX of {}", publication.publisher.name),
        "link": [{"rel": "self", "href": format!("{base}/{FEED}")}],
        "category": [{"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"}],
        "updated": newest,
        "entry": entries.iter().map(entry).collect::<Vec<_>>(),
    }})
}

/// Who publishes what where (CSAF 2.0, 7.1.7).
fn metadata(publication: &Publication<'_>, newest: &str) -> Value {
    let Publication { publisher, base, .. } = publication;
    let mut from =
        json!({"category": publisher.category, "name": publisher.name, "namespace": publisher.namespace});
    if let Some(contact) = &publisher.contact {
        from["contact_details"] = json!(contact);
    }
    json!({
        "canonical_url": format!("{base}/provider-metadata.json"),
        "distributions": [
            {"directory_url": format!("{base}/")},
            {"rolie": {"feeds": [{
                "summary": "All documents", "tlp_label": "WHITE", "url": format!("{base}/{FEED}"),
            }]}},
        ],
        "last_updated": newest,
        "list_on_CSAF_aggregators": true,
        "metadata_version": "2.0",
        "mirror_on_CSAF_aggregators": true,
        "publisher": from,
        "role": "csaf_provider",
    })
}

fn bytes_of(document: &Value) -> Vec<u8> {
    // A tree of JSON values always can be written.
    let mut bytes = serde_json::to_vec(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
