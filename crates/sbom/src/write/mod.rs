//! One model, three documents: SPDX 2.3 ([`spdx23`]), SPDX 3.0.1 ([`spdx301`]) and CycloneDX 1.6 ([`cyclonedx16`]), each as
//! JSON. The same model gives the same bytes: identifiers are made of names and digests, times are the model's.

mod cyclonedx;
mod parties;
mod spdx2;
mod spdx3;

pub use cyclonedx::cyclonedx16;
pub use spdx2::spdx23;
pub use spdx3::spdx301;

use std::collections::BTreeSet;

use calypte_base::Digest;
use serde_json::Value;

use crate::licences;
use crate::model::{Component, Sbom};

/// Who made the document, with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The program.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The organisation that answers for the document.
    pub organization: String,
}

/// A universally unique identifier that is the same for the same model: RFC 9562 version 8 over its digest.
fn uuid(sbom: &Sbom, document: &str) -> String {
    let mut bytes = document.as_bytes().to_vec();
    // The model is made of ordered containers of plain values: it always can be written.
    bytes.extend(serde_json::to_vec(sbom).unwrap_or_default());
    let digest = Digest::of(&bytes).hex();
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// The copyright text of a component: its notices; SPDX's word for none where its terms were read and have none, and that
/// for nothing known otherwise.
fn copyright(component: &Component) -> String {
    match component.copyright.as_slice() {
        [] if component.licences.declared.is_some() => "NONE".to_owned(),
        [] => "NOASSERTION".to_owned(),
        lines => lines.join("\n"),
    }
}

/// What is said of the copyright of an image as a whole.
const OF_THE_WHOLE: &str = "The notices of the packages in it; of the image itself, none.";

/// The licences of everything in the image: all apply to some part of it. None where those of a package are not known.
fn licence_of_the_whole(sbom: &Sbom) -> Option<String> {
    let mut parts = BTreeSet::new();
    for component in sbom.components.values().filter(|component| component.part_of.is_none()) {
        parts.insert(component.licences.concluded.clone()?);
    }
    licences::all_of(parts.into_iter().collect())
}

/// The document's bytes, with a line end.
fn bytes(document: &Value) -> Vec<u8> {
    // As above: a tree of JSON values always can be written.
    let mut bytes = serde_json::to_vec(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
