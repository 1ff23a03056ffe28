//! Stage 6b of 8: feeds → Advisory; Sbom → Findings → Vex. Nothing here sees a FileTree.

mod cve;
pub mod database;
pub mod feeds;
pub mod finding;
pub mod ignore;
pub mod inventory;
pub mod matching;
pub mod model;
pub mod risk;
pub mod severity;
pub mod versions;
pub mod vex;

use std::collections::BTreeMap;

use calypte_formats::changelog::NamedFix;

/// The flaws that each component's own changelog names as fixed, by the component's id and the CVE number.
pub type Fixes = BTreeMap<String, BTreeMap<String, NamedFix>>;

pub use finding::{Finding, FixState, Score, ScoreKind};
pub use model::{
    Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Reference, Severity, SourceName,
    Status,
};
