//! When statements were made: what an image's document said before keeps its times, and what it says anew has the present
//! one. Reviewed statements are not touched: their files say when.

use std::collections::BTreeMap;

use calypte_advisory::vex::Decided;
use calypte_advisory::vex::model::Origin;
use calypte_base::Epoch;
use serde_json::Value;

/// What a document says of a flaw in a package, in the words of its members, and since when.
#[derive(Debug)]
struct Said {
    words: [Option<String>; 5],
    issued: Option<Epoch>,
    updated: Option<Epoch>,
}

/// A flaw, and a package as documents write it; empty for all of the image.
type Key = (String, String);

/// Gives statements their times, by the document that was published before. Without one they keep those that follow from the
/// image. A document that cannot be read says nothing.
pub(super) fn keep(
    decided: &mut [Decided],
    previous: Option<&[u8]>,
    write: impl Fn(&[Decided]) -> Vec<u8>,
    now: Epoch,
) {
    let Some(previous) = previous else { return };
    let (before, after) = (said(previous), said(&write(decided)));
    for one in decided.iter_mut().filter(|one| !matches!(one.statement.origin, Origin::Reviewed(_))) {
        let package = one.package.as_ref().and_then(|purl| purl.published().into_iter().next());
        let key = (one.statement.flaw.clone(), package.map(|purl| purl.to_string()).unwrap_or_default());
        let (before, after) = (before.get(&key), after.get(&key));
        let statement = &mut one.statement;
        let Some(before) = before else {
            (statement.issued, statement.updated) = (now, now);
            continue;
        };
        statement.issued = before.issued.unwrap_or(statement.issued);
        let is_same = after.is_some_and(|after| after.words == before.words);
        let updated = if is_same { before.updated.unwrap_or(statement.issued) } else { now };
        statement.updated = updated.max(statement.issued);
    }
}

/// What a document says of each flaw in each package of its image.
fn said(document: &[u8]) -> BTreeMap<Key, Said> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let mut all = BTreeMap::new();
    for statement in document["statements"].as_array().into_iter().flatten() {
        let text = |key: &str| statement[key].as_str().map(str::to_owned);
        let time = |key: &str| text(key).and_then(|text| text.parse().ok());
        let flaw = statement["vulnerability"]["name"].as_str().unwrap_or_default();
        let members = ["status", "status_notes", "justification", "impact_statement", "action_statement"];
        let of_image =
            |product: &&Value| product["@id"].as_str().is_some_and(|id| id.starts_with("pkg:oci/"));
        for product in statement["products"].as_array().into_iter().flatten().filter(of_image) {
            let parts: Vec<&str> = product["subcomponents"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|part| part["@id"].as_str())
                .collect();
            let parts = if parts.is_empty() { vec![""] } else { parts };
            for part in parts {
                let said = Said {
                    words: members.map(text),
                    issued: time("timestamp"),
                    updated: time("last_updated"),
                };
                all.insert((flaw.to_owned(), part.to_owned()), said);
            }
        }
    }
    all
}
