//! A bundle, or other things, as an OCI artifact that refers to what it is about (distribution specification 1.1, "Listing
//! referrers").

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

/// The documents that attach something to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// How an index, or the list of referrers, names it.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The blobs that it names: the empty config and what is attached.
    pub blobs: Vec<Vec<u8>>,
}

/// A blob that is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its media type.
    pub media_type: String,
    /// What its descriptor says of it.
    pub annotations: BTreeMap<String, String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Referrer {
    /// Attaches a bundle to the manifest or index `subject`.
    #[must_use]
    pub fn new(bundle: Vec<u8>, predicate_type: &str, subject: &Descriptor) -> Self {
        let annotations = BTreeMap::from([
            (CONTENT_ANNOTATION.to_owned(), "dsse-envelope".to_owned()),
            (PREDICATE_ANNOTATION.to_owned(), predicate_type.to_owned()),
        ]);
        let media_type = MEDIA_TYPE_BUNDLE.to_owned();
        let bundle = Attached { media_type, annotations: BTreeMap::new(), bytes: bundle };
        Self::of(MEDIA_TYPE_BUNDLE, vec![bundle], annotations, subject)
    }

    /// Attaches an artifact of this type, with these blobs, to the manifest or index `subject`.
    #[must_use]
    pub fn of(
        artifact_type: &str,
        attached: Vec<Attached>,
        annotations: BTreeMap<String, String>,
        subject: &Descriptor,
    ) -> Self {
        let blob = |media_type: &str, bytes: &[u8]| Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            ..Descriptor::default()
        };
        let layer = |attached: &Attached| Descriptor {
            annotations: attached.annotations.clone(),
            ..blob(&attached.media_type, &attached.bytes)
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
            artifact_type: Some(artifact_type.to_owned()),
            config: blob(oci::MEDIA_TYPE_EMPTY, EMPTY),
            layers: attached.iter().map(layer).collect(),
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
            artifact_type: Some(artifact_type.to_owned()),
            annotations,
            ..blob(oci::MEDIA_TYPE_MANIFEST, &manifest)
        };
        let blobs = std::iter::once(EMPTY.to_vec()).chain(attached.into_iter().map(|one| one.bytes));
        Self { descriptor, manifest, blobs: blobs.collect() }
    }
}

/// The tag under which a registry without the referrers interface has the index of what refers to a manifest.
#[must_use]
pub fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}
