//! What may be published. Everything that is known of an image ([`Subject`]) is put before rules in Rego; what they refuse,
//! less what an [`Exception`] lets pass for a while, is the [`Verdict`]. No I/O, no clock.
//!
//! ```text
//! Subject ──rules (Rego)──▶ refusals ──exceptions──▶ Verdict
//! ```
//!
//! A rule is named after its package and itself, `cve.cve_blockers`; where Conforma's release rules have one that means the
//! same, it has that name. Its Rego itself needs functions of its own program and cannot run here.

mod error;
mod exceptions;
mod policy;
mod subject;
#[cfg(test)]
mod tests;
mod verdict;

pub use error::PolicyError;
pub use exceptions::{Exception, exceptions};
pub use policy::{Policy, Settings};
pub use subject::{
    Attested, Built, Finding, LicenceOf, Lifecycle, Rebuilt, Repository, Scan, Subject, Test, Tests,
};
pub use verdict::{Excepted, Refusal, Verdict};
