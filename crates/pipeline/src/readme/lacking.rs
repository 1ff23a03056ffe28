//! `catalog/lacking.yaml`: software that people look for and a universe does not have.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_definition::yaml;
use serde::{Deserialize, Serialize};

use crate::catalog::{CatalogDirectory, Mistakes};
use crate::factory::Factory;

/// The catalog's file.
const FILE: &str = "lacking.yaml";

/// One piece of software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lacking {
    /// Its name.
    pub software: String,
    /// The names under which Debian would have it.
    pub absent: BTreeSet<String>,
    /// Why it is not there.
    pub why: String,
    /// The name of Fedora's package; `no` where Fedora does not have it, `unknown` where nobody has looked.
    pub fedora: String,
}

/// What the catalog says that Debian lacks; nothing where it says nothing.
///
/// # Errors
/// When the file has a mistake.
pub fn read(catalog: &CatalogDirectory) -> Result<Vec<Lacking>> {
    let file = catalog.shown(FILE);
    if !std::path::Path::new(&file).exists() {
        return Ok(Vec::new());
    }
    Ok(yaml::from_str(&file, &catalog.text(FILE)?).map_err(|mistake| Mistakes(vec![mistake]))?)
}

impl Factory<'_> {
    /// What the catalog says that Debian lacks.
    ///
    /// # Errors
    /// When the table has a mistake.
    pub fn lacking(&self) -> Result<Vec<Lacking>> {
        read(&self.settings.catalog)
    }

    /// Of what is said to be lacking, the packages that a universe has after all. Reads the newest state of the universe.
    ///
    /// # Errors
    /// When the table has a mistake, or the universe cannot be read.
    pub fn not_lacking(&self, universe: &str) -> Result<Vec<String>> {
        let universe = self.load_universe(universe)?;
        let has = |name: &String| universe.packages.values().any(|index| index.named(name).next().is_some());
        Ok(self.lacking()?.into_iter().flat_map(|lacking| lacking.absent).filter(has).collect())
    }
}
