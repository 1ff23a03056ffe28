//! Why the registry refuses something, as the specification names it ("Error Codes").

use calypte_base::Digest;
use calypte_store::StoreError;

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// What should be the name of a repository is none.
    #[error("`{0}` is no name of a repository")]
    Name(String),
    /// There is no such repository.
    #[error("there is no repository {0}")]
    NameUnknown(String),
    /// What should be a tag is none.
    #[error("`{0}` is no tag")]
    Tag(String),
    /// What should be a digest is none.
    #[error("`{0}` is no sha256 digest")]
    Digest(String),
    /// The bytes are not those of the digest.
    #[error("what was sent has the digest {found}, not {expected}")]
    WrongDigest {
        /// The digest that was promised.
        expected: Digest,
        /// That of what came.
        found: Digest,
    },
    /// The repository has no such manifest.
    #[error("there is no manifest {0}")]
    ManifestUnknown(String),
    /// What should be a manifest is none.
    #[error("this is no manifest: {0}")]
    ManifestInvalid(String),
    /// A manifest names something that the repository does not have.
    #[error("the manifest names {0}, which this repository does not have; push it first")]
    ManifestBlobUnknown(Digest),
    /// The repository has no such blob.
    #[error("there is no blob {0}")]
    BlobUnknown(Digest),
    /// No upload has this id, or it was given up.
    #[error("there is no upload {0}")]
    UploadUnknown(String),
    /// A piece of a blob does not begin where the last one ended.
    #[error("the upload has {has} bytes, and this piece begins at {at}")]
    Range {
        /// Bytes that have come.
        has: u64,
        /// Where the piece would go.
        at: u64,
    },
    /// Too many bytes.
    #[error("more than {limit} bytes are not accepted")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The request breaks the protocol.
    #[error("{0}")]
    Request(&'static str),
    /// The store or a file failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the registry failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Problem {
    /// The status of the answer and the specification's code for it.
    #[must_use]
    pub fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Name(_) => (400, "NAME_INVALID"),
            Self::NameUnknown(_) => (404, "NAME_UNKNOWN"),
            Self::Tag(_) | Self::ManifestInvalid(_) => (400, "MANIFEST_INVALID"),
            Self::Digest(_) | Self::WrongDigest { .. } => (400, "DIGEST_INVALID"),
            Self::ManifestUnknown(_) => (404, "MANIFEST_UNKNOWN"),
            Self::ManifestBlobUnknown(_) => (404, "MANIFEST_BLOB_UNKNOWN"),
            Self::BlobUnknown(_) => (404, "BLOB_UNKNOWN"),
            Self::UploadUnknown(_) => (404, "BLOB_UPLOAD_UNKNOWN"),
            Self::Range { .. } => (416, "BLOB_UPLOAD_INVALID"),
            Self::TooLarge { .. } => (413, "SIZE_INVALID"),
            Self::Request(_) => (400, "UNSUPPORTED"),
            Self::Store(error) if error.is_full_disk() => (507, "BLOB_UPLOAD_INVALID"),
            Self::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                (507, "BLOB_UPLOAD_INVALID")
            }
            Self::Store(_) | Self::Io(_) => (500, "UNKNOWN"),
        }
    }

    /// What the client is told: a failure of the server's own files is for its operator, not for strangers.
    #[must_use]
    pub fn message(&self) -> String {
        match self.status() {
            (500, _) => "the registry has a problem of its own; its log tells which".to_owned(),
            (507, _) => "the registry's disk is full".to_owned(),
            _ => self.to_string(),
        }
    }
}
