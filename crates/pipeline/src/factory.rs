//! What every piece of work needs, set up once: catalog, store, mirrors, the time, and whom to tell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use calypte_base::Epoch;
use calypte_definition::{Catalog, ImageId};
use calypte_store::{Fetcher, Store};
use calypte_universe::{Rules, UniverseDefinition};

use crate::catalog::{CatalogDirectory, Mistakes};
use crate::hints::hinted;
use crate::report::Reporter;

/// What a [`Factory`] is made from: all that a library must not find out by itself.
pub struct FactorySettings<'a> {
    /// The catalog.
    pub catalog: CatalogDirectory,
    /// The store.
    pub store: Store,
    /// Mirror name → base addresses, in the order in which they are asked.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Directories that `archive` wrote, from which packages are taken before any mirror is asked.
    pub archives: Vec<PathBuf>,
    /// Never open a socket.
    pub offline: bool,
    /// Proxy for https.
    pub https_proxy: Option<String>,
    /// Proxy for http.
    pub http_proxy: Option<String>,
    /// PEM file of trusted certificates, in place of the system's.
    pub certificates: Option<PathBuf>,
    /// The time, against which signatures and indexes are judged.
    pub now: Epoch,
    /// The newest time that images may hold, in place of the newest date in their lock.
    pub source_date_epoch: Option<Epoch>,
    /// Whom to tell.
    pub reporter: &'a dyn Reporter,
    /// Set when the work is to stop.
    pub interrupted: Arc<AtomicBool>,
}

/// Does all work over one catalog and one store.
pub struct Factory<'a> {
    pub(crate) settings: FactorySettings<'a>,
    pub(crate) images: Catalog,
    universes: BTreeMap<String, (UniverseDefinition, Rules)>,
}

impl std::fmt::Debug for Factory<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Factory").field("catalog", &self.settings.catalog).finish_non_exhaustive()
    }
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
            universes.insert(name.clone(), read_universe(&settings.catalog, &name)?);
        }
        Ok(Self { settings, images, universes })
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.settings.store
    }

    /// The image that a text such as `python:3.14-builder` means in a universe.
    ///
    /// # Errors
    /// When there is none.
    pub fn image_id(&self, text: &str, universe: &str) -> Result<ImageId> {
        self.universe(universe)?;
        Ok(self.images.select(&self.images.parse_id(text)?, universe)?)
    }

    /// The families that are named, or all that have an image in the universe.
    ///
    /// # Errors
    /// When a name is none of a family, or a family has no image there.
    pub fn families(&self, names: &[String], universe: &str) -> Result<Vec<String>> {
        self.universe(universe)?;
        if names.is_empty() {
            let all = self.images.families().map(|family| family.name.clone());
            return Ok(all.filter(|family| !self.images.images_in(family, universe).is_empty()).collect());
        }
        for name in names {
            self.images.select(&self.images.parse_id(name)?, universe)?;
        }
        let mut families: Vec<String> = names.iter().map(|name| Ok(self.images.parse_id(name)?.family)).collect::<Result<_>>()?;
        families.sort();
        families.dedup();
        Ok(families)
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

    /// What downloads, for the repositories of a universe.
    pub(crate) fn fetcher(&self, universe: &UniverseDefinition) -> Result<Fetcher> {
        let mut mirrors = self.settings.mirrors.clone();
        for repository in &universe.repositories {
            mirrors.entry(repository.mirror.clone()).or_insert_with(|| vec![repository.fallback.clone()]);
        }
        todo_fetcher(mirrors)
    }
}

fn read_universe(catalog: &CatalogDirectory, name: &str) -> Result<(UniverseDefinition, Rules)> {
    let path = format!("universes/{name}.yaml");
    let definition = UniverseDefinition::parse(&catalog.shown(&path), &catalog.text(&path)?).map_err(Mistakes)?;
    let directory = format!("universes/{}", definition.rules);
    let rules = Rules::load(&catalog.shown(&directory), &catalog.texts(&directory, "yaml")?).map_err(Mistakes)?;
    Ok((definition, rules))
}
