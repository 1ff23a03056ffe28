//! Tags: moved last, and never to something older.

use calypte_base::Digest;
use calypte_formats::oci::{ImageConfig, Index, MEDIA_TYPE_INDEX, Manifest};
use calypte_store::Store;
use calypte_store::registry::{Document, Registry, RegistryError, Version};

use crate::PublishError;

/// The annotation that says when an image was made (image-spec, annotations.md), in RFC 3339.
const CREATED: &str = "org.opencontainers.image.created";

/// What became of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// It is new.
    Made,
    /// It was there for the same image.
    Kept,
    /// It was there for another image, which is the older one or as old.
    Moved {
        /// The image that had it.
        from: Digest,
    },
}

/// Gives an index of the store a tag, if the image that has it now is not newer. An image that does not say when it was
/// made counts as old.
///
/// # Errors
/// When it would go back in time, or the registry fails.
pub fn move_tag(registry: &Registry, store: &Store, index: &Digest, tag: &str) -> Result<Move, PublishError> {
    let version = Version::Tag(tag.to_owned());
    let ours = store.read_verified(index)?;
    let there = find(registry, &version)?;
    let outcome = match &there {
        None => Move::Made,
        Some(document) if document.digest == *index => return Ok(Move::Kept),
        Some(document) => {
            let parsed: Option<Index> = serde_json::from_slice(&ours).ok();
            let made = parsed.and_then(|index| index.annotations.get(CREATED).cloned());
            let before = created(registry, document)?;
            // RFC 3339 in UTC and whole seconds, as both sides write it, is ordered as text.
            if let (Some(ours), Some(there)) = (made, before)
                && ours < there
            {
                return Err(PublishError::Older { tag: tag.to_owned(), there, ours });
            }
            Move::Moved { from: document.digest }
        }
    };
    registry.push_manifest(&version, MEDIA_TYPE_INDEX, &ours)?;
    Ok(outcome)
}

/// A manifest that may not be there.
pub(crate) fn find(registry: &Registry, version: &Version) -> Result<Option<Document>, PublishError> {
    match registry.manifest(version) {
        Ok(document) => Ok(Some(document)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_missing(error: &RegistryError) -> bool {
    error.status() == Some(404)
}

/// When an image of a registry was made: its own annotation, or what the config of its first image says.
fn created(registry: &Registry, document: &Document) -> Result<Option<String>, PublishError> {
    let index: Option<Index> = serde_json::from_slice(&document.bytes).ok();
    if let Some(found) = index.as_ref().and_then(|index| index.annotations.get(CREATED)) {
        return Ok(Some(found.clone()));
    }
    let first = index.and_then(|index| index.manifests.first().map(|manifest| manifest.digest));
    let manifest = match first {
        Some(digest) => find(registry, &Version::Digest(digest))?.map(|document| document.bytes),
        None => Some(document.bytes.clone()),
    };
    let manifest: Option<Manifest> = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(manifest) = manifest else { return Ok(None) };
    if let Some(found) = manifest.annotations.get(CREATED) {
        return Ok(Some(found.clone()));
    }
    const LARGEST_CONFIG: u64 = 1024 * 1024;
    if manifest.config.size == 0 || manifest.config.size > LARGEST_CONFIG {
        return Ok(None);
    }
    let config = registry.small_blob(&manifest.config.digest, manifest.config.size)?;
    let config: Option<ImageConfig> = serde_json::from_slice(&config).ok();
    Ok(config.and_then(|config| config.created))
}
