//! What was published is asked for again before a tag is moved to it: manifests come back whole and by their digests, blobs
//! must be there with their sizes, statements must be listed among what refers to their image. A registry that lost something
//! keeps its tags where they were.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use calypte_base::Digest;
use calypte_formats::oci::{MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use calypte_image::{Blob, Index};
use calypte_store::registry::{Registry, Version};

use crate::PublishError;
use crate::referrers::{Attached, referrers};
use crate::tags::find;

/// Questions that are asked at once.
const PARALLEL: usize = 4;

/// What a registry must have.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    /// A manifest or an index, and its media type.
    Document(Digest, &'static str),
    /// A blob.
    Blob(Blob),
    /// An image, with what must be listed as referring to it.
    Listed(Digest, BTreeSet<Digest>),
}

/// Asks for everything of an index and what was attached to it; how many things were found as they should be.
///
/// # Errors
/// When the registry fails, or something is not there, is of another size or has other bytes.
pub fn check(registry: &Registry, index: &Index, attached: &[Attached]) -> Result<usize, PublishError> {
    let mut wanted = BTreeSet::from([Wanted::Document(index.digest(), MEDIA_TYPE_INDEX)]);
    for image in index.images() {
        wanted.insert(Wanted::Document(image.digest(), MEDIA_TYPE_MANIFEST));
        wanted.extend(image.blobs().filter(|blob| blob.digest != image.digest()).map(Wanted::Blob));
    }
    let mut listed: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for one in attached {
        listed.entry(one.subject).or_default().insert(one.manifest);
        wanted.insert(Wanted::Document(one.manifest, MEDIA_TYPE_MANIFEST));
        wanted.extend(one.blobs.iter().copied().map(Wanted::Blob));
    }
    wanted.extend(listed.into_iter().map(|(subject, referrers)| Wanted::Listed(subject, referrers)));
    let wanted: Vec<Wanted> = wanted.into_iter().collect();
    let next = AtomicUsize::new(0);
    let outcome: Mutex<Result<(), PublishError>> = Mutex::new(Ok(()));
    let lock = || outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let work = || {
        while let Some(one) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = one.ask(registry);
            let mut outcome = lock();
            if outcome.is_err() {
                return;
            }
            *outcome = found;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(wanted.len()) {
            scope.spawn(work);
        }
    });
    outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
    Ok(wanted.len())
}

impl Wanted {
    fn ask(&self, registry: &Registry) -> Result<(), PublishError> {
        match self {
            Self::Document(digest, media_type) => document(registry, digest, media_type),
            Self::Blob(blob) => {
                let what = || format!("blob {}", blob.digest);
                match registry.held_blob(&blob.digest)? {
                    None => Err(lost(what(), "does not have it")),
                    Some(held) => match held.size.filter(|size| *size != blob.size) {
                        None => Ok(()),
                        Some(size) => Err(lost(what(), &format!("has {size} bytes of {}", blob.size))),
                    },
                }
            }
            Self::Listed(subject, wanted) => {
                let found: BTreeSet<Digest> =
                    referrers(registry, subject)?.into_iter().map(|listed| listed.digest).collect();
                match wanted.difference(&found).next() {
                    None => Ok(()),
                    Some(missing) => Err(lost(
                        format!("the statement {missing}"),
                        &format!("does not list it among what refers to {subject}"),
                    )),
                }
            }
        }
    }
}

/// A manifest by its digest, which its bytes are held against as they are read.
fn document(registry: &Registry, digest: &Digest, media_type: &str) -> Result<(), PublishError> {
    let version = Version::Digest(*digest);
    let what = || format!("the manifest {digest}");
    let Some(found) = find(registry, &version)? else { return Err(lost(what(), "does not have it")) };
    match found.media_type.filter(|found| found != media_type) {
        None => Ok(()),
        Some(other) => Err(lost(what(), &format!("says that it is of type `{other}`"))),
    }
}

fn lost(what: String, trouble: &str) -> PublishError {
    PublishError::Lost { what, trouble: trouble.to_owned() }
}
