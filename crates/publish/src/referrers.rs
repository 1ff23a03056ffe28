//! What refers to an image: signatures and attestations as manifests with a `subject` (distribution specification 1.1,
//! "Referrers"), and the tag that lists them where a registry does not (there, "Referrers Tag Schema").

use std::sync::{Mutex, PoisonError};

use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use calypte_image::Blob;
use calypte_store::registry::{Mount, Registry, Version};
use calypte_store::{Progress, Store};
use calypte_trust::sigstore::{Referrer, fallback_tag};

use crate::PublishError;
use crate::tags::find;

/// Something that refers to an image, as it was put into a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// What it refers to.
    pub subject: Digest,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// What the manifest names.
    pub blobs: Vec<Blob>,
    /// Whether it had to be listed under the fallback tag.
    pub by_tag: bool,
}

/// How often a list that others write at the same time is written again.
const ATTEMPTS: u32 = 5;

/// One list is written at a time: reading and writing it again is no single step for a registry.
static FALLBACK: Mutex<()> = Mutex::new(());

/// Puts something into the registry that refers to `subject`. The same thing twice is one.
///
/// # Errors
/// When the registry does not take it.
pub fn attach(
    registry: &Registry,
    store: &Store,
    subject: &Digest,
    referrer: &Referrer,
    progress: &dyn Progress,
) -> Result<Attached, PublishError> {
    let mut blobs = Vec::new();
    for bytes in &referrer.blobs {
        let digest = store.put(bytes)?;
        registry.push_blob(store, &digest, Mount::No, progress)?;
        blobs.push(Blob { digest, size: bytes.len() as u64 });
    }
    let digest = referrer.descriptor.digest;
    let accepted =
        registry.push_manifest(&Version::Digest(digest), MEDIA_TYPE_MANIFEST, &referrer.manifest)?;
    if !accepted.lists_referrer {
        list_by_tag(registry, subject, &referrer.descriptor)?;
    }
    Ok(Attached { subject: *subject, manifest: digest, blobs, by_tag: !accepted.lists_referrer })
}

/// What refers to an image: by the registry's own list, else by the fallback tag.
///
/// # Errors
/// When the registry fails. A list that is none counts as empty: what a registry says there is vouched for by nothing.
pub fn referrers(registry: &Registry, subject: &Digest) -> Result<Vec<Descriptor>, PublishError> {
    let pages = registry.referrers(subject)?.unwrap_or_default();
    let indexes = pages.iter().filter_map(|page| serde_json::from_slice::<Index>(page).ok());
    Ok(indexes.flat_map(|index| index.manifests).collect())
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

fn list_by_tag(registry: &Registry, subject: &Digest, listed: &Descriptor) -> Result<(), PublishError> {
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
