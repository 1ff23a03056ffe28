//! What the user can do about an error: the libraries' errors know their own cure, and this finds it in a chain.

use anyhow::Error;
use calypte_definition::UnknownImage;
use calypte_delta::DeltaError;
use calypte_image::{ImageError, OutputError, ReadError};
use calypte_policy::PolicyError;
use calypte_publish::PublishError;
use calypte_resolve::{LockError, ResolveError};
use calypte_rootfs::assemble::AssembleError;
use calypte_rootfs::unpack::UnpackError;
use calypte_store::registry::{ReferenceError, RegistryError};
use calypte_store::{FetchError, StoreError};
use calypte_trust::sigstore::KeyFileError;
use calypte_universe::UniverseError;

/// An error of the pipeline's own that comes with a cure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Hinted {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// An error with a cure.
pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// The first cure that is known for any cause in the chain.
#[must_use]
pub fn hint(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let own = cause.downcast_ref::<Hinted>().map(|hinted| hinted.hint.clone());
        own.or_else(|| cause.downcast_ref::<UnknownImage>()?.hint())
            .or_else(|| cause.downcast_ref::<StoreError>()?.hint())
            .or_else(|| cause.downcast_ref::<FetchError>()?.hint())
            .or_else(|| cause.downcast_ref::<ReferenceError>()?.hint())
            .or_else(|| cause.downcast_ref::<RegistryError>()?.hint())
            .or_else(|| cause.downcast_ref::<PublishError>()?.hint())
            .or_else(|| cause.downcast_ref::<PolicyError>()?.hint())
            .or_else(|| cause.downcast_ref::<KeyFileError>()?.hint())
            .or_else(|| cause.downcast_ref::<UniverseError>()?.hint())
            .or_else(|| cause.downcast_ref::<ResolveError>()?.hint())
            .or_else(|| cause.downcast_ref::<LockError>()?.hint())
            .or_else(|| cause.downcast_ref::<AssembleError>()?.hint())
            .or_else(|| cause.downcast_ref::<UnpackError>()?.hint())
            .or_else(|| cause.downcast_ref::<ImageError>()?.hint())
            .or_else(|| cause.downcast_ref::<OutputError>()?.hint())
            .or_else(|| cause.downcast_ref::<ReadError>()?.hint())
            .or_else(|| cause.downcast_ref::<DeltaError>()?.hint())
    })
}

/// Whether a gate said no, rather than something going wrong: the tree of an image failed a check.
#[must_use]
pub fn is_refusal(error: &Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<AssembleError>().is_some_and(AssembleError::is_refusal))
}
