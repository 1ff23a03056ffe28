//! What every feed is read into: an advisory says which versions of which packages of which ecosystem have a flaw, and what
//! is to be done. Versions stay text: they are compared by the rules of their ecosystem when they are matched.

use std::collections::BTreeSet;
use std::fmt;

use calypte_base::Epoch;
use serde::{Deserialize, Serialize};

/// The name of a feed (`debian-tracker`, `osv-alma`, `redhat-vex`, `changelog-debian-sid`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceName(pub String);

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One advisory of one feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// As its feed calls it: `CVE-2024-1`, `ALSA-2022:0001`, `GHSA-…`.
    pub id: String,
    /// Other names of the same flaw or flaws; `CVE-…` among them where there is one.
    pub aliases: BTreeSet<String>,
    /// When it was first published.
    pub published: Option<Epoch>,
    /// When it was last changed.
    pub modified: Option<Epoch>,
    /// When it was withdrawn or rejected; such a one matches nothing.
    pub withdrawn: Option<Epoch>,
    /// What it is about, in one paragraph.
    pub summary: String,
    /// How bad it is, for all that is affected.
    pub severities: Vec<Severity>,
    /// What is affected, and what is known not to be.
    pub affected: Vec<Affected>,
    /// Where more is said.
    pub references: Vec<Reference>,
}

/// Where more is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// What kind of page it is (`ADVISORY`, `FIX`, `WEB`).
    pub kind: String,
    /// Its address.
    pub url: String,
}

/// A statement of how bad a flaw is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A vector of CVSS 2.0, 3.0, 3.1 or 4.0, as its text.
    Cvss(String),
    /// The distribution's own word (`unimportant`, `Important`, `moderate`).
    Word(String),
}

/// A package in an ecosystem, and what the advisory says of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The ecosystem, with the release where it has them.
    pub ecosystem: Ecosystem,
    /// The package's name.
    pub package: String,
    /// Whether that is the name of a source package or of what is installed.
    pub role: PackageRole,
    /// The ranges; with none of them and no [`Affected::versions`], every version.
    pub ranges: Vec<Range>,
    /// Versions that are affected one by one.
    pub versions: BTreeSet<String>,
    /// What is known of these versions.
    pub status: Status,
    /// Only for these architectures; for all where it is empty. `src` names no installed package.
    pub architectures: BTreeSet<String>,
    /// Only for this module stream (`nodejs:18`), RPM.
    pub module: Option<String>,
    /// How bad it is here, where that differs from the advisory's.
    pub severities: Vec<Severity>,
    /// Go: the packages of the module that have the flaw; all where it is empty.
    pub imports: BTreeSet<String>,
}

/// Whose names an advisory uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageRole {
    /// Source packages.
    Source,
    /// Installed packages.
    Binary,
    /// The feed does not tell them apart: either.
    Either,
}

/// A world of packages with version rules of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// Debian; the release's codename (`trixie`, `sid`), none for all.
    Debian(Option<String>),
    /// Ubuntu; the release (`24.04`).
    Ubuntu(Option<String>),
    /// Red Hat Enterprise Linux and other products of Red Hat, by CPE (`cpe:/o:redhat:enterprise_linux:9`).
    RedHat(String),
    /// Project Hummingbird, which is rolling (`cpe:/a:redhat:hummingbird`).
    Hummingbird,
    /// AlmaLinux; the major release.
    AlmaLinux(Option<String>),
    /// Fedora; the release (`42`, `rawhide`).
    Fedora(Option<String>),
    /// Alpine; the branch (`v3.20`).
    Alpine(Option<String>),
    /// Wolfi and Chainguard, which are rolling.
    Wolfi,
    /// PyPI.
    PyPi,
    /// npm.
    Npm,
    /// Go modules; Go's own library is the package `stdlib`.
    Go,
    /// crates.io.
    CratesIo,
    /// Maven: packages are `group:artifact`.
    Maven,
    /// Another, by the name that its feed gives it; nothing is matched against it.
    Other(String),
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The rules by which its versions are compared.
    pub kind: RangeKind,
    /// Its ends, in the order of the feed; sorted by version when they are matched (OSV schema, `affected[].ranges[]`).
    pub events: Vec<Event>,
}

/// The rules of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RangeKind {
    /// Those of the ecosystem.
    Ecosystem,
    /// SemVer 2.0, whatever the ecosystem.
    Semver,
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// From here on, this version included; `0` is before every version.
    Introduced(String),
    /// Up to here, this version not included.
    Fixed(String),
    /// Up to here, this version included.
    LastAffected(String),
}

/// What a feed says of a package's versions in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// They have the flaw; whether there is a fix, the range says.
    Affected,
    /// They have it, and it will not be fixed.
    WontFix,
    /// They have it, and the fix was put off.
    Deferred,
    /// They have it, and the release is past its end.
    EndOfLife,
    /// Somebody is looking into it.
    UnderInvestigation,
    /// They do not have it: takes away what other entries of the same feed say.
    NotAffected,
}
