//! Stage 6b of 8: feeds → Advisory; Sbom → Findings → Vex. Nothing here sees a FileTree.

pub mod finding;
pub mod model;

pub use finding::{Finding, FixState, Score, ScoreKind};
pub use model::{
    Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Reference, Severity, SourceName,
    Status,
};
