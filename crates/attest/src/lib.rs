//! Stage 7: everything known about an image → statements that a stranger can check (in-toto, SLSA v1). No I/O, no clock:
//! the same facts make the same statements.

mod provenance;
mod recipe;
mod results;
mod summary;

use calypte_base::Digest;
use calypte_trust::sigstore::Statement;
use serde_json::Value;

pub use provenance::{Material, Provenance, ProvenanceError, Tool};
pub use recipe::{Ingredient, LARGEST_RECIPE, RECIPE, Recipe, RecipeError};
pub use results::{Finding, TestRun, test_result, vulnerabilities};
pub use summary::{Summary, verification_summary};

/// How an image was made (<https://slsa.dev/spec/v1.0/provenance>).
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// A bill of materials in SPDX 2.3.
pub const SPDX: &str = "https://spdx.dev/Document";
/// A bill of materials in CycloneDX.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// What is known of an image's flaws, in OpenVEX.
pub const OPENVEX: &str = "https://openvex.dev/ns";
/// What its tests came to (<https://github.com/in-toto/attestation/tree/main/spec/predicates/test-result.md>).
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// What a scan found (<https://github.com/in-toto/attestation/tree/main/spec/predicates/vuln.md>, version 0.2).
pub const VULNERABILITIES: &str = "https://in-toto.io/attestation/vulns/v0.2";

/// What a gate said of an image (<https://slsa.dev/spec/v1.0/verification_summary>).
pub const VERIFICATION_SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

/// A statement about an image of this name; `manifest` is what is spoken of.
#[must_use]
pub fn statement(name: &str, manifest: &Digest, predicate_type: &str, predicate: Value) -> Statement {
    let mut statement = Statement::about(manifest, predicate_type, predicate);
    for subject in &mut statement.subject {
        subject.name = Some(name.to_owned());
    }
    statement
}
