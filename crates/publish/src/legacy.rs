//! Signatures and attestations as cosign had them before its version 3, under the tags `sha256-HEX.sig` and `.att`: many
//! verifiers still look only there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, MEDIA_TYPE_CONFIG, MEDIA_TYPE_MANIFEST, Manifest};
use calypte_store::registry::{Mount, Registry, Version};
use calypte_store::{Progress, Store};
use calypte_trust::sigstore::{Bundle, SigningKey, fallback_tag};
use serde_json::json;

use crate::PublishError;

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const PREDICATE: &str = "predicateType";

/// Pushes the old forms of an image's signature and of the bundles of what is said of it, by type. `repository` is its name
/// with the registry.
///
/// # Errors
/// When the registry does not take them.
pub fn attach_by_tag(
    registry: &Registry,
    store: &Store,
    repository: &str,
    manifest: &Digest,
    said: &[(&str, &Bundle)],
    key: &SigningKey,
    progress: &dyn Progress,
) -> Result<(), PublishError> {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": manifest.to_string() },
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let signature = STANDARD.encode(key.sign(&payload));
    let layer = (SIMPLE_SIGNING, payload, BTreeMap::from([(SIGNATURE.to_owned(), signature)]));
    push(registry, store, &format!("{}.sig", fallback_tag(manifest)), vec![layer], progress)?;
    let envelope = |(kind, bundle): &(&str, &Bundle)| {
        let bundle: serde_json::Value = serde_json::from_slice(&bundle.to_json()).unwrap_or_default();
        let annotations = BTreeMap::from([
            (SIGNATURE.to_owned(), String::new()),
            (PREDICATE.to_owned(), (*kind).to_owned()),
        ]);
        (ENVELOPE, bundle["dsseEnvelope"].to_string().into_bytes(), annotations)
    };
    let layers: Vec<_> = said.iter().map(envelope).collect();
    if layers.is_empty() {
        return Ok(());
    }
    push(registry, store, &format!("{}.att", fallback_tag(manifest)), layers, progress)
}

fn push(
    registry: &Registry,
    store: &Store,
    tag: &str,
    layers: Vec<(&str, Vec<u8>, BTreeMap<String, String>)>,
    progress: &dyn Progress,
) -> Result<(), PublishError> {
    let put = |media_type: &str, bytes: &[u8], annotations| -> Result<Descriptor, PublishError> {
        let digest = store.put(bytes)?;
        registry.push_blob(store, &digest, Mount::No, progress)?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size: bytes.len() as u64,
            annotations,
            ..Descriptor::default()
        })
    };
    let mut descriptors = Vec::new();
    for (media_type, bytes, annotations) in layers {
        descriptors.push(put(media_type, &bytes, annotations)?);
    }
    let diff_ids: Vec<String> = descriptors.iter().map(|layer| layer.digest.to_string()).collect();
    let config = json!({
        "architecture": "", "os": "", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = put(MEDIA_TYPE_CONFIG, config.to_string().as_bytes(), BTreeMap::new())?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MEDIA_TYPE_MANIFEST.to_owned()),
        config,
        layers: descriptors,
        ..Manifest::default()
    };
    let bytes = serde_json::to_vec(&manifest).unwrap_or_default();
    registry.push_manifest(&Version::Tag(tag.to_owned()), MEDIA_TYPE_MANIFEST, &bytes)?;
    Ok(())
}
