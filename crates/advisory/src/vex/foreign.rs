//! VEX documents of others → statements: OpenVEX or CSAF, whichever it is. Nothing in them is trusted to be sound: they are
//! bounded in bytes, values, depth and products, and what is wrong is told with its place.

use std::io::Read;

use calypte_base::Epoch;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::model::{ImageId, Product, Statement, Whole};
use super::purl::Purl;
use super::{csaf, openvex};
use crate::feeds::FeedError;

/// The largest document that is read, in bytes: some ten times the largest that is published.
pub const LARGEST: u64 = 128 << 20;
/// The most products that the statements of one document are about, each counted for each.
const MOST_PRODUCTS: usize = 500_000;

/// What a document of somebody else says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The statements, in the order of the document.
    pub statements: Vec<Statement>,
    /// How many products were left out, since nothing tells by which name a package or image would be known.
    pub unknown_products: usize,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Probe {
    #[serde(rename = "@context")]
    context: Option<IgnoredAny>,
    document: Option<IgnoredAny>,
}

/// Reads a document of OpenVEX or CSAF, whose name is for errors and is where its statements come from.
///
/// # Errors
/// When it is neither, is not sound, or is larger than any: with its name and the place in it.
pub fn read(document: &str, reader: &mut dyn Read) -> Result<Foreign, FeedError> {
    let mut bytes = Vec::new();
    let limited = reader.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes);
    limited.map_err(|source| FeedError::Io { document: document.to_owned(), source })?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(FeedError::TooLarge { document: document.to_owned(), limit: LARGEST });
    }
    let probe: Probe = parse(document, &bytes)?;
    match (probe.context, probe.document) {
        (Some(_), _) => openvex::read(document, &bytes),
        (None, Some(_)) => csaf::read(document, &bytes),
        (None, None) => {
            let reason = "it is neither OpenVEX (which has `@context`) nor CSAF (which has `document`)";
            Err(malformed(document, "line 1, column 1", reason))
        }
    }
}

/// JSON → a type, its errors with line and column. What it can cost is bounded before anything is made of it.
pub(super) fn parse<T: DeserializeOwned>(document: &str, bytes: &[u8]) -> Result<T, FeedError> {
    crate::feeds::whole::json(document, bytes)
}

pub(super) fn malformed(document: &str, place: impl Into<String>, reason: impl Into<String>) -> FeedError {
    let reason: String = reason.into().chars().take(300).collect();
    FeedError::Malformed { document: document.to_owned(), place: place.into(), reason }
}

/// Counts products, up to the most that there may be.
#[derive(Debug, Default)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn take(&mut self, document: &str, place: impl Fn() -> String) -> Result<(), FeedError> {
        self.0 = self.0.saturating_add(1);
        if self.0 <= MOST_PRODUCTS {
            return Ok(());
        }
        Err(malformed(
            document,
            place(),
            format!("with this one there are more than {MOST_PRODUCTS} products"),
        ))
    }
}

/// An RFC 3339 time.
pub(super) fn time(document: &str, place: impl Fn() -> String, text: &str) -> Result<Epoch, FeedError> {
    let is_date = text.contains('-');
    text.parse().ok().filter(|_| is_date).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        malformed(document, place(), format!("`{shown}` is no RFC 3339 time"))
    })
}

/// The product that an identifier names: an image, a package, or something by its name. None for a tag of an image, which
/// says nothing of what it is today.
pub(super) fn whole(id: &str) -> Option<Whole> {
    if id.starts_with("cpe:") {
        return Some(Whole::Cpe(id.to_owned()));
    }
    match id.parse::<Purl>() {
        Ok(purl) if purl.kind == "oci" => ImageId::from_purl(&purl).map(Whole::Image),
        Ok(purl) => Some(Whole::Package(purl)),
        Err(_) if id.starts_with("pkg:") => None,
        Err(_) => Some(Whole::Name(id.to_owned())),
    }
}

/// A package as part of a whole; a package in itself is that package.
pub(super) fn product(whole: Whole, part: Option<Purl>) -> Product {
    match &whole {
        Whole::Package(purl) if part.as_ref() == Some(purl) => Product { whole, part: None },
        _ => Product { whole, part },
    }
}

#[cfg(test)]
mod tests;
