//! Why a tree cannot be an image, or an image not be read.

use calypte_base::TreePath;

/// A tree that is no file system, or an image that is none of composefs.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A path lies in no directory.
    #[error("{path} lies in no directory of the tree")]
    NoDirectory {
        /// The path.
        path: TreePath,
    },
    /// A hard link to nothing, to a directory or to another hard link.
    #[error("{path} is a hard link to {target}, which is no file of the tree")]
    Link {
        /// The path.
        path: TreePath,
        /// What it should be another name of.
        target: TreePath,
    },
    /// The tree has no directory that every host has.
    #[error("the tree has no directory /{name}")]
    Missing {
        /// `usr`.
        name: &'static str,
    },
    /// A file is larger than what may be inside of an image.
    #[error("{path} has {size} bytes, which is too much for a file inside of the image (64)")]
    Inline {
        /// The path.
        path: TreePath,
        /// Its size in bytes.
        size: usize,
    },
    /// The image cannot be read, or composefs will not make it.
    #[error("this is no composefs image: {reason}")]
    Invalid {
        /// What composefs says.
        reason: String,
    },
}

impl ImageError {
    pub(crate) fn invalid(reason: impl std::fmt::Display) -> Self {
        Self::Invalid { reason: reason.to_string() }
    }
}
