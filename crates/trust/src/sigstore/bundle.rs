//! DSSE envelopes in sigstore bundles, version 0.3: JSON in and out, signing and checking.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::Digest;
use serde::{Deserialize, Serialize};

use super::{KeyId, PREDICATE_SIGN, PublicKey, PublicKeys, SignatureError, SigningKey, Statement, WhyNot};

/// Media type of a bundle.
pub const MEDIA_TYPE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Largest bundle in bytes that is read: statements with a bill of materials have some megabytes.
pub const BUNDLE_LIMIT: u64 = 32 * 1024 * 1024;

/// What the payload of an envelope is.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A signed statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Material {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<Hint>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Hint {
    hint: String,
}

/// DSSE, version 1 (<https://github.com/secure-systems-lab/dsse>, `protocol.md` and `envelope.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    sig: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
}

/// The bytes that are signed in place of a payload (DSSE, "pre-authentication encoding"): what it is said to be is
/// signed with it.
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Bundle {
    /// Signs a statement.
    #[must_use]
    pub fn sign(statement: &Statement, key: &SigningKey) -> Self {
        let payload = statement.to_json();
        let signature = key.sign(&encoded(PAYLOAD_TYPE, &payload));
        Self {
            media_type: MEDIA_TYPE_BUNDLE.to_owned(),
            verification_material: Material { public_key: Some(Hint { hint: key.public().id().hint() }) },
            dsse_envelope: Envelope {
                payload: STANDARD.encode(payload),
                payload_type: PAYLOAD_TYPE.to_owned(),
                signatures: vec![Signature { sig: STANDARD.encode(signature), keyid: String::new() }],
            },
        }
    }

    /// Signs an image: its manifest, or its index.
    #[must_use]
    pub fn sign_image(manifest: &Digest, key: &SigningKey) -> Self {
        let nothing = serde_json::Value::Object(serde_json::Map::new());
        Self::sign(&Statement::about(manifest, PREDICATE_SIGN, nothing), key)
    }

    /// The bundle as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings in memory are always written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a bundle. Nothing of it is checked yet.
    ///
    /// # Errors
    /// When the bytes are no bundle with an envelope, of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, WhyNot> {
        if bytes.len() as u64 > BUNDLE_LIMIT {
            return Err(WhyNot::Unreadable(format!("it has {} bytes", bytes.len())));
        }
        let bundle: Self =
            serde_json::from_slice(bytes).map_err(|error| WhyNot::Unreadable(error.to_string()))?;
        if bundle.media_type != MEDIA_TYPE_BUNDLE {
            return Err(WhyNot::Unreadable(format!("it is a {}", bundle.media_type)));
        }
        Ok(bundle)
    }

    /// The statement, whoever made it: no signature is looked at. It is worth no more than the word of anybody who may
    /// write to where it lay.
    ///
    /// # Errors
    /// When it is none.
    pub fn unverified(&self) -> Result<Statement, WhyNot> {
        serde_json::from_slice(&self.payload()?).map_err(|error| WhyNot::Unreadable(error.to_string()))
    }

    fn payload(&self) -> Result<Vec<u8>, WhyNot> {
        let payload = STANDARD.decode(&self.dsse_envelope.payload);
        payload.map_err(|_| WhyNot::Unreadable("its payload is no base64".to_owned()))
    }

    /// The statement, if one of the keys signed it; and that key.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verify<'k>(&self, keys: &'k PublicKeys) -> Result<(Statement, &'k PublicKey), WhyNot> {
        let envelope = &self.dsse_envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(WhyNot::OtherStatement(envelope.payload_type.clone()));
        }
        let payload = self.payload()?;
        let signed = encoded(PAYLOAD_TYPE, &payload);
        let made_by = |key: &&PublicKey| {
            let signatures =
                envelope.signatures.iter().filter_map(|signature| STANDARD.decode(&signature.sig).ok());
            signatures.into_iter().any(|signature| key.verifies(&signed, &signature))
        };
        let Some(key) = keys.iter().find(made_by) else {
            let named = self.verification_material.public_key.as_ref();
            return Err(match named.and_then(|key| KeyId::from_hint(&key.hint)) {
                Some(id) if keys.get(&id).is_some() => WhyNot::Bad(id),
                Some(id) => WhyNot::UnknownKey(id),
                None => WhyNot::NoKey,
            });
        };
        // Only now are the bytes anybody's whom we trust.
        let statement =
            serde_json::from_slice(&payload).map_err(|error| WhyNot::Unreadable(error.to_string()))?;
        Ok((statement, key))
    }

    /// The accepted key that stands behind an image, by one of these bundles.
    ///
    /// # Errors
    /// Why each of them does not count.
    pub fn verify_image<'k>(
        bundles: &[Vec<u8>],
        manifest: &Digest,
        keys: &'k PublicKeys,
    ) -> Result<&'k PublicKey, SignatureError> {
        let mut why = Vec::new();
        for bytes in bundles {
            match Self::parse(bytes).and_then(|bundle| bundle.verify(keys)) {
                Ok((statement, _)) if !statement.is_about(manifest) => why.push(WhyNot::OtherImage),
                Ok((statement, key)) if statement.predicate_type == PREDICATE_SIGN => return Ok(key),
                Ok((statement, _)) => why.push(WhyNot::OtherStatement(statement.predicate_type)),
                Err(error) => why.push(error),
            }
        }
        let (manifest, accepted) = (*manifest, keys.names());
        Err(if why.is_empty() {
            SignatureError::None { manifest, accepted }
        } else {
            SignatureError::Refused { manifest, why, accepted }
        })
    }
}
