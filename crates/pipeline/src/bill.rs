//! Bills of materials: of an image of the catalog, whose tree is known; of any other image or directory, which is read.
//!
//! What is to be known of a package (hashes, licences, what its changelog fixes) is found out once and kept under the
//! digest of its file; the bill of an image under all that it is made from.

use std::collections::BTreeMap;

use anyhow::Result;
use calypte_advisory::Fixes;
use calypte_base::{Architecture, Digest, TreePath};
use calypte_definition::ImageId;
use calypte_image::Image;
use calypte_image::packing::IMAGE_LAYER;
use calypte_resolve::LockedPackage;
use calypte_rootfs::{Owner, Rootfs, UnpackedPackage};
use calypte_sbom::evidence::{self, PackageEvidence};
use calypte_sbom::own::{self, OwnImage};
use calypte_sbom::{Sbom, Subject, SubjectKind};
use calypte_store::{Contents, Store};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::build::Inputs;
use crate::factory::Factory;

/// The kind of the store's cache under which evidence is kept.
const EVIDENCE: &str = "evidence";

/// The kind of the store's cache under which whole bills are kept.
const BILLS: &str = "bill";

/// The kind under which bills without their files are kept.
const BRIEF_BILLS: &str = "bill-brief";

/// A bill of materials, and beside it what a scan must know that does not belong into one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// What is in it.
    pub sbom: Sbom,
    /// The flaws that each component's own changelog names as fixed.
    pub fixes: Fixes,
    /// What could not be read of it, in words: a scan that finds nothing in the rest proves nothing of these.
    pub gaps: Vec<String>,
}

impl Factory<'_> {
    /// The bill of an image of the catalog for one architecture. What is not in the store is fetched and built.
    ///
    /// # Errors
    /// When the image cannot be built from its lock, or a content of it cannot be read.
    pub fn bill(&self, image: &ImageId, universe: &str, architecture: Architecture) -> Result<Bill> {
        let lock = self.current_lock(universe, &image.family)?;
        let inputs = self.inputs(&lock, image, architecture)?;
        let key = self.key(&inputs, &self.layer_options())?;
        let kept = self.store().cache_get(BILLS, &key);
        if let Some(bill) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(bill);
        }
        let built = self.image(&inputs, &self.layer_options())?;
        let bill = self.make_bill(&inputs, &built)?;
        self.store().cache_put(BILLS, &key, &serde_json::to_vec(&bill)?)?;
        Ok(bill)
    }

    /// The same without its files: all that is needed to look up flaws, and small.
    ///
    /// # Errors
    /// As [`Factory::bill`].
    pub fn bill_without_files(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
    ) -> Result<Bill> {
        let lock = self.current_lock(universe, &image.family)?;
        let key = self.key(&self.inputs(&lock, image, architecture)?, &self.layer_options())?;
        let kept = self.store().cache_get(BRIEF_BILLS, &key);
        if let Some(bill) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(bill);
        }
        let mut bill = self.bill(image, universe, architecture)?;
        bill.sbom.files.clear();
        self.store().cache_put(BRIEF_BILLS, &key, &serde_json::to_vec(&bill)?)?;
        Ok(bill)
    }

    fn make_bill(&self, inputs: &Inputs<'_>, built: &Image) -> Result<Bill> {
        let rootfs = self.assemble(inputs)?;
        self.settings.reporter.step(&format!("reading what is in {}", inputs.definition.id));
        let evidence = evidence_of(&rootfs, self.store())?;
        let annotation = |name: &str| built.annotations().get(name).cloned();
        let sbom = own::sbom(&OwnImage {
            rootfs: &rootfs,
            packages: &inputs.packages,
            evidence: &evidence,
            subject: Subject {
                kind: SubjectKind::Container,
                name: inputs.definition.id.to_string(),
                version: annotation("org.opencontainers.image.version"),
                digest: Some(built.digest()),
                architecture: Some(inputs.architecture.oci().to_owned()),
                supplier: annotation("org.opencontainers.image.vendor"),
            },
            created: inputs.epoch,
            layers: &layers_of(&rootfs, &inputs.packages, built),
        })?;
        Ok(Bill { fixes: fixes_of(&sbom, &evidence), sbom, gaps: Vec::new() })
    }
}

/// What the changelog of each component's source package names: one package of a source may have the changelog for all.
fn fixes_of(sbom: &Sbom, evidence: &BTreeMap<String, PackageEvidence>) -> Fixes {
    let mut by_source = BTreeMap::new();
    for component in sbom.components.values() {
        let fixes = evidence.get(&component.name).into_iter().flat_map(|known| &known.fixes);
        let of_source: &mut BTreeMap<_, _> = by_source.entry(&component.source).or_default();
        of_source.extend(fixes.map(|(flaw, fix)| (flaw.clone(), fix.clone())));
    }
    let fixes = sbom.components.values().filter_map(|component| {
        let fixes = by_source.get(&component.source).filter(|fixes| !fixes.is_empty())?;
        Some((component.id.clone(), fixes.clone()))
    });
    fixes.collect()
}

/// The evidence of each package, by its name.
fn evidence_of(rootfs: &Rootfs, store: &Store) -> Result<BTreeMap<String, PackageEvidence>> {
    let one =
        |package: &UnpackedPackage| Ok((package.name.clone(), evidence(package, &rootfs.contents, store)?));
    rootfs.packages.par_iter().map(one).collect()
}

/// What is to be known of a package; what is not kept is found out, and kept.
pub(crate) fn evidence(
    package: &UnpackedPackage,
    contents: &Contents,
    store: &Store,
) -> Result<PackageEvidence> {
    let key = Digest::of(format!("{} {}", evidence::FORMAT, package.digest).as_bytes());
    let kept = store.cache_get(EVIDENCE, &key);
    if let Some(kept) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(kept);
    }
    let found = evidence::evidence(package, contents)?;
    store.cache_put(EVIDENCE, &key, &serde_json::to_vec(&found)?)?;
    Ok(found)
}

/// The blob of the layer that each file lies in.
fn layers_of(rootfs: &Rootfs, packages: &[&LockedPackage], image: &Image) -> BTreeMap<TreePath, Digest> {
    let layers = image.layers().as_slice();
    let by_source: BTreeMap<&str, Digest> = layers
        .iter()
        .flat_map(|layer| layer.groups.iter().map(|group| (group.as_str(), layer.digest)))
        .collect();
    let generated = layers.iter().find(|layer| layer.name == IMAGE_LAYER).map(|layer| layer.digest);
    let sources: BTreeMap<&str, &str> =
        packages.iter().map(|package| (package.id.as_str(), package.source.as_str())).collect();
    let layer = |owner: &Owner| match owner.package() {
        Some(package) => by_source.get(sources.get(package)?).copied(),
        None => generated,
    };
    let nodes = rootfs.tree.iter().filter(|(_, node)| !node.is_directory());
    nodes.filter_map(|(path, node)| Some((path.clone(), layer(&node.owner)?))).collect()
}

#[cfg(test)]
mod tests;
