//! Exceptions: a rule does not count for an image, for a reason, until a day. There is none without either.

use calypte_base::Epoch;
use calypte_definition::{Diagnostic, yaml};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// A refusal that is let pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The rule (`cve.cve_blockers`), or one thing that it refuses (`cve.cve_blockers:CVE-2026-1`).
    #[serde(deserialize_with = "words")]
    pub rule: String,
    /// The image; none: all.
    #[serde(default)]
    pub image: Option<String>,
    /// Why.
    #[serde(deserialize_with = "words")]
    pub reason: String,
    /// The day on which it ends: `2027-01-31`.
    #[serde(deserialize_with = "day")]
    pub until: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Reads a file of exceptions, `exceptions: [{rule, image, reason, until}]`.
///
/// # Errors
/// When it is no such file, a rule or a reason is empty, or an end is no day.
pub fn exceptions(file: &str, text: &str) -> Result<Vec<Exception>, Diagnostic> {
    yaml::from_str::<Written>(file, text).map(|written| written.exceptions)
}

fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("it is empty"));
    }
    Ok(text)
}

fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match end(&text) {
        Some(_) if text.len() == 10 => Ok(text),
        _ => Err(D::Error::custom(format!("`{text}` is no day; write it as \"2027-01-31\""))),
    }
}

fn end(day: &str) -> Option<Epoch> {
    format!("{day}T00:00:00Z").parse().ok()
}

impl Exception {
    /// Whether it is over.
    #[must_use]
    pub fn has_ended(&self, now: Epoch) -> bool {
        end(&self.until).is_none_or(|end| end <= now)
    }

    /// Whether it is for an image.
    #[must_use]
    pub fn is_for(&self, image: &str) -> bool {
        self.image.as_ref().is_none_or(|wanted| wanted == image)
    }

    /// Whether it is about a refusal, whatever day it is.
    #[must_use]
    pub fn covers(&self, refusal: &Refusal) -> bool {
        let term = refusal.term.as_ref().map(|term| format!("{}:{term}", refusal.rule));
        self.is_for(&refusal.image)
            && (self.rule == refusal.rule || term.is_some_and(|term| term == self.rule))
    }
}
