//! `catalog/sizes/explained.yaml`: why images grew. An explanation holds for the growth from one record to the next alone: it
//! names the record, so that it excuses nothing once the sizes have been recorded anew.

use calypte_base::Digest;
use serde::{Deserialize, Serialize};

/// How many digits of a record's digest name it.
const DIGITS: usize = 12;

/// One explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The images that grew; `*` stands for any text.
    pub images: Vec<String>,
    /// By how many bytes, unpacked or to download, at most.
    pub by: u64,
    /// The record from which they grew: the first digits of its digest, as `calypte catalog --sizes` prints them.
    pub record: String,
    /// Why.
    pub reason: String,
}

impl Explanation {
    /// Whether it explains that an image grew by so much since this record.
    #[must_use]
    pub fn covers(&self, image: &str, growth: u64, record: &str) -> bool {
        self.record == record
            && growth <= self.by
            && self.images.iter().any(|pattern| matches(pattern, image))
    }
}

/// What names a record: the beginning of the digest of its text.
#[must_use]
pub fn name_of(record: &str) -> String {
    Digest::of(record.as_bytes()).to_string().trim_start_matches("sha256:").chars().take(DIGITS).collect()
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx-builder", false),
            ("*", "anything", true),
            ("*-builder", "nginx-builder", true),
            ("*-builder", "nginx-builders", false),
            ("python:*-debug", "python:3.14-debug", true),
            ("python:*-debug", "python3.14-debug", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn an_explanation_holds_for_one_record_and_so_much() {
        let explanation = Explanation {
            images: vec!["x*".to_owned(), "y".to_owned()],
            by: 1000,
            record: name_of("one"),
            reason: "r".to_owned(),
        };
        assert_eq!(explanation.record.len(), DIGITS);
        assert!(
            explanation.covers("x-debug", 1000, &name_of("one"))
                && explanation.covers("y", 0, &name_of("one"))
        );
        assert!(!explanation.covers("x", 1001, &name_of("one")));
        assert!(!explanation.covers("z", 1, &name_of("one")));
        assert!(!explanation.covers("x", 1, &name_of("two")));
    }
}
