//! Unified kernel images (UAPI.5): a PE image out of the distribution's stub and sections, read and signed.

mod build;
mod pe;
mod sign;

pub use build::{Parts, build};
pub use sign::{Signer, authenticode_digest, sign};

use self::pe::Headers;

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
pub fn parse(image: &[u8]) -> Result<Vec<Section<'_>>, UkiError> {
    let headers = Headers::parse(image)?;
    let section = |header: &pe::SectionHeader| Section {
        name: header.name.clone(),
        address: header.address,
        data: header.data(image).unwrap_or_default(),
    };
    Ok(headers.sections.iter().map(section).collect())
}

/// The contents of a section as text, such as the command line; nothing where the image has no such section.
///
/// # Errors
/// When the bytes are no PE image, or the section is not UTF-8.
pub fn text(image: &[u8], section: &str) -> Result<Option<String>, UkiError> {
    let found = parse(image)?.into_iter().find(|found| found.name == section);
    let Some(found) = found else { return Ok(None) };
    let text =
        str::from_utf8(found.data).map_err(|_| UkiError::Malformed("a section of text is not UTF-8"))?;
    Ok(Some(text.trim_end_matches('\0').to_owned()))
}
