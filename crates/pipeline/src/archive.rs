//! `calypte archive`: the packages of locks, saved so that a rebuild outlives the mirror.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use calypte_store::Download;
use calypte_store::archive::{Copied, export};

use crate::factory::Factory;

impl Factory<'_> {
    /// Fetches every package that the locks of these families name, and writes them to a directory from which
    /// [`calypte_store::FetchSettings::archives`] takes them.
    ///
    /// # Errors
    /// When a lock is missing, a package cannot be had, or the directory cannot be written.
    pub fn archive(&self, universe: &str, families: &[String], directory: &Path) -> Result<Copied> {
        let (definition, _) = self.universe(universe)?;
        let mut downloads: BTreeMap<_, Download> = BTreeMap::new();
        for family in families {
            let lock = self.current_lock(universe, family)?;
            self.fetch(definition, lock.packages.values().flatten())?;
            for package in lock.packages.values().flatten() {
                downloads.insert(package.sha256, self.download(definition, package)?);
            }
        }
        let downloads: Vec<Download> = downloads.into_values().collect();
        Ok(export(self.store(), &downloads, directory)?)
    }
}
