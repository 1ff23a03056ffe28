//! What can go wrong between a tree and an image.

use std::io;

use calypte_base::{Architecture, Digest, TreePath};
use calypte_rootfs::Owner;
use calypte_store::StoreError;

/// Why no image could be made of a tree.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A name that means a deletion in a layer.
    #[error(
        "{path}, put there by {owner}, cannot be in an image: names that begin with `.wh.` mean deletions"
    )]
    WhiteoutName {
        /// The path.
        path: TreePath,
        /// Who put it there.
        owner: Owner,
    },
    /// A node could not be written into its layer: its bytes are missing or damaged, or the disk is full.
    #[error("cannot write {path} into the {layer} layer: {source}")]
    Write {
        /// The node.
        path: TreePath,
        /// The layer's name.
        layer: String,
        /// Why not.
        source: io::Error,
    },
    /// A layer could not be compressed or finished.
    #[error("cannot finish the {layer} layer: {source}")]
    Finish {
        /// The layer's name.
        layer: String,
        /// Why not.
        source: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An index of no images.
    #[error("an image index needs at least one image")]
    NoImages,
    /// Two images of one index are for the same machine.
    #[error("two images for {architecture} in one index: {first} and {second}")]
    SamePlatform {
        /// The architecture.
        architecture: Architecture,
        /// Manifest digest of the one.
        first: Digest,
        /// Manifest digest of the other.
        second: Digest,
    },
    /// A document could not be written as JSON.
    #[error("cannot write the {document} as JSON: {source}")]
    Json {
        /// `image config`, `image manifest`, `image index`.
        document: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
}

impl ImageError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WhiteoutName { path, .. } => {
                Some(format!("delete {path} under `fs:` in the image's definition"))
            }
            Self::Write { source, .. } | Self::Finish { source, .. } => store_hint(source),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// The hint of a store error that travels inside of an I/O error.
pub(crate) fn store_hint(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<StoreError>()?.hint()
}

/// The operating system's own words: `fs_err` and `tempfile` put the path into the text, which would name it twice.
pub(crate) fn bare(source: io::Error) -> io::Error {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = source.get_ref().map(|error| error as _);
    while let Some(error) = inner {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        inner = error.source();
    }
    source
}
