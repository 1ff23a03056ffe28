//! `calypte rebuild`: an image of a registry made again from its provenance alone, and held against what is published.
//!
//! ```text
//! registry ──▶ provenance ──▶ recipe (from the registry) ──▶ a catalog, for this one image
//!                   └───────▶ packages (store, archives, mirrors) ──▶ an empty store ──▶ the image ──▶ compare
//! ```
//!
//! The catalog of this machine is never looked at, and neither is anything that an earlier build left in its store but
//! packages: those are what their digests say.

mod claim;
mod compare;
mod fields;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use calypte_attest::Ingredient;
use calypte_base::{Architecture, Digest, Epoch};
use calypte_formats::oci::{self, Descriptor, MEDIA_TYPE_MANIFEST};
use calypte_image::{Image, Index};
use calypte_store::registry::{Document, Reference, Registry, RegistrySettings};
use calypte_store::{FetchSettings, Store};
use calypte_trust::sigstore::PublicKeys;
use serde::Serialize;

use crate::build::{BuildRequest, Inputs};
use crate::factory::{Factory, FactorySettings};
use crate::hints::hinted;
use crate::recipe;
use crate::report::Reporter;
use claim::Claim;
pub use compare::{Differences, LayerDifference};
pub use fields::FieldDifference;
pub use files::{FileDifference, What};

/// What a rebuild is told.
#[derive(Debug)]
pub struct RebuildSettings<'a> {
    /// How to ask the registry.
    pub registry: RegistrySettings,
    /// Keys of which one must have signed the provenance; none: it is taken unverified.
    pub keys: PublicKeys,
    /// Of an image for several machines: which alone; none: all.
    pub architecture: Option<Architecture>,
    /// The store, which gives and keeps packages.
    pub store: Store,
    /// Mirrors, as [`FactorySettings::mirrors`].
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// How to download.
    pub network: FetchSettings,
    /// Packages of one's own.
    pub overlay: Option<PathBuf>,
    /// The time.
    pub now: Epoch,
    /// The version of this program.
    pub version: String,
    /// Whom to tell.
    pub reporter: &'a dyn Reporter,
    /// Set when the work is to stop.
    pub interrupted: Arc<AtomicBool>,
}

/// What came of a rebuild.
#[derive(Debug, Serialize)]
pub struct RebuildReport {
    /// The image as it was asked for.
    pub reference: String,
    /// Digest of what the reference leads to: an index, or one machine's manifest.
    pub digest: Digest,
    /// Whether all that was made again has the digests of what is published.
    pub identical: bool,
    /// The index; none where one machine was asked for.
    pub index: Option<RebuiltIndex>,
    /// The machines.
    pub machines: Vec<RebuiltMachine>,
}

/// An index that was made again.
#[derive(Debug, Serialize)]
pub struct RebuiltIndex {
    /// Digest of the published one.
    pub published: Digest,
    /// Digest of the one that was made.
    pub rebuilt: Digest,
    /// Where they differ.
    pub fields: Vec<FieldDifference>,
}

/// One machine's image that was made again.
#[derive(Debug, Serialize)]
pub struct RebuiltMachine {
    /// The machine.
    pub architecture: Architecture,
    /// The image, as the catalog of its maker called it.
    pub image: String,
    /// The universe.
    pub universe: String,
    /// Digest of the published manifest.
    pub published: Digest,
    /// Digest of the manifest that was made.
    pub rebuilt: Digest,
    /// Whose word it is.
    pub provenance: Source,
    /// The program that made the published image.
    pub tool: Tool,
    /// Where they differ; none where they are the same.
    pub differences: Option<Differences>,
}

/// Whose word was taken for how an image was made.
#[derive(Debug, Serialize)]
pub struct Source {
    /// The file of the key that signed it; none: nobody's signature was looked at.
    pub key: Option<String>,
    /// Further provenances of the image that count and were not followed.
    pub others: usize,
}

/// The program that made the published image.
#[derive(Debug, Serialize)]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The digest over its sources.
    pub sources: String,
    /// Whether it is this program.
    pub same: bool,
}

/// Makes an image of a registry again, and compares.
///
/// # Errors
/// When its provenance does not count or names no recipe, a package cannot be had, or it cannot be built. That something
/// else comes out is no error.
pub fn rebuild(reference: &Reference, settings: &RebuildSettings<'_>) -> Result<RebuildReport> {
    let registry = Registry::new(reference, settings.registry.clone())?;
    let document = registry.manifest(&reference.version)?;
    let (index, manifests) = published(&document, settings.architecture, reference)?;
    let scratch = tempfile::Builder::new().prefix("rebuild-").tempdir_in(settings.store.root())?;
    let made = Store::open(scratch.path().join("store"))?;
    let (mut machines, mut images) = (Vec::new(), Vec::new());
    for (number, manifest) in manifests.iter().enumerate() {
        let work = Work { registry: &registry, settings, made: &made };
        let catalog = scratch.path().join(format!("catalog-{number}"));
        let (machine, image) =
            work.machine(manifest, &catalog).with_context(|| format!("{reference}, {}", manifest.digest))?;
        if settings.architecture.is_some_and(|wanted| wanted != machine.architecture) {
            bail!("{reference} is for {}, as its provenance says", machine.architecture);
        }
        machines.push(machine);
        images.push(image);
    }
    let index = match index {
        false => None,
        true => {
            let index = Index::new(images, &made)?;
            let fields = match index.digest() == document.digest {
                true => Vec::new(),
                false => fields::of_documents(&document.bytes, &made.read_verified(&index.digest())?)?,
            };
            Some(RebuiltIndex { published: document.digest, rebuilt: index.digest(), fields })
        }
    };
    let identical = machines.iter().all(|machine| machine.differences.is_none())
        && index.as_ref().is_none_or(|index| index.published == index.rebuilt);
    Ok(RebuildReport {
        reference: reference.to_string(),
        digest: document.digest,
        identical,
        index,
        machines,
    })
}

/// Whether the whole of an index is made again, and the manifests that are.
fn published(
    document: &Document,
    architecture: Option<Architecture>,
    reference: &Reference,
) -> Result<(bool, Vec<Descriptor>)> {
    // A manifest reads as an index of nothing.
    let index: Option<oci::Index> = serde_json::from_slice(&document.bytes).ok();
    let Some(index) = index.filter(|index| !index.manifests.is_empty()) else {
        let media_type = MEDIA_TYPE_MANIFEST.to_owned();
        let (digest, size) = (document.digest, document.bytes.len() as u64);
        return Ok((false, vec![Descriptor { media_type, digest, size, ..Descriptor::default() }]));
    };
    let Some(architecture) = architecture else { return Ok((true, index.manifests)) };
    let name = |manifest: &Descriptor| manifest.platform.clone().unwrap_or_default().architecture;
    let known: Vec<String> = index.manifests.iter().map(name).collect();
    let wanted: Vec<_> =
        index.manifests.into_iter().filter(|manifest| name(manifest) == architecture.oci()).collect();
    if wanted.is_empty() {
        return Err(hinted(
            format!("{reference} has no image for {architecture}"),
            format!("it has: {}", known.join(", ")),
        ));
    }
    Ok((false, wanted))
}

/// What making one machine's image again takes.
struct Work<'a> {
    registry: &'a Registry,
    settings: &'a RebuildSettings<'a>,
    /// Where it is made: nothing of an earlier build is in it.
    made: &'a Store,
}

impl Work<'_> {
    /// Makes one machine's image again; `catalog` is a directory that is not there yet.
    fn machine(&self, manifest: &Descriptor, catalog: &Path) -> Result<(RebuiltMachine, Image)> {
        let sources = env!("CALYPTE_SOURCES");
        let settings = self.settings;
        settings.reporter.step(&format!("reading the provenance of {}", manifest.digest));
        let claim = Claim::find(self.registry, &manifest.digest, &settings.keys, sources)?;
        let tool = Tool {
            same: claim.provenance.tool.sources == sources,
            version: claim.provenance.tool.version.clone(),
            sources: claim.provenance.tool.sources.clone(),
        };
        let ingredients = Ingredient::of(&claim.provenance).map_err(|error| {
            hinted(
                error.to_string(),
                "publish the image again: versions of calypte before `rebuild` kept no recipe beside it",
            )
        })?;
        let recipe = recipe::fetch(self.registry, &ingredients)?;
        let catalog = recipe::lay_out(&recipe, catalog)?;
        let made_by = || match tool.same {
            true => "its recipe cannot be followed".to_owned(),
            false => format!(
                "its recipe cannot be followed: it is calypte {}'s, and this is another ({})",
                tool.version, settings.version
            ),
        };
        let image = self.build(&claim, catalog).with_context(made_by)?;
        let differences = match image.digest() == manifest.digest {
            true => None,
            false => {
                settings.reporter.step("looking for what differs");
                let found = compare::differences(self.registry, self.made, manifest, &image)?;
                if settings.interrupted.load(Ordering::Relaxed) {
                    bail!("interrupted");
                }
                Some(found)
            }
        };
        let machine = RebuiltMachine {
            architecture: image.architecture(),
            image: claim.image()?.to_owned(),
            universe: claim.universe()?.to_owned(),
            published: manifest.digest,
            rebuilt: image.digest(),
            provenance: Source { key: claim.key, others: claim.others },
            tool,
            differences,
        };
        Ok((machine, image))
    }

    /// Builds what a provenance claims.
    fn build(&self, claim: &Claim, catalog: crate::CatalogDirectory) -> Result<Image> {
        let settings = self.settings;
        let factory = Factory::new(FactorySettings {
            catalog,
            store: settings.store.clone(),
            mirrors: settings.mirrors.clone(),
            network: settings.network.clone(),
            overlay: settings.overlay.clone(),
            now: settings.now,
            source_date_epoch: Some(claim.created()?),
            compression: claim.compression()?,
            reporter: settings.reporter,
            interrupted: Arc::clone(&settings.interrupted),
        })?;
        let (universe, architecture) = (claim.universe()?, claim.architecture()?);
        let image = factory.image_id(claim.image()?, universe)?;
        let lock = factory.current_lock(universe, &image.family)?;
        let inputs = factory.inputs(&lock, &image, architecture)?;
        all_are_named(&inputs, claim)?;
        factory.fetch(&factory.universe(universe)?.0, inputs.packages.iter().copied())?;
        factory.lend(&inputs, self.made)?;
        let again = factory.over(self.made.clone())?;
        let request = BuildRequest {
            image,
            universe: universe.to_owned(),
            architectures: vec![architecture],
            layers: again.layer_options(),
        };
        let built = again.build(&request)?;
        built.index.images().first().cloned().context("nothing was built")
    }
}

/// Whether the lock has exactly the packages that the provenance names: these are what it is signed for.
fn all_are_named(inputs: &Inputs<'_>, claim: &Claim) -> Result<()> {
    let packages = claim.provenance.materials.iter().filter(|material| !Ingredient::is_one(material));
    let named: BTreeSet<Digest> = packages.map(|material| material.digest).collect();
    let locked: BTreeSet<Digest> = inputs.packages.iter().map(|package| package.sha256).collect();
    if let Some(package) = inputs.packages.iter().find(|package| !named.contains(&package.sha256)) {
        bail!("the provenance contradicts itself: its lock has {}, which it does not name", package.id);
    }
    if let Some(digest) = named.difference(&locked).next() {
        bail!("the provenance contradicts itself: it names a package {digest}, which its lock does not have");
    }
    Ok(())
}
