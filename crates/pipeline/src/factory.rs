//! What every piece of work needs, set up once: catalog, store, mirrors, the time, and whom to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use calypte_base::Epoch;
use calypte_definition::{Catalog, ImageId};
use calypte_image::LayerCompression;
use calypte_resolve::LockedPackage;
use calypte_store::{Download, FetchSettings, Fetcher, Store};
use calypte_universe::{OVERLAY, RepositoryDefinition, Rules, UniverseDefinition};

use crate::build::LayerOptions;
use crate::catalog::{CatalogDirectory, Mistakes};
use crate::hints::hinted;
use crate::report::Reporter;

/// What a [`Factory`] is made from: all that a library must not find out by itself.
#[derive(Debug)]
pub struct FactorySettings<'a> {
    /// The catalog.
    pub catalog: CatalogDirectory,
    /// The store.
    pub store: Store,
    /// Mirror name → base addresses, in the order in which they are asked; where a universe's mirror is not among them,
    /// the universe's own fallback is asked.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// How to download; its `mirrors` and `interrupted` are not looked at.
    pub network: FetchSettings,
    /// A directory with packages of one's own, in `deb/` and `rpm/`, which every universe has as well.
    pub overlay: Option<PathBuf>,
    /// The time, against which signatures and indexes are judged.
    pub now: Epoch,
    /// The newest time that images may hold, in place of the newest date in their lock.
    pub source_date_epoch: Option<Epoch>,
    /// How layers are compressed where nothing else is asked for.
    pub compression: LayerCompression,
    /// Whom to tell.
    pub reporter: &'a dyn Reporter,
    /// Set when the work is to stop.
    pub interrupted: Arc<AtomicBool>,
}

/// Does all work over one catalog and one store.
#[derive(Debug)]
pub struct Factory<'a> {
    pub(crate) settings: FactorySettings<'a>,
    pub(crate) images: Catalog,
    universes: BTreeMap<String, (UniverseDefinition, Rules)>,
    /// Warnings that were given, so that none is given twice.
    pub(crate) told: Mutex<BTreeSet<String>>,
    /// How many segments of layers were compressed.
    pub(crate) compressed: AtomicUsize,
}

impl<'a> Factory<'a> {
    /// Reads the catalog.
    ///
    /// # Errors
    /// [`Mistakes`], or a file that cannot be read.
    pub fn new(settings: FactorySettings<'a>) -> Result<Self> {
        let images = settings.catalog.images()?;
        let mut universes = BTreeMap::new();
        for name in settings.catalog.universes()? {
            let universe = read_universe(&settings, &name)?;
            universes.insert(name, universe);
        }
        Ok(Self { settings, images, universes, told: Mutex::default(), compressed: AtomicUsize::new(0) })
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.settings.store
    }

    /// How many segments of layers it has compressed so far: what was compressed before, for whichever image, is none of
    /// them.
    #[must_use]
    pub fn compressed_segments(&self) -> usize {
        self.compressed.load(Ordering::Relaxed)
    }

    /// The image that a text such as `python:3.14-builder` means in a universe.
    ///
    /// # Errors
    /// When there is none.
    pub fn image_id(&self, text: &str, universe: &str) -> Result<ImageId> {
        self.universe(universe)?;
        Ok(self.images.select(&self.images.parse_id(text)?, universe)?)
    }

    /// The families that are named, or all that have an image in the universe, without those of hosts.
    ///
    /// # Errors
    /// When a name is none of a family, or a family has no image there.
    pub fn families(&self, names: &[String], universe: &str) -> Result<Vec<String>> {
        self.universe(universe)?;
        if names.is_empty() {
            let all = self.images.families().map(|family| family.name.clone());
            // Hosts take packages of one's own, which are not there for everyone: they are made where they are named.
            let is_image = |family: &String| {
                let images = self.images.images_in(family, universe);
                let is_host = |id: &ImageId| self.images.image(id).is_ok_and(|image| image.host.is_some());
                !images.is_empty() && !images.iter().any(is_host)
            };
            return Ok(all.filter(is_image).collect());
        }
        for name in names {
            self.images.select(&self.images.parse_id(name)?, universe)?;
        }
        let mut families: Vec<String> =
            names.iter().map(|name| Ok(self.images.parse_id(name)?.family)).collect::<Result<_>>()?;
        families.sort();
        families.dedup();
        Ok(families)
    }

    /// The images of a family that a universe can have, in the order of the definition.
    #[must_use]
    pub fn images_of(&self, family: &str, universe: &str) -> Vec<ImageId> {
        self.images.images_in(family, universe)
    }

    /// The names of all images that the catalog has in a universe.
    #[must_use]
    pub fn image_names(&self, universe: &str) -> BTreeSet<String> {
        let families = self.images.families();
        let images = families.flat_map(|family| self.images.images_in(&family.name, universe));
        images.map(|image| image.to_string()).collect()
    }

    /// The families that are made where none is named: those that say so, or all if none does.
    ///
    /// # Errors
    /// When the catalog has no such universe.
    pub fn starters(&self, universe: &str) -> Result<Vec<String>> {
        let all = self.families(&[], universe)?;
        let is_starter = |name: &&String| self.images.get(name).is_some_and(|family| family.starter);
        let starters: Vec<String> = all.iter().filter(is_starter).cloned().collect();
        Ok(if starters.is_empty() { all } else { starters })
    }

    /// A universe's definition and rules.
    ///
    /// # Errors
    /// When the catalog has none of this name.
    pub fn universe(&self, name: &str) -> Result<&(UniverseDefinition, Rules)> {
        self.universes.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.universes.keys().map(String::as_str).collect();
            hinted(format!("no universe is called `{name}`"), format!("universes: {}", known.join(", ")))
        })
    }

    /// How layers are made where nothing else is asked for.
    #[must_use]
    pub fn layer_options(&self) -> LayerOptions {
        LayerOptions::new(self.settings.compression)
    }

    /// What downloads, for the repositories of a universe.
    pub(crate) fn fetcher(&self, universe: &UniverseDefinition) -> Fetcher {
        let settings = &self.settings;
        let mut mirrors = settings.mirrors.clone();
        for (mirror, fallback) in universe.repositories.iter().flat_map(RepositoryDefinition::mirrors) {
            mirrors.entry(mirror).or_insert_with(|| vec![fallback]);
        }
        let fetch = FetchSettings {
            mirrors,
            interrupted: Arc::clone(&settings.interrupted),
            ..settings.network.clone()
        };
        Fetcher::new(settings.store.clone(), fetch)
    }

    /// What a locked package is downloaded as.
    pub(crate) fn download(
        &self,
        universe: &UniverseDefinition,
        package: &LockedPackage,
    ) -> Result<Download> {
        let repository = universe.repository(&package.repository).ok_or_else(|| {
            let (id, repository) = (&package.id, &package.repository);
            let message = format!(
                "{id} comes from repository `{repository}`, which {} does not have",
                universe.universe
            );
            if repository == OVERLAY {
                return hinted(message, "name the directory of the packages: --overlay DIR");
            }
            anyhow::anyhow!(message)
        })?;
        Ok(Download {
            mirror: repository.mirror.clone(),
            path: package.url.clone(),
            digest: package.sha256,
            size: package.size,
            what: format!("{} {}", package.id, package.version),
        })
    }

    /// Downloads packages that the store does not have yet.
    ///
    /// # Errors
    /// When one cannot be had.
    pub(crate) fn fetch<'l>(
        &self,
        universe: &UniverseDefinition,
        packages: impl IntoIterator<Item = &'l LockedPackage>,
    ) -> Result<()> {
        self.fetch_with(&self.fetcher(universe), universe, packages)
    }

    /// The same, with a fetcher that may know more addresses.
    ///
    /// # Errors
    /// When one cannot be had.
    pub(crate) fn fetch_with<'l>(
        &self,
        fetcher: &Fetcher,
        universe: &UniverseDefinition,
        packages: impl IntoIterator<Item = &'l LockedPackage>,
    ) -> Result<()> {
        let mut missing = BTreeMap::new();
        for package in packages {
            if self.store().has(&package.sha256) {
                continue;
            }
            let repository = universe.repository(&package.repository);
            if let Some(directory) = repository.and_then(|repository| repository.local.as_ref()) {
                calypte_universe::import(directory, &package.url, &package.sha256, self.store())?;
            } else {
                missing.insert(package.sha256, self.download(universe, package)?);
            }
        }
        let missing: Vec<Download> = missing.into_values().collect();
        if !missing.is_empty() {
            fetcher.fetch_all(&missing, self.settings.reporter.downloads())?;
        }
        Ok(())
    }

    /// An error if the user wants the work to stop.
    pub(crate) fn stop_if_interrupted(&self) -> Result<()> {
        if self.settings.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }
}

/// A universe as the catalog has it now, with the packages of one's own.
pub(crate) fn read_universe(
    settings: &FactorySettings<'_>,
    name: &str,
) -> Result<(UniverseDefinition, Rules)> {
    let catalog = &settings.catalog;
    let path = format!("universes/{name}.yaml");
    let mut definition =
        UniverseDefinition::parse(&catalog.shown(&path), &catalog.text(&path)?).map_err(Mistakes)?;
    let directory = format!("universes/{}", definition.rules);
    let rules =
        Rules::load(&catalog.shown(&directory), &catalog.texts(&directory, "yaml")?).map_err(Mistakes)?;
    if let Some(overlay) = &settings.overlay {
        let directory = overlay.join(definition.format.to_string());
        if directory.is_dir() {
            definition = definition.with_overlay(&directory);
        }
    }
    Ok((definition, rules))
}
