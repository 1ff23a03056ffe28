//! What can go wrong with a delta.

use std::io;
use std::path::{Path, PathBuf};

use calypte_base::Digest;
use calypte_formats::tar::TarError;

/// Why a delta could not be made, read or applied.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was being done: `read`, `write`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A path is no OCI image layout.
    #[error("{path} is no OCI image layout: {reason}", path = path.display())]
    NotALayout {
        /// The directory or file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A layout does not hold what was asked for.
    #[error("{path} {reason}", path = path.display())]
    NoImage {
        /// The layout.
        path: PathBuf,
        /// What it holds instead.
        reason: String,
    },
    /// A blob is missing, of another size or with another digest.
    #[error("blob {digest} in {path}: expected {expected}, found {found}", path = path.display())]
    Blob {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// What its descriptor says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A document is not what its media type says.
    #[error("document {digest} in {path} cannot be understood: {reason}", path = path.display())]
    Document {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer is no tar archive that can be taken apart.
    #[error("layer {digest} in {path}: {source}", path = path.display())]
    Layer {
        /// The layout.
        path: PathBuf,
        /// The layer's blob.
        digest: Digest,
        /// What is wrong with it.
        source: TarError,
    },
    /// A layer's tar archive is not the one that the config names.
    #[error("layer {digest} in {path} unpacks to {found}, but the config says {expected}", path = path.display())]
    DiffId {
        /// The layout.
        path: PathBuf,
        /// The layer's blob.
        digest: Digest,
        /// The diff id in the config.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// Both sides have no platform in common.
    #[error("{new} is for {platform}, and {old} holds no image for it", old = old.display(), new = new.display())]
    NoCommonPlatform {
        /// The old image's layout.
        old: PathBuf,
        /// The new image's layout.
        new: PathBuf,
        /// The platform that is missing.
        platform: String,
    },
    /// More of something than an image may have.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The delta was made against another image.
    #[error("the delta is against image {expected}, but the base is {found}: {reason}")]
    WrongBase {
        /// Manifest digest of the image that it was made against.
        expected: Digest,
        /// Manifest digest of the image that was given.
        found: Digest,
        /// How their layers differ.
        reason: String,
    },
    /// The delta holds something that no writer puts there.
    #[error("the delta is damaged: {what}: expected {expected}, found {found}")]
    Damaged {
        /// Where.
        what: String,
        /// What must be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A rebuilt layer has another digest than the image's config says.
    #[error("layer {layer} was rebuilt as {found}, but the image's config says {expected}")]
    RebuiltOther {
        /// Its number, from 0.
        layer: usize,
        /// The diff id in the config.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// A layer's compressed blob cannot be made again on this machine.
    #[error("layer {layer} ({digest}) cannot be compressed as it was: {reason}")]
    CannotRemake {
        /// Its number, from 0.
        layer: usize,
        /// The digest of its blob.
        digest: Digest,
        /// Why not.
        reason: String,
    },
    /// The compressor failed.
    #[error("cannot compress: {reason}")]
    Compress {
        /// What it says.
        reason: String,
    },
    /// The user wants the work to stop.
    #[error("interrupted")]
    Interrupted,
    /// A document could not be written as JSON.
    #[error("cannot write a document as JSON: {source}")]
    Json {
        /// Why not.
        source: serde_json::Error,
    },
}

impl DeltaError {
    /// Gives an operating system error the path that it lacks; for `map_err`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// A [`DeltaError::Damaged`].
    pub(crate) fn damaged(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Damaged { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }

    /// Whether it lies in the delta, which is in this layout, or in its not being for the base: the new image can then
    /// only be had in another way.
    #[must_use]
    pub fn is_of_delta(&self, layout: &Path) -> bool {
        match self {
            Self::WrongBase { .. } | Self::Damaged { .. } | Self::RebuiltOther { .. } => true,
            Self::Io { doing: "read", path, .. }
            | Self::NotALayout { path, .. }
            | Self::NoImage { path, .. }
            | Self::Blob { path, .. }
            | Self::Document { path, .. } => path.starts_with(layout),
            _ => false,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotALayout { .. } => "give a directory or file that `oci:` or `oci-archive:` wrote",
            Self::Blob { .. } | Self::DiffId { .. } => {
                "it was not written to its end or was changed since: copy it again"
            }
            Self::WrongBase { .. } => "give with `--base` the image that the delta was made against",
            Self::Damaged { .. } | Self::RebuiltOther { .. } => "download the delta again",
            Self::CannotRemake { .. } => {
                "name a layout that has this layer with `--fallback oci:DIR`, or pull the image itself"
            }
            Self::NoCommonPlatform { .. } => "make the delta of images for the same platforms",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
