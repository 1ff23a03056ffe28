//! An image or a directory that others made → its bill of materials, and beside it what changelogs name as fixed and what
//! could not be read.
//!
//! Nothing is run and nothing is unpacked: each file's bytes pass once ([`collect`]), what package managers and language
//! tools left is kept, and read when all is known ([`tree`]). Whoever made the input may lie; the bill then says what the
//! records say. A record that is there and cannot be read is a gap, and a bill with gaps must never count as clean.

mod apk;
mod bill;
mod collect;
mod dpkg;
mod error;
mod java;
mod kind;
mod npm;
mod programs;
mod python;
mod relations;
mod rpm;
mod tree;
mod unread;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use calypte_base::Epoch;
use calypte_formats::changelog::NamedFix;
use calypte_formats::oci;
use calypte_image::read::{LayerCheck, Layout, LayoutImage};

use crate::model::{Sbom, Subject, SubjectKind};
use collect::Collector;
pub use error::ForeignError;
use tree::Tree;

/// What is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether SHA-1 and SHA-512 of each file are computed, which documents need and scans do not; and whether layers are
    /// also checked against the image's config, and not against its manifest alone.
    pub hashes: bool,
}

/// A bill of materials of something that others made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignBill {
    /// What is in it.
    pub sbom: Sbom,
    /// The flaws that each component's own changelog names as fixed, by [`crate::Component::id`].
    pub fixes: BTreeMap<String, BTreeMap<String, NamedFix>>,
    /// What is there and could not be read, each in one sentence. While there are any, the bill may lack components.
    pub gaps: Vec<String>,
}

/// Reads an image of a layout or archive.
///
/// # Errors
/// When a layer of it cannot be read.
pub fn image(layout: &Layout, image: &LayoutImage, options: Options) -> Result<ForeignBill, ForeignError> {
    let mut collector = Collector::new(options);
    let check = if options.hashes { LayerCheck::BlobAndArchive } else { LayerCheck::Blob };
    let listing = layout.visit(image, &mut collector, check)?;
    let layers: Vec<_> = image.manifest.layers.iter().map(|layer| layer.digest).collect();
    let tree = Tree::of_listing(listing, &layers, collector);
    let created = image.config.created.as_deref().and_then(|time| time.parse().ok());
    Ok(bill::make(tree, subject(image), created.unwrap_or(Epoch(0))))
}

/// Reads a directory as the root of a system. Links are not followed, special files are passed over.
///
/// # Errors
/// When the directory cannot be read or has more in it than any should.
pub fn directory(path: &Path, options: Options) -> Result<ForeignBill, ForeignError> {
    let subject = Subject {
        kind: SubjectKind::Directory,
        name: path.display().to_string(),
        version: None,
        digest: None,
        architecture: None,
        supplier: None,
    };
    Ok(bill::make(walk::read(path, options)?, subject, Epoch(0)))
}

fn subject(image: &LayoutImage) -> Subject {
    let labels = image.config.config.as_ref().map(|config| &config.labels);
    let said = |name: &str| {
        let said = image.manifest.annotations.get(name).or_else(|| labels?.get(name));
        said.filter(|text| !text.is_empty()).cloned()
    };
    let platform = image.descriptor.platform.as_ref();
    Subject {
        kind: SubjectKind::Container,
        name: image.name.clone().unwrap_or_else(|| image.descriptor.digest.to_string()),
        version: said("org.opencontainers.image.version"),
        digest: is_manifest(&image.descriptor).then_some(image.descriptor.digest),
        architecture: platform.map(|platform| platform.architecture.clone()),
        supplier: said("org.opencontainers.image.vendor"),
    }
}

/// An image out of Docker's archive has no manifest that a registry would know.
fn is_manifest(descriptor: &oci::Descriptor) -> bool {
    descriptor.media_type.contains("manifest")
}
