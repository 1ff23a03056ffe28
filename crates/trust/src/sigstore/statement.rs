//! in-toto statements, version 1: who is spoken of, and what is said (<https://in-toto.io/Statement/v1>).

use std::collections::BTreeMap;

use calypte_base::Digest;
use serde::{Deserialize, Serialize};

/// The type of every statement.
const TYPE: &str = "https://in-toto.io/Statement/v1";

/// What a signature of an image says: that the signer stands behind it.
pub const PREDICATE_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// A statement about images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Always the same address.
    #[serde(rename = "_type")]
    pub kind: String,
    /// What is spoken of.
    pub subject: Vec<Subject>,
    /// What kind of thing is said, as an address.
    pub predicate_type: String,
    /// What is said.
    #[serde(default)]
    pub predicate: serde_json::Value,
}

/// One that is spoken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name, where it has one. Nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its digests by algorithm, in hex digits.
    pub digest: BTreeMap<String, String>,
}

impl Statement {
    /// A statement about one manifest.
    #[must_use]
    pub fn about(manifest: &Digest, predicate_type: &str, predicate: serde_json::Value) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), manifest.hex())]);
        Self {
            kind: TYPE.to_owned(),
            subject: vec![Subject { name: None, digest }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Whether this manifest is spoken of.
    #[must_use]
    pub fn is_about(&self, manifest: &Digest) -> bool {
        let hex = manifest.hex();
        self.kind == TYPE && self.subject.iter().any(|subject| subject.digest.get("sha256") == Some(&hex))
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Strings in memory are always written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
