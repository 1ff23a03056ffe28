//! What refers to an image: signatures and attestations as manifests with a `subject` (distribution specification 1.1,
//! "Referrers"), and the tag that lists them where a registry does not (there, "Referrers Tag Schema").

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use calypte_base::Digest;
use calypte_formats::oci::{
    Descriptor, Index, MEDIA_TYPE_EMPTY, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Manifest,
};
use calypte_store::registry::{Mount, Registry, Version};
use calypte_store::{Progress, Store};

use crate::PublishError;
use crate::tags::find;

/// How often a list that others write at the same time is written again.
const ATTEMPTS: u32 = 5;

/// One list is written at a time: reading and writing it again is no single step for a registry.
static FALLBACK: Mutex<()> = Mutex::new(());

/// Something that is said of an image.
#[derive(Debug, Clone)]
pub struct Artifact<'a> {
    /// What kind of thing it is; also the media type of its one blob.
    pub artifact_type: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
}

/// An artifact that is in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Whether it had to be listed under the fallback tag.
    pub by_tag: bool,
}

/// The tag under which a registry without the referrers API lists what refers to an image.
#[must_use]
pub fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// Puts an artifact into the registry as something that refers to `subject`. The same artifact twice is one.
///
/// # Errors
/// When the registry does not take it.
pub fn attach(
    registry: &Registry,
    store: &Store,
    subject: &Descriptor,
    artifact: &Artifact<'_>,
    progress: &dyn Progress,
) -> Result<Attached, PublishError> {
    let blob = store.put(artifact.bytes)?;
    let empty = store.put(b"{}")?;
    for digest in [&empty, &blob] {
        registry.push_blob(store, digest, Mount::No, progress)?;
    }
    let descriptor = |media_type: &str, digest: Digest, size: usize| Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size: size as u64,
        ..Descriptor::default()
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MEDIA_TYPE_MANIFEST.to_owned()),
        artifact_type: Some(artifact.artifact_type.to_owned()),
        config: descriptor(MEDIA_TYPE_EMPTY, empty, 2),
        layers: vec![descriptor(artifact.artifact_type, blob, artifact.bytes.len())],
        subject: Some(Descriptor { annotations: BTreeMap::new(), platform: None, ..subject.clone() }),
        annotations: artifact.annotations.clone(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap_or_default();
    let digest = store.put(&bytes)?;
    let accepted = registry.push_manifest(&Version::Digest(digest), MEDIA_TYPE_MANIFEST, &bytes)?;
    if accepted.lists_referrer {
        return Ok(Attached { digest, by_tag: false });
    }
    let listed = Descriptor {
        artifact_type: Some(artifact.artifact_type.to_owned()),
        annotations: artifact.annotations.clone(),
        ..descriptor(MEDIA_TYPE_MANIFEST, digest, bytes.len())
    };
    list_by_tag(registry, &subject.digest, listed)?;
    Ok(Attached { digest, by_tag: true })
}

/// What refers to an image: by the registry's own list, else by the fallback tag.
///
/// # Errors
/// When the registry fails, or the tag leads to something else than a list.
pub fn referrers(registry: &Registry, subject: &Digest) -> Result<Vec<Descriptor>, PublishError> {
    let own = registry.referrers(subject)?.and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    match own {
        Some(index) => Ok(index.manifests),
        None => Ok(tagged(registry, subject)?.manifests),
    }
}

fn tagged(registry: &Registry, subject: &Digest) -> Result<Index, PublishError> {
    let tag = fallback_tag(subject);
    match find(registry, &Version::Tag(tag.clone()))? {
        None => {
            Ok(Index { schema_version: 2, media_type: Some(MEDIA_TYPE_INDEX.to_owned()), ..Index::default() })
        }
        Some(document) => serde_json::from_slice(&document.bytes)
            .map_err(|error| PublishError::NoIndex { tag, reason: error.to_string() }),
    }
}

fn list_by_tag(registry: &Registry, subject: &Digest, listed: Descriptor) -> Result<(), PublishError> {
    let _one_at_a_time = FALLBACK.lock().unwrap_or_else(PoisonError::into_inner);
    let version = Version::Tag(fallback_tag(subject));
    let is_in = |index: &Index| index.manifests.iter().any(|other| other.digest == listed.digest);
    for _ in 0..ATTEMPTS {
        let mut index = tagged(registry, subject)?;
        if is_in(&index) {
            return Ok(());
        }
        index.manifests.push(listed.clone());
        let bytes = serde_json::to_vec(&index).unwrap_or_default();
        registry.push_manifest(&version, MEDIA_TYPE_INDEX, &bytes)?;
        // Another program may have written its own list over ours in the meantime: then once more.
        if is_in(&tagged(registry, subject)?) {
            return Ok(());
        }
    }
    Err(PublishError::Raced { subject: *subject })
}
