//! An image's blobs and documents to a registry; tags are moved later, when the evidence is there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use calypte_base::Digest;
use calypte_formats::oci::{MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use calypte_image::{Blob, Index};
use calypte_store::registry::{Arrival, Mount, Registry, RegistryError, Version};
use calypte_store::{Progress, Store};
use serde::Serialize;

use crate::PublishError;

/// Blobs sent at once: enough to fill a line, few enough that no registry minds.
const PARALLEL: usize = 4;

/// What is in the registry now, and what it took to bring it there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Digest of the index.
    pub digest: Option<Digest>,
    /// Blobs that were sent.
    pub sent: usize,
    /// Blobs that the registry took over from another repository.
    pub mounted: usize,
    /// Blobs that were there.
    pub present: usize,
    /// Bytes of the blobs that were sent.
    pub bytes: u64,
}

/// Pushes an index with all its images, under their digests alone. `mount` says where the registry may have blobs of it.
///
/// # Errors
/// When the registry does not take something, or the store does not have it.
pub fn push_index(
    registry: &Registry,
    store: &Store,
    index: &Index,
    mount: Mount<'_>,
    progress: &dyn Progress,
) -> Result<Published, PublishError> {
    let mut blobs: Vec<Blob> = index
        .images()
        .iter()
        .flat_map(|image| image.blobs().filter(|blob| blob.digest != image.digest()).collect::<Vec<_>>())
        .collect();
    blobs.sort();
    blobs.dedup();
    // The largest first, so that none of them is waited for alone at the end.
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let mut published = push_blobs(registry, store, &blobs, mount, progress)?;
    for image in index.images() {
        let bytes = store.read_verified(&image.digest())?;
        registry.push_manifest(&Version::Digest(image.digest()), MEDIA_TYPE_MANIFEST, &bytes)?;
    }
    let bytes = store.read_verified(&index.digest())?;
    registry.push_manifest(&Version::Digest(index.digest()), MEDIA_TYPE_INDEX, &bytes)?;
    published.digest = Some(index.digest());
    Ok(published)
}

fn push_blobs(
    registry: &Registry,
    store: &Store,
    blobs: &[Blob],
    mount: Mount<'_>,
    progress: &dyn Progress,
) -> Result<Published, PublishError> {
    let next = AtomicUsize::new(0);
    let outcome: Mutex<Result<Published, RegistryError>> = Mutex::new(Ok(Published::default()));
    let lock = || outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let work = || {
        while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let arrival = registry.push_blob(store, &blob.digest, mount, progress);
            let mut outcome = lock();
            let Ok(published) = outcome.as_mut() else { return };
            match arrival {
                Ok(Arrival::Sent) => {
                    published.sent += 1;
                    published.bytes += blob.size;
                }
                Ok(Arrival::Mounted) => published.mounted += 1,
                Ok(Arrival::Present) => published.present += 1,
                Err(error) => *outcome = Err(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(blobs.len()) {
            scope.spawn(work);
        }
    });
    Ok(outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?)
}
