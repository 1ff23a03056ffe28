//! What a scan finds: a flaw in a component, with all that led to it.

use std::collections::BTreeSet;

use calypte_base::{Digest, Epoch};
use serde::{Deserialize, Serialize};

use crate::model::SourceName;

/// A flaw that a component has, as far as the feeds tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The flaw: its CVE number where it has one, otherwise the advisory's id.
    pub vulnerability: String,
    /// Its other names.
    pub aliases: BTreeSet<String>,
    /// The component, by its id in the bill of materials.
    pub component: String,
    /// The component's name.
    pub name: String,
    /// The component's version.
    pub version: String,
    /// Its package URL.
    pub purl: String,
    /// The feed that says so.
    pub source: SourceName,
    /// The advisory, as that feed calls it.
    pub advisory: String,
    /// The package that the advisory names: the component's own name or that of its source package.
    pub matched: String,
    /// The version that was compared: the component's or its source package's.
    pub matched_version: String,
    /// The range that it is in, in words (`< 1.2.3`, `>= 1.0, < 1.2`, `every version`).
    pub range: String,
    /// What can be done.
    pub state: FixState,
    /// How bad it is, in one of the words critical, high, medium, low, negligible, unknown.
    pub severity: String,
    /// Each score that is known.
    pub scores: Vec<Score>,
    /// The probability that it is exploited in the next 30 days (EPSS, 0 to 1), and the percentile (0 to 1).
    pub epss: Option<(f64, f64)>,
    /// Whether CISA knows that it is exploited, and whether by ransomware.
    pub exploited: Option<Exploited>,
    /// 0 to 100: see `docs/reference/scan.md`.
    pub risk: f64,
    /// When the flaw was disclosed.
    pub published: Option<Epoch>,
    /// When a fix was there.
    pub fix_since: Option<Epoch>,
    /// Files of the component, by path.
    pub files: Vec<String>,
    /// The layer blobs that they lie in.
    pub layers: BTreeSet<Digest>,
    /// Where more is said.
    pub references: Vec<String>,
    /// Why it is not counted: by a VEX statement or by an ignore rule; none where it counts.
    pub suppressed: Option<Suppressed>,
}

/// What can be done about a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FixState {
    /// These versions, of what the advisory names, do not have it.
    Fixed(BTreeSet<String>),
    /// There is no fix yet.
    NotFixed,
    /// There will be none.
    WontFix,
    /// It was put off.
    Deferred,
    /// The release gets no fixes any more.
    EndOfLife,
    /// The feed does not say.
    Unknown,
}

/// A score of CVSS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The standard's version.
    pub kind: ScoreKind,
    /// The base score, 0.0 to 10.0.
    pub score: f64,
    /// The vector.
    pub vector: String,
    /// Who gave it: the feed's name.
    pub by: String,
}

/// The versions of CVSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScoreKind {
    /// 2.0.
    V2,
    /// 3.0 and 3.1.
    V3,
    /// 4.0.
    V4,
}

/// What CISA's catalog of known exploited vulnerabilities says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploited {
    /// Since when it is listed.
    pub since: Option<Epoch>,
    /// Whether ransomware is known to use it.
    pub ransomware: bool,
}

/// Why a finding is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// `vex` or `ignore`.
    pub by: String,
    /// The VEX status and justification, or the reason of the rule.
    pub reason: String,
    /// The document or file that says so.
    pub evidence: String,
    /// When that ends; none for VEX.
    pub until: Option<Epoch>,
}
