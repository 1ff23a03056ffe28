//! A gate's verdict as a verification summary (VSA), version 1.

use calypte_base::{Digest, Epoch};
use serde_json::{Value, json};

/// What a gate said of an image, and what it had looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Who said it, as an address or a name of its own.
    pub verifier: String,
    /// The version of the program.
    pub version: String,
    /// When.
    pub at: Epoch,
    /// The image: its repository and digest.
    pub resource: String,
    /// Digest over the rules.
    pub policy: Digest,
    /// The signed statements that it rests on.
    pub inputs: Vec<Digest>,
    /// Whether it passed.
    pub passed: bool,
    /// Refusals that an exception took away: the rule, why, and until when.
    pub excepted: Vec<(String, String, String)>,
}

/// The predicate. A level is claimed only where the gate let the image pass: that of provenance which its builder signed.
#[must_use]
pub fn verification_summary(summary: &Summary) -> Value {
    let inputs: Vec<Value> =
        summary.inputs.iter().map(|digest| json!({ "digest": { "sha256": digest.hex() } })).collect();
    let (result, levels) = match summary.passed {
        true => ("PASSED", vec!["SLSA_BUILD_LEVEL_1"]),
        false => ("FAILED", vec!["FAILED"]),
    };
    let excepted = summary.excepted.iter();
    let excepted: Vec<Value> = excepted
        .map(|(rule, reason, until)| json!({ "rule": rule, "reason": reason, "until": until }))
        .collect();
    json!({
        "verifier": { "id": summary.verifier, "version": { "calypte": summary.version } },
        "timeVerified": summary.at.to_string(),
        "resourceUri": summary.resource,
        "policy": {
            "uri": "urn:calypte:policy",
            "digest": { "sha256": summary.policy.hex() },
            "annotations": { "exceptions": excepted },
        },
        "inputAttestations": inputs,
        "verificationResult": result,
        "verifiedLevels": levels,
        "slsaVersion": "1.0",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_claimed_only_by_what_passed() {
        let mut summary = Summary {
            verifier: "urn:calypte:local".into(),
            version: "1".into(),
            at: Epoch(1_800_000_000),
            resource: "localhost/nginx@sha256:1".into(),
            policy: Digest::of(b"policy"),
            inputs: vec![Digest::of(b"provenance")],
            passed: true,
            excepted: Vec::new(),
        };
        let told = verification_summary(&summary);
        assert_eq!(told["verificationResult"], "PASSED");
        assert_eq!(told["verifiedLevels"], json!(["SLSA_BUILD_LEVEL_1"]));
        assert_eq!(told["timeVerified"], "2027-01-15T08:00:00Z");
        summary.passed = false;
        let told = verification_summary(&summary);
        assert_eq!(
            (&told["verificationResult"], &told["verifiedLevels"]),
            (&json!("FAILED"), &json!(["FAILED"]))
        );
    }
}
