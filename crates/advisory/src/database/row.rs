//! What an advisory says of one package ⇄ compact JSON without names of members that hold nothing: there are a million of
//! these, and a scan reads thousands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Severity, Status};

/// [`Affected`] without its ecosystem; the package's name only where it is not the normal one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    #[serde(rename = "o", default = "source", skip_serializing_if = "is_source")]
    role: PackageRole,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<(u8, Vec<(u8, String)>)>,
    #[serde(rename = "v", default, skip_serializing_if = "BTreeSet::is_empty")]
    versions: BTreeSet<String>,
    #[serde(rename = "s", default = "affected", skip_serializing_if = "is_affected")]
    status: Status,
    #[serde(rename = "a", default, skip_serializing_if = "BTreeSet::is_empty")]
    architectures: BTreeSet<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    severities: Vec<Severity>,
    #[serde(rename = "i", default, skip_serializing_if = "BTreeSet::is_empty")]
    imports: BTreeSet<String>,
}

const fn source() -> PackageRole {
    PackageRole::Source
}

const fn is_source(role: &PackageRole) -> bool {
    matches!(role, PackageRole::Source)
}

const fn affected() -> Status {
    Status::Affected
}

const fn is_affected(status: &Status) -> bool {
    matches!(status, Status::Affected)
}

impl Row {
    /// The row of an entry whose package is found by `normal`.
    pub fn new(affected: &Affected, normal: &str) -> Self {
        let range = |range: &Range| {
            let kind = u8::from(range.kind == RangeKind::Semver);
            (kind, range.events.iter().map(event).collect())
        };
        Self {
            package: (affected.package != normal).then(|| affected.package.clone()),
            role: affected.role,
            ranges: affected.ranges.iter().map(range).collect(),
            versions: affected.versions.clone(),
            status: affected.status,
            architectures: affected.architectures.clone(),
            module: affected.module.clone(),
            severities: affected.severities.clone(),
            imports: affected.imports.clone(),
        }
    }

    /// The entry again.
    pub fn affected(self, ecosystem: Ecosystem, normal: &str) -> Affected {
        let range = |(kind, events): (u8, Vec<(u8, String)>)| Range {
            kind: if kind == 1 { RangeKind::Semver } else { RangeKind::Ecosystem },
            events: events
                .into_iter()
                .map(|(kind, version)| match kind {
                    0 => Event::Introduced(version),
                    1 => Event::Fixed(version),
                    _ => Event::LastAffected(version),
                })
                .collect(),
        };
        Affected {
            ecosystem,
            package: self.package.unwrap_or_else(|| normal.to_owned()),
            role: self.role,
            ranges: self.ranges.into_iter().map(range).collect(),
            versions: self.versions,
            status: self.status,
            architectures: self.architectures,
            module: self.module,
            severities: self.severities,
            imports: self.imports,
        }
    }
}

fn event(event: &Event) -> (u8, String) {
    match event {
        Event::Introduced(version) => (0, version.clone()),
        Event::Fixed(version) => (1, version.clone()),
        Event::LastAffected(version) => (2, version.clone()),
    }
}
