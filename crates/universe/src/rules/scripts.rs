//! `scripts.yaml`: the maintainer scripts that a person has read, and what came of it.
//!
//! A script that is not in this table fails the lock: a rolling distribution changes its scripts at any time, and a
//! change that nobody has seen must not be left out silently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use calypte_base::Digest;
use serde::{Deserialize, Serialize};

use crate::contradiction::Contradiction;

/// The reviewed scripts, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scripts(pub Vec<ReviewedScript>);

/// One text of one maintainer script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewedScript {
    /// The binary package that it comes with; other packages may ship the same text (debhelper makes many), so a
    /// script is looked up by its digest and this name is for the reader.
    pub package: String,
    /// Which of the package's scripts.
    pub script: MaintainerScript,
    /// SHA-256 of the normalised text: blank lines and comment lines dropped, the `#!` line kept.
    pub sha256: Digest,
    /// What came of reading it.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
}

/// The scripts that run when a package is installed (deb-preinst(5), deb-postinst(5); rpm-scriptlets(7)); the others
/// never matter to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaintainerScript {
    /// Before unpacking.
    Preinst,
    /// After unpacking.
    Postinst,
    /// Questions to the administrator (debconf).
    Config,
    /// RPM: before the transaction.
    Pretrans,
    /// RPM: before unpacking.
    Pre,
    /// RPM: after unpacking.
    Post,
    /// RPM: after the transaction.
    Posttrans,
    /// RPM: before another package is unpacked.
    TriggerPrein,
    /// RPM: after another package is there.
    TriggerIn,
    /// RPM: after files below some path are there.
    FileTriggerIn,
    /// RPM: after a transaction that brought files below some path.
    TransFileTriggerIn,
}

impl fmt::Display for MaintainerScript {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Preinst => "preinst",
            Self::Postinst => "postinst",
            Self::Config => "config",
            Self::Pretrans => "pretrans",
            Self::Pre => "pre",
            Self::Post => "post",
            Self::Posttrans => "posttrans",
            Self::TriggerPrein => "triggerprein",
            Self::TriggerIn => "triggerin",
            Self::FileTriggerIn => "filetriggerin",
            Self::TransFileTriggerIn => "transfiletriggerin",
        })
    }
}

/// What came of reading a script: `verdict: no-op`, or `verdict: {finishers: [users, alternatives]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It changes nothing in an image that is made anew.
    NoOp,
    /// What it does is done by these finishers.
    Finishers(BTreeSet<String>),
}

impl Scripts {
    /// The review of the script with this digest.
    #[must_use]
    pub fn find(&self, script: MaintainerScript, sha256: &Digest) -> Option<&ReviewedScript> {
        self.0.iter().find(|reviewed| reviewed.script == script && reviewed.sha256 == *sha256)
    }

    /// Scripts that were reviewed twice: the second verdict would never be seen.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Contradiction> {
        let mut seen = BTreeMap::new();
        let again = |ReviewedScript { package, script, sha256, .. }: &ReviewedScript| {
            let first = seen.insert((*script, *sha256), package.clone())?;
            let message =
                format!("the {script} of `{package}` is the same text as that of `{first}`, reviewed above");
            Some(Contradiction { text: sha256.hex(), message })
        };
        self.0.iter().filter_map(again).collect()
    }
}
