//! Unified kernel images (UAPI UKI specification): a PE image out of the distribution's stub and sections, read and signed.

mod build;
mod sign;

pub use build::{Parts, build};
pub use sign::{Signer, authenticode_digest, sign};

/// Why an image cannot be made, read or signed.
#[derive(Debug, thiserror::Error)]
pub enum UkiError {
    /// It is no PE image.
    #[error("no PE image: {0}")]
    Malformed(&'static str),
    /// A part cannot be put into an image.
    #[error("section {section}: {what}")]
    BadSection {
        /// Its name.
        section: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A key or certificate is none that can sign.
    #[error("signing key: {0}")]
    Key(String),
}

/// A section of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its name, such as `.cmdline`; at most eight bytes.
    pub name: String,
    /// Where it lies in memory, counted from the image's base.
    pub address: u32,
    /// Its contents without what fills it up.
    pub data: &'a [u8],
}

/// The sections of a PE image, in the order of its table.
///
/// # Errors
/// When the bytes are no PE image for a 64-bit machine, or a section lies outside of them.
pub fn parse(_image: &[u8]) -> Result<Vec<Section<'_>>, UkiError> {
    Err(UkiError::Malformed("unread"))
}
