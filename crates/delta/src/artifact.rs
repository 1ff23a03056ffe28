//! The OCI artifact that a delta is: a manifest about the new image, with the plan and the frames as its layers.

use std::collections::BTreeMap;

use calypte_base::Digest;
use calypte_formats::oci;

use crate::create::Created;
use crate::error::DeltaError;
use crate::layout::Layout;

/// What the manifest says it is.
pub const ARTIFACT_TYPE: &str = "application/vnd.calypte.delta.v1";

/// Media type of the plan.
pub(crate) const PLAN_TYPE: &str = "application/vnd.calypte.delta.plan.v1+zstd";

/// Media type of the frames.
pub(crate) const FRAMES_TYPE: &str = "application/vnd.calypte.delta.frames.v1+zstd";

/// The document behind the empty config (OCI image spec, manifest.md).
pub(crate) const EMPTY: &[u8] = b"{}";

/// Names of annotations.
const BASE: &str = "dev.calypte.delta.base";
const TARGET: &str = "dev.calypte.delta.target";
const SIZE: &str = "dev.calypte.delta.size";
const LAYERS_SIZE: &str = "dev.calypte.delta.layers-size";

/// The manifest of a delta, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The image that the delta is against: digest of its manifest.
    pub base: Digest,
    /// The image that it leads to: its manifest's descriptor.
    pub target: oci::Descriptor,
    /// The plan's blob.
    pub plan: oci::Descriptor,
    /// The frames' blob; none when the plan needs none.
    pub frames: Option<oci::Descriptor>,
}

/// The manifest of a new delta.
pub(crate) fn manifest(created: &Created) -> oci::Manifest {
    let blob = |media_type: &str, digest, size| oci::Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        ..oci::Descriptor::default()
    };
    let mut layers = vec![blob(PLAN_TYPE, Digest::of(&created.plan), created.plan.len() as u64)];
    if created.frames_size > 0 {
        layers.push(blob(FRAMES_TYPE, created.frames_digest, created.frames_size));
    }
    let summary = &created.summary;
    let annotations = [
        (BASE, created.base.to_string()),
        (TARGET, created.target.digest.to_string()),
        (SIZE, summary.delta.to_string()),
        (LAYERS_SIZE, summary.layers.to_string()),
    ];
    let annotations: BTreeMap<String, String> =
        annotations.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let subject = blob(&created.target.media_type, created.target.digest, created.target.size);
    oci::Manifest {
        schema_version: 2,
        media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
        artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        config: blob(oci::MEDIA_TYPE_EMPTY, Digest::of(EMPTY), EMPTY.len() as u64),
        layers,
        subject: Some(subject),
        annotations,
    }
}

impl Artifact {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is no delta's.
    pub fn parse(layout: &Layout, descriptor: &oci::Descriptor, bytes: &[u8]) -> Result<Self, DeltaError> {
        let bad = |reason: String| DeltaError::Document {
            path: layout.path().to_owned(),
            digest: descriptor.digest,
            reason,
        };
        let manifest: oci::Manifest =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if manifest.artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
            let found = manifest.artifact_type.unwrap_or(manifest.config.media_type);
            return Err(bad(format!("expected a delta, `{ARTIFACT_TYPE}`, found `{found}`")));
        }
        let base = manifest.annotations.get(BASE).and_then(|text| text.parse().ok());
        let base = base.ok_or_else(|| bad(format!("no digest in its annotation `{BASE}`")))?;
        let target = manifest.subject.ok_or_else(|| bad("no subject".to_owned()))?;
        let mut layers = manifest.layers.into_iter();
        let (plan, frames) = match (layers.next(), layers.next(), layers.next()) {
            (Some(plan), frames, None) if plan.media_type == PLAN_TYPE => (plan, frames),
            _ => return Err(bad("expected a plan and at most one blob of frames".to_owned())),
        };
        if let Some(frames) = frames.as_ref().filter(|frames| frames.media_type != FRAMES_TYPE) {
            return Err(bad(format!("expected `{FRAMES_TYPE}`, found `{}`", frames.media_type)));
        }
        Ok(Self { base, target, plan, frames })
    }
}
