//! The recipe of an image ([`Recipe`]): read out of the catalog, fetched from a registry, and laid out as a catalog again.

use std::path::Path;

use anyhow::{Context as _, Result};
use calypte_attest::{Ingredient, Recipe};
use calypte_base::Architecture;
use calypte_definition::{Catalog, ImageId};
use calypte_store::registry::Registry;

use crate::build::Inputs;
use crate::catalog::{CatalogDirectory, Mistakes};
use crate::factory::{Factory, read_universe};
use crate::hints::hinted;

impl Factory<'_> {
    /// All of the catalog that decides one machine's image: the definitions of its family and of those below it, the lock,
    /// the universe with its reviewed tables, the programs that it holds.
    ///
    /// # Errors
    /// When a file cannot be read, or says something else than when this program read it: then the image was made of
    /// something else.
    pub(crate) fn recipe(&self, image: &ImageId, inputs: &Inputs<'_>) -> Result<Recipe> {
        let catalog = &self.settings.catalog;
        let universe = inputs.universe();
        let mut recipe = Recipe::default();
        let mut take = |path: String| -> Result<()> {
            let text = catalog.text(&path).with_context(|| catalog.shown(&path))?;
            recipe.files.insert(path, text.into_bytes());
            Ok(())
        };
        for family in self.images.needed_by(&image.family) {
            take(catalog.definition(&family))?;
        }
        take(format!("locks/{universe}/{}.lock", image.family))?;
        take(format!("universes/{universe}.yaml"))?;
        let tables = format!("universes/{}", self.universe(universe)?.0.rules);
        for name in catalog.names(&tables, "yaml")? {
            take(format!("{tables}/{name}"))?;
        }
        for (name, bytes) in &inputs.programs {
            let path = program_path(name, inputs.architecture);
            recipe.files.insert(path, bytes.clone());
        }
        let as_built = definitions(&recipe)?.image(image)? == inputs.definition
            && read_universe(&self.settings, universe)? == *self.universe(universe)?;
        if !as_built {
            let message = format!("the catalog's files for {image} were changed since they were read");
            return Err(hinted(message, "do it once more"));
        }
        Ok(recipe)
    }
}

/// The definitions of a recipe.
fn definitions(recipe: &Recipe) -> Result<Catalog> {
    let is_definition = |path: &str| path.starts_with("images/") || path.starts_with("os/");
    let files = recipe.files.iter().filter(|(path, _)| is_definition(path));
    let texts = files.map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned()));
    Ok(Catalog::load(texts).map_err(Mistakes)?)
}

fn program_path(name: &str, architecture: Architecture) -> String {
    format!("programs/{name}/{}", architecture.oci())
}

/// Fetches the files of a recipe, each held against the digest by which the provenance names it.
///
/// # Errors
/// When the registry does not have one, or gives other bytes.
pub(crate) fn fetch(registry: &Registry, ingredients: &[Ingredient]) -> Result<Recipe> {
    let mut recipe = Recipe::default();
    for Ingredient { path, digest, size } in ingredients {
        let bytes = registry.small_blob(digest, *size).with_context(|| format!("{path} of the recipe"))?;
        recipe.files.insert(path.clone(), bytes);
    }
    Ok(recipe)
}

/// Lays a recipe out as a catalog in an empty directory. Its paths are those that [`Ingredient::of`] lets through.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn lay_out(recipe: &Recipe, directory: &Path) -> Result<CatalogDirectory> {
    // A recipe of a host's image has none, and a catalog needs it.
    fs_err::create_dir_all(directory.join("images"))?;
    for (path, bytes) in &recipe.files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(path, bytes)?;
    }
    CatalogDirectory::open(directory)
}
