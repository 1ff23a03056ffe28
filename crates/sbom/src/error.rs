//! Why there is no bill of materials.

use std::io;

use calypte_base::{Digest, TreePath};

/// What can go wrong when an own image's bill is made.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// A content of a package cannot be read.
    #[error("package {package}: content {digest}: {source}")]
    Package {
        /// The package.
        package: String,
        /// The content.
        digest: Digest,
        /// Why not.
        source: io::Error,
    },
    /// A content that was made for the image cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: TreePath,
        /// Why not.
        source: io::Error,
    },
    /// What was kept of a package's headers is damaged.
    #[error("package {package}: its headers, as they were kept, cannot be read")]
    Header {
        /// The package.
        package: String,
    },
    /// A file belongs to a package that is not in the lock.
    #[error("{path} belongs to {package}, which is not among the image's packages")]
    Stranger {
        /// The file.
        path: TreePath,
        /// The package.
        package: String,
    },
}
