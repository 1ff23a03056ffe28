//! Building: the packages of a lock → tree → layers → image, for each architecture, and the index over them.

pub mod all;
pub(crate) mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, Digest, Epoch};
use calypte_definition::{ImageDefinition, ImageId};
use calypte_image::cache::{self, InputKey};
use calypte_image::packing::{DEFAULT_LAYERS, PreviousLayer};
use calypte_image::{
    Image, ImageMetadata, Index, LayerCompression, LayerSettings, Made, PackageFacts, layers,
};
use calypte_resolve::{Lock, LockedPackage};
use calypte_rootfs::assemble::{Assembly, Rootfs, assemble};
use calypte_rootfs::verbs::Programs;
use calypte_universe::Rules;
use serde::Serialize;

use crate::factory::Factory;
use crate::hints::hinted;
use crate::layers::previous::packings;
use crate::os::seal;
use crate::show;

/// How the layer of a host's unified kernel image is called.
const KERNEL_LAYER: &str = "image/kernel";

/// What is to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The image.
    pub image: ImageId,
    /// The universe whose lock is built.
    pub universe: String,
    /// For which machines; empty: all that the lock has.
    pub architectures: Vec<Architecture>,
    /// How layers are packed and compressed.
    pub layers: LayerOptions,
}

/// How layers are packed and compressed.
#[derive(Debug, Clone)]
pub struct LayerOptions {
    /// How they are compressed.
    pub compression: LayerCompression,
    /// Most layers of an image.
    pub limit: usize,
    /// How the images before were packed, which is kept; none: packed anew.
    pub previous: BTreeMap<Architecture, Vec<PreviousLayer>>,
}

impl LayerOptions {
    /// As images are packed where nothing else is asked for.
    #[must_use]
    pub fn new(compression: LayerCompression) -> Self {
        Self { compression, limit: DEFAULT_LAYERS, previous: BTreeMap::new() }
    }

    /// Takes over how the images of `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or the path alone, are packed.
    ///
    /// # Errors
    /// When the layout cannot be read, none of its images says how it is packed, or several say different things.
    pub fn keep(&mut self, layout: &str) -> Result<()> {
        self.previous = packings(layout)?;
        Ok(())
    }
}

/// What was built.
#[derive(Debug, Clone, Serialize)]
pub struct Built {
    /// The image (`nginx-builder`).
    pub image: String,
    /// The universe.
    pub universe: String,
    /// Whether the lock was made from an index past its Valid-Until.
    pub stale: bool,
    /// Digest of the index over all architectures.
    pub digest: Digest,
    /// One image for each architecture.
    pub images: Vec<BuiltImage>,
    /// The index, in the store.
    #[serde(skip)]
    pub index: Index,
}

/// One architecture's image.
#[derive(Debug, Clone, Serialize)]
pub struct BuiltImage {
    /// For which machine.
    pub architecture: Architecture,
    /// Digest of the manifest.
    pub digest: Digest,
    /// How many packages are in it.
    pub packages: usize,
    /// Bytes to download: the compressed layers.
    pub size: u64,
    /// Bytes of the layers as tar archives.
    pub unpacked_size: u64,
    /// The time of the image, its newest date, in seconds since 1970.
    pub created: Epoch,
}

impl BuiltImage {
    fn of(image: &Image, inputs: &Inputs<'_>) -> Self {
        let layers = image.layers().as_slice();
        Self {
            architecture: inputs.architecture,
            digest: image.digest(),
            packages: inputs.packages.len(),
            size: layers.iter().map(|layer| layer.size).sum(),
            unpacked_size: layers.iter().map(|layer| layer.tar_size).sum(),
            created: inputs.epoch,
        }
    }
}

/// All that one architecture's image is made from.
pub(crate) struct Inputs<'a> {
    pub(crate) definition: &'a ImageDefinition,
    universe: &'a str,
    pub(crate) architecture: Architecture,
    pub(crate) packages: Vec<&'a LockedPackage>,
    /// The programs of the catalog that it holds.
    pub(crate) programs: Programs,
    pub(crate) epoch: Epoch,
}

impl Inputs<'_> {
    /// The universe's name.
    pub(crate) const fn universe(&self) -> &str {
        self.universe
    }
}

impl Factory<'_> {
    /// Builds an image from its lock. Packages that are not in the store are fetched first.
    ///
    /// # Errors
    /// When the lock is missing or out of date, a package cannot be had, or the tree fails a check.
    pub fn build(&self, request: &BuildRequest) -> Result<Built> {
        let lock = self.current_lock(&request.universe, &request.image.family)?;
        let stale = self.warn_if_stale(&lock);
        let architectures = match request.architectures.as_slice() {
            [] => lock.packages.keys().copied().collect(),
            some => some.to_vec(),
        };
        let mut images = Vec::new();
        let mut built = Vec::new();
        for architecture in architectures {
            let inputs = self.inputs(&lock, &request.image, architecture)?;
            let image = self.image(&inputs, &request.layers)?;
            built.push(BuiltImage::of(&image, &inputs));
            images.push(image);
        }
        let index = Index::new(images, self.store())?;
        Ok(Built {
            image: request.image.to_string(),
            universe: request.universe.clone(),
            stale,
            digest: index.digest(),
            images: built,
            index,
        })
    }

    /// The lock of a family, which must be what the definition needs.
    pub(crate) fn current_lock(&self, universe: &str, family: &str) -> Result<Lock> {
        let command = format!("run `calypte lock {family} --universe {universe}`");
        let Some(lock) = self.settings.catalog.read_lock(universe, family)? else {
            return Err(hinted(format!("{family} was never locked in {universe}"), command));
        };
        match self.lock_problem(&lock)? {
            None => Ok(lock),
            Some(problem) => Err(hinted(format!("the lock of {family} in {universe} {problem}"), command)),
        }
    }

    /// Says once for each repository and day that what is built may lack fixes; whether it is so.
    fn warn_if_stale(&self, lock: &Lock) -> bool {
        let stale: Vec<_> = lock.repositories.iter().filter(|repository| repository.stale).collect();
        for repository in &stale {
            let (name, until) = (&repository.name, repository.valid_until.unwrap_or(repository.date));
            let text = format!(
                "locked from a stale mirror: the index of {name} was valid until {until}; security fixes may be missing"
            );
            if self.told.lock().is_ok_and(|mut told| told.insert(text.clone())) {
                self.settings.reporter.warn(&text);
            }
        }
        !stale.is_empty()
    }

    /// The finished tree of one architecture's image, for whoever looks into it.
    pub(crate) fn rootfs(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
    ) -> Result<Rootfs> {
        let lock = self.current_lock(universe, &image.family)?;
        let inputs = self.inputs(&lock, image, architecture)?;
        self.assemble(&inputs)
    }

    pub(crate) fn inputs<'l>(
        &'l self,
        lock: &'l Lock,
        image: &ImageId,
        architecture: Architecture,
    ) -> Result<Inputs<'l>> {
        let packages = show::packages(lock, &image.key(), architecture)?;
        let newest = packages.iter().map(|package| package.date).max().unwrap_or_default();
        let definition = self.images.image(image)?;
        let format = self.universe(&lock.universe)?.0.format;
        Ok(Inputs {
            definition,
            programs: self.settings.catalog.programs(&definition.programs_of(format), architecture)?,
            universe: &lock.universe,
            architecture,
            packages,
            epoch: self.settings.source_date_epoch.unwrap_or(newest),
        })
    }

    /// One architecture's image: from the cache when nothing that it is made from has changed.
    pub(crate) fn image(&self, inputs: &Inputs<'_>, options: &LayerOptions) -> Result<Image> {
        let key = self.key(inputs, options)?;
        match cache::get(self.store(), &key) {
            Some(image) => Ok(image),
            None => self.make(inputs, options, &key),
        }
    }

    /// Makes an image, and remembers it under its key.
    fn make(&self, inputs: &Inputs<'_>, options: &LayerOptions, key: &Digest) -> Result<Image> {
        let Inputs { definition, architecture, epoch, .. } = *inputs;
        let mut rootfs = self.assemble(inputs)?;
        let whole = rootfs.tree.clone();
        let sealed = match &definition.host {
            Some(host) => {
                self.settings.reporter.step(&format!("sealing {} for {architecture}", definition.id));
                seal::kernel_image(&mut rootfs, host, architecture, epoch)?
            }
            None => None,
        };
        self.settings.reporter.step(&format!("packing {} for {architecture}", definition.id));
        let facts =
            inputs.packages.iter().map(|package| (package.id.clone(), package_facts(package, &rootfs)));
        let settings = LayerSettings {
            compression: options.compression,
            limit: options.limit,
            epoch,
            packages: &facts.collect(),
            previous: options.previous.get(&architecture).map_or(&[], Vec::as_slice),
        };
        let Made { layers: mut made, mut compressed } =
            layers(&whole, &rootfs.contents, &settings, self.store())?;
        if let Some(sealed) = sealed {
            let last = layers(&sealed, &rootfs.contents, &settings, self.store())?;
            made.put_on_top(last.layers, KERNEL_LAYER);
            compressed += last.compressed;
        }
        self.compressed.fetch_add(compressed, Ordering::Relaxed);
        let mut metadata = ImageMetadata::of(definition, architecture, epoch);
        metadata.version = self.version(inputs)?;
        let image = Image::new(made, &metadata, self.store())?;
        cache::put(self.store(), key, &image)?;
        Ok(image)
    }

    pub(crate) fn assemble(&self, inputs: &Inputs<'_>) -> Result<Rootfs> {
        let Inputs { definition, architecture, ref packages, ref programs, epoch, .. } = *inputs;
        self.stop_if_interrupted()?;
        let both @ (universe, rules) = self.universe(inputs.universe)?;
        self.fetch(universe, packages.iter().copied())?;
        self.settings.reporter.step(&format!("assembling {} for {architecture}", definition.id));
        let format = universe.format;
        let repositories = &universe.repositories;
        let assembly =
            Assembly { definition, packages, programs, rules, repositories, architecture, format, epoch };
        let rootfs = assemble(&assembly, self.store())?;
        self.refuse_unknown_scripts(&rootfs.packages, both)?;
        self.stop_if_interrupted()?;
        Ok(rootfs)
    }

    /// The version of the image's software: that of the package that the definition names for it.
    fn version(&self, inputs: &Inputs<'_>) -> Result<Option<String>> {
        let format = self.universe(inputs.universe)?.0.format;
        let Some(name) = inputs.definition.version_package(format, inputs.architecture) else {
            return Ok(None);
        };
        let package = inputs.packages.iter().find(|package| package.id == name);
        let package = package.with_context(|| {
            format!("{}: its version is that of {name}, which is not in it", inputs.definition.id)
        })?;
        Ok(Some(calypte_definition::tags::upstream_version(format, &package.version).to_owned()))
    }

    /// The digest of everything that the image is made from: package by package, definition and rules, and this
    /// program's own sources (`CALYPTE_SOURCES`, from the build script).
    pub(crate) fn key(&self, inputs: &Inputs<'_>, options: &LayerOptions) -> Result<Digest> {
        self.key_with(inputs, options, &options.compression.identity())
    }

    /// The same, with a compressor of this identity.
    fn key_with(&self, inputs: &Inputs<'_>, options: &LayerOptions, compressor: &str) -> Result<Digest> {
        // Source and size decide its layer; the rest of what a lock says of a package is in its file.
        let packages = inputs
            .packages
            .iter()
            .map(|package| (&package.id, &package.version, &package.sha256, &package.source, package.size));
        let packages: Vec<_> = packages.collect();
        let programs = inputs.programs.iter().map(|(name, bytes)| (name, Digest::of(bytes)));
        let programs: BTreeMap<_, _> = programs.collect();
        // The table of scripts decides whether there is a lock, and nothing in an image.
        let Rules { assumed, slices, accounts, alternatives, effects, scripts: _ } =
            &self.universe(inputs.universe)?.1;
        let repositories = &self.universe(inputs.universe)?.0.repositories;
        Ok(InputKey::new(env!("CALYPTE_SOURCES"))
            .with("packages", &serde_json::to_vec(&packages)?)
            .with("definition", &serde_json::to_vec(inputs.definition)?)
            .with("programs", format!("{programs:?}").as_bytes())
            .with("rules", format!("{:?}", (assumed, slices, accounts, alternatives, effects)).as_bytes())
            .with("repositories", format!("{repositories:?}").as_bytes())
            .with("architecture", inputs.architecture.oci().as_bytes())
            .with("compression", compressor.as_bytes())
            .with("layers", &options.limit.to_le_bytes())
            .with("previous", format!("{:?}", options.previous.get(&inputs.architecture)).as_bytes())
            .with("epoch", &inputs.epoch.0.to_le_bytes())
            .finish())
    }
}

/// What decides the layer of a package's files.
fn package_facts(package: &LockedPackage, rootfs: &Rootfs) -> PackageFacts {
    let unpacked = rootfs.packages.iter().find(|unpacked| unpacked.name == package.id);
    PackageFacts {
        source: package.source.clone(),
        size: package.size,
        changes: unpacked.map_or(0, |unpacked| unpacked.changes),
    }
}
