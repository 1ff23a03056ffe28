//! A bundle as an OCI artifact that refers to what it is about (distribution specification 1.1, "Listing referrers").

use std::collections::BTreeMap;

use calypte_base::Digest;
use calypte_formats::oci::{self, Descriptor, Manifest};

use super::MEDIA_TYPE_BUNDLE;

/// The annotation that says what a bundle holds; cosign looks for it.
pub const CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";

/// The annotation that says what kind of statement it is.
pub const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// An empty config: `{}`.
const EMPTY: &[u8] = b"{}";

/// The documents that attach a bundle to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// How an index, or the list of referrers, names it.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The blobs that it names: the empty config and the bundle.
    pub blobs: Vec<Vec<u8>>,
}

impl Referrer {
    /// Attaches a bundle to the manifest or index `subject`.
    #[must_use]
    pub fn new(bundle: Vec<u8>, predicate_type: &str, subject: &Descriptor) -> Self {
        let blob = |media_type: &str, bytes: &[u8]| Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            ..Descriptor::default()
        };
        let annotations = BTreeMap::from([
            (CONTENT_ANNOTATION.to_owned(), "dsse-envelope".to_owned()),
            (PREDICATE_ANNOTATION.to_owned(), predicate_type.to_owned()),
        ]);
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
            artifact_type: Some(MEDIA_TYPE_BUNDLE.to_owned()),
            config: blob(oci::MEDIA_TYPE_EMPTY, EMPTY),
            layers: vec![blob(MEDIA_TYPE_BUNDLE, &bundle)],
            subject: Some(Descriptor {
                media_type: subject.media_type.clone(),
                digest: subject.digest,
                size: subject.size,
                ..Descriptor::default()
            }),
            annotations: annotations.clone(),
        };
        // Strings and numbers in memory are always written.
        let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
        let descriptor = Descriptor {
            artifact_type: Some(MEDIA_TYPE_BUNDLE.to_owned()),
            annotations,
            ..blob(oci::MEDIA_TYPE_MANIFEST, &manifest)
        };
        Self { descriptor, manifest, blobs: vec![EMPTY.to_vec(), bundle] }
    }
}

/// The tag under which a registry without the referrers interface has the index of what refers to a manifest.
#[must_use]
pub fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}
