//! What the rules said.

use calypte_base::{Architecture, Digest};
use serde::{Deserialize, Serialize};

/// A rule's no.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule: `cve.cve_blockers`.
    pub rule: String,
    /// The image.
    pub image: String,
    /// The machine, where it is about one.
    pub architecture: Option<Architecture>,
    /// What it is about, where a rule refuses several things: a flaw, a test, a package.
    pub term: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub cure: String,
}

/// A refusal that does not count for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excepted {
    /// The refusal.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// Why it does not count.
    pub reason: String,
    /// Until when, as a day.
    pub until: String,
}

/// What the rules said of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The image.
    pub image: String,
    /// Digest of its index.
    pub digest: Digest,
    /// Digest over the rules, the settings and the exceptions that were asked.
    pub policy: Digest,
    /// Whether it may be published.
    pub passed: bool,
    /// The packages of rules that were asked.
    pub packages: Vec<String>,
    /// What they refuse.
    pub refusals: Vec<Refusal>,
    /// What they would refuse without an exception.
    pub excepted: Vec<Excepted>,
    /// Exceptions for this image that are past their end, in words.
    pub expired: Vec<String>,
}
