//! A document of a feed as a whole: its bytes, no more than a limit; JSON and YAML with errors that know their place; times
//! and lists as feeds write them.

use std::io::Read;

use calypte_base::Epoch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::FeedError;

/// The largest document that is read as a whole. The longest of OSV have about 10 MB.
pub(super) const WHOLE_LIMIT: u64 = 64 << 20;

/// The most objects and lists in a JSON document: each costs some hundred bytes in memory, however short its text.
const MAX_NESTS: usize = 2 << 20;

/// The most values in a JSON document: each costs at least the 24 bytes of a string.
const MAX_VALUES: usize = 16 << 20;

/// The most values in a YAML document, whose nodes cost more; the longest of Wolfi has 20,000.
const MAX_NODES: usize = 2 << 20;

/// The longest name of an advisory or package in bytes; Go's modules have the longest, of some 200.
const NAME_LIMIT: usize = 500;

/// The longest text that stays in an error or in an advisory's summary, in characters.
const SUMMARY: usize = 1_000;

impl FeedError {
    pub(super) fn malformed(document: &str, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed {
            document: document.to_owned(),
            place: place.into(),
            reason: shortened(&reason.into()),
        }
    }

    pub(super) fn io(document: &str, source: std::io::Error) -> Self {
        Self::Io { document: document.to_owned(), source }
    }

    pub(super) fn sink(document: &str, source: super::SinkError) -> Self {
        Self::Sink { document: document.to_owned(), source }
    }

    /// An error of `serde_json`, whose text ends with the place.
    pub(super) fn json(document: &str, error: &serde_json::Error) -> Self {
        let place = format!("line {}, column {}", error.line(), error.column());
        let text = error.to_string();
        let end = format!(" at line {} column {}", error.line(), error.column());
        Self::malformed(document, place, text.strip_suffix(&end).unwrap_or(&text))
    }
}

/// The bytes of a document.
pub(super) fn bytes(document: &str, reader: &mut dyn Read, limit: u64) -> Result<Vec<u8>, FeedError> {
    let mut bytes = Vec::new();
    let mut limited = reader.take(limit.saturating_add(1));
    limited.read_to_end(&mut bytes).map_err(|error| FeedError::io(document, error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(FeedError::TooLarge { document: document.to_owned(), limit });
    }
    Ok(bytes)
}

/// A JSON document; memory is bounded before anything is made of it. What the type does not name is passed over.
pub(crate) fn json<'de, T: Deserialize<'de>>(document: &str, bytes: &'de [u8]) -> Result<T, FeedError> {
    let nests = bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    let values = bytes.iter().filter(|byte| **byte == b',').count();
    if nests > MAX_NESTS || values > MAX_VALUES {
        let reason = format!("more than {MAX_NESTS} objects and lists, or {MAX_VALUES} values");
        return Err(FeedError::malformed(document, "the whole", reason));
    }
    serde_json::from_slice(bytes).map_err(|error| FeedError::json(document, &error))
}

/// A YAML document.
pub(super) fn yaml<T: DeserializeOwned>(document: &str, bytes: &[u8]) -> Result<T, FeedError> {
    calypte_formats::yaml::from_str(text(document, bytes)?, MAX_NODES).map_err(|error| {
        FeedError::malformed(document, format!("line {}, column {}", error.line, error.column), error.reason)
    })
}

/// The text of a document.
pub(super) fn text<'a>(document: &str, bytes: &'a [u8]) -> Result<&'a str, FeedError> {
    std::str::from_utf8(bytes)
        .map_err(|error| FeedError::malformed(document, format!("byte {}", error.valid_up_to()), "not UTF-8"))
}

/// A point in time as feeds write it: RFC 3339, or the day alone. Whatever lies before 1970 is a way of saying "none":
/// Go's database has `0001-01-01T00:00:00Z` in each of its sources.
pub(super) fn time(document: &str, place: &str, text: Option<&str>) -> Result<Option<Epoch>, FeedError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let error = || {
        let reason = format!("`{}` is no time such as 2026-10-30T08:08:01Z", shortened(text));
        FeedError::malformed(document, place, reason)
    };
    // A bare number is no time of a feed, though `Epoch` takes it.
    if !text.contains('-') {
        return Err(error());
    }
    let spelled = match text.split_once(['T', ' ']) {
        None => format!("{text}T00:00:00Z"),
        // Red Hat's oldest documents and PyPI's have times without a zone, in UTC.
        Some((_, clock)) if !clock.contains(['Z', 'z', '+', '-']) => format!("{text}Z"),
        Some(_) => text.to_owned(),
    };
    let time: Epoch = spelled.parse().map_err(|_| error())?;
    Ok((time.0 > 0).then_some(time))
}

/// Makes sure that the name of an advisory or package is one: it becomes a key, and a word in tables.
pub(super) fn name(document: &str, place: impl Into<String>, text: &str) -> Result<(), FeedError> {
    let reason = match text {
        _ if text.trim().is_empty() => "an empty name",
        _ if text.len() > NAME_LIMIT => "a name of more than 500 bytes",
        _ if text.chars().any(char::is_control) => "a name with control characters",
        _ => return Ok(()),
    };
    Err(FeedError::malformed(document, place, reason))
}

/// One paragraph: the first text that says something, its first paragraph, in one line and not too long.
pub(super) fn summary<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let first = texts.into_iter().flatten().map(str::trim).find(|text| !text.is_empty()).unwrap_or_default();
    let paragraph = first.split("\n\n").next().unwrap_or_default();
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > SUMMARY {
            break;
        }
    }
    shortened(&line)
}

/// Long texts are cut, and control characters made blanks: what others write comes into errors and onto terminals.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SUMMARY)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A list or mapping that may be missing; some writers say that with `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_form_that_feeds_have() {
        for (text, expected) in [
            ("2026-10-30T08:08:01Z", Some("2026-10-30T08:08:01Z")),
            ("2026-10-30T10:08:01.123456+02:00", Some("2026-10-30T08:08:01Z")),
            ("2026-10-30T08:08:01", Some("2026-10-30T08:08:01Z")),
            ("2026-10-30T08:08:01+0000", Some("2026-10-30T08:08:01Z")),
            (" 2026-10-30 ", Some("2026-10-30T00:00:00Z")),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
        ] {
            let time = time("d", "p", Some(text)).unwrap();
            assert_eq!(time.map(|time| time.to_string()).as_deref(), expected, "{text}");
        }
        for text in ["yesterday", "20261030", "2026-13-01", "2026-10-30T25:00:00Z", "-"] {
            assert!(time("d", "p", Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_summary_is_one_line() {
        assert_eq!(summary([None, Some(" "), Some("a\n  b\n\nc")]), "a b");
        assert_eq!(summary([Some("word ".repeat(1_000).as_str())]).chars().count(), 1_001);
        assert_eq!(shortened("a\u{1b}[31m"), "a [31m");
    }

    #[test]
    fn what_is_larger_than_its_limit_is_refused() {
        let error = bytes("big.json", &mut std::io::repeat(b' '), 10_000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "big.json is larger than 10000 bytes, which no document of this form is"
        );
        let many = format!("[{}]", "{},".repeat(MAX_NESTS + 1));
        assert!(json::<serde_json::Value>("many.json", many.as_bytes()).is_err());
    }
}
