//! Two JSON documents → the fields that differ.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// Most fields that are told.
const MOST: usize = 50;

/// Longest value that is told, in characters.
const LONGEST: usize = 200;

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Where it stands (RFC 6901): `/config/Env/0`.
    pub field: String,
    /// What the published document has there, as JSON, cut short; none where it has nothing.
    pub published: Option<String>,
    /// What the one that was made has there.
    pub rebuilt: Option<String>,
}

/// The fields in which two documents differ.
///
/// # Errors
/// When one is no JSON.
pub(super) fn of_documents(published: &[u8], rebuilt: &[u8]) -> Result<Vec<FieldDifference>> {
    Ok(between(&serde_json::from_slice(published)?, &serde_json::from_slice(rebuilt)?))
}

/// The fields in which two documents differ: none if only their spelling does.
pub(super) fn between(published: &Value, rebuilt: &Value) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    compare(String::new(), Some(published), Some(rebuilt), &mut found);
    found
}

fn compare(
    field: String,
    published: Option<&Value>,
    rebuilt: Option<&Value>,
    found: &mut Vec<FieldDifference>,
) {
    if published == rebuilt || found.len() >= MOST {
        return;
    }
    match (published, rebuilt) {
        (Some(Value::Object(published)), Some(Value::Object(rebuilt))) => {
            let names: BTreeSet<&String> = published.keys().chain(rebuilt.keys()).collect();
            for name in names {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                compare(format!("{field}/{escaped}"), published.get(name), rebuilt.get(name), found);
            }
        }
        (Some(Value::Array(published)), Some(Value::Array(rebuilt))) => {
            for place in 0..published.len().max(rebuilt.len()) {
                compare(format!("{field}/{place}"), published.get(place), rebuilt.get(place), found);
            }
        }
        _ => found.push(FieldDifference { field, published: shown(published), rebuilt: shown(rebuilt) }),
    }
}

fn shown(value: Option<&Value>) -> Option<String> {
    let text = value?.to_string();
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_named_once() {
        let published = json!({ "a": { "b/c": [1, 2, 3] }, "same": [{}], "gone": true });
        let rebuilt = json!({ "a": { "b/c": [1, 5] }, "same": [{}], "new": "x".repeat(300) });
        let told = |one: &FieldDifference| {
            (one.field.clone(), one.published.clone().unwrap_or_default(), one.rebuilt.clone())
        };
        let found: Vec<_> = between(&published, &rebuilt).iter().map(told).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found[0], ("/a/b~1c/1".to_owned(), "2".to_owned(), text("5")));
        assert_eq!(found[1], ("/a/b~1c/2".to_owned(), "3".to_owned(), None));
        assert_eq!(found[2], ("/gone".to_owned(), "true".to_owned(), None));
        assert_eq!((found[3].0.as_str(), found.len()), ("/new", 4));
        assert_eq!(found[3].2.as_ref().unwrap().chars().count(), LONGEST + 1);
        assert!(of_documents(b"{ \"a\": 1 }", b"{\"a\":1}").unwrap().is_empty());
        let many = |number: u64| Value::from((0..1_000).map(|_| number).collect::<Vec<_>>());
        assert_eq!(between(&many(1), &many(2)).len(), MOST);
    }
}
