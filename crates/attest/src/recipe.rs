//! The recipe of an image: the files of a catalog that it is made of beside its packages. A provenance names each by its
//! digest, and the registry keeps them beside the image, so that who has neither catalog nor lock can make the image
//! again.
//!
//! What comes back from a registry is foreign: only names that a catalog has are taken, and sizes are bounded before
//! anything is fetched.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Digest;
use calypte_formats::oci::Descriptor;
use calypte_trust::sigstore::{Attached, Referrer};

use crate::{Material, Provenance};

/// The artifact type under which a registry lists a recipe.
pub const RECIPE: &str = "application/vnd.calypte.recipe.v1";

/// The media type of each file.
const FILE: &str = "application/vnd.calypte.catalog.file.v1";

/// With what a material's address begins that is a file of the catalog; its path follows.
const ADDRESS: &str = "urn:calypte:catalog:";

/// The annotation of a material that says how many bytes it has.
const SIZE: &str = "size";

/// The annotation that names a blob's file: clients for artifacts write it out under this name.
const TITLE: &str = "org.opencontainers.image.title";

/// Most bytes of all files of a recipe: some hundred times what a large one has.
pub const LARGEST_RECIPE: u64 = 256 * 1024 * 1024;

/// Most files of a recipe.
const MOST_FILES: usize = 512;

/// Longest part of a path.
const LONGEST_PART: usize = 100;

/// The files of a catalog that an image is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Their bytes, by the path below the catalog: `images/nginx.yaml`.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A file of a recipe, as a provenance names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// Its path below the catalog, one that a catalog can have.
    pub path: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// Why a provenance names no recipe that can be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// It names no file of a catalog, or does not say how large one is: older versions did not.
    #[error("the provenance names no recipe")]
    None,
    /// A path that no catalog has.
    #[error("the provenance names `{path}`, which is no file of a catalog")]
    Path {
        /// The path, cut short and made safe to show.
        path: String,
    },
    /// A path that is named twice.
    #[error("the provenance names `{path}` twice")]
    Twice {
        /// The path.
        path: String,
    },
    /// More than any recipe has.
    #[error("the recipe has more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl Recipe {
    /// Its files as a provenance names them.
    #[must_use]
    pub fn materials(&self) -> Vec<Material> {
        let material = |(path, bytes): (&String, &Vec<u8>)| Material {
            uri: format!("{ADDRESS}{path}"),
            digest: Digest::of(bytes),
            annotations: BTreeMap::from([(SIZE.to_owned(), bytes.len().to_string())]),
        };
        self.files.iter().map(material).collect()
    }

    /// Attaches it to the manifest `subject`. Each file is a blob of its own: what many images share lies in a registry
    /// once.
    #[must_use]
    pub fn referrer(&self, subject: &Descriptor) -> Referrer {
        let attached = |(path, bytes): (&String, &Vec<u8>)| Attached {
            media_type: FILE.to_owned(),
            annotations: BTreeMap::from([(TITLE.to_owned(), path.clone())]),
            bytes: bytes.clone(),
        };
        let attached = self.files.iter().map(attached).collect();
        Referrer::of(RECIPE, attached, BTreeMap::new(), subject)
    }
}

impl Ingredient {
    /// The recipe that a provenance names.
    ///
    /// # Errors
    /// When it names none, one with a path that no catalog has, or one that is too large.
    pub fn of(provenance: &Provenance) -> Result<Vec<Self>, RecipeError> {
        let mut ingredients = Vec::new();
        let mut seen = BTreeSet::new();
        let mut total: u64 = 0;
        for material in &provenance.materials {
            let Some(path) = material.uri.strip_prefix(ADDRESS) else { continue };
            if !is_path(path) {
                let path = path.escape_debug().to_string().chars().take(LONGEST_PART).collect();
                return Err(RecipeError::Path { path });
            }
            if !seen.insert(path) {
                return Err(RecipeError::Twice { path: path.to_owned() });
            }
            let size = material.annotations.get(SIZE).and_then(|size| size.parse::<u64>().ok());
            let size = size.ok_or(RecipeError::None)?;
            total = total.saturating_add(size);
            if total > LARGEST_RECIPE {
                return Err(RecipeError::TooMuch { what: "bytes", limit: LARGEST_RECIPE });
            }
            if seen.len() > MOST_FILES {
                return Err(RecipeError::TooMuch { what: "files", limit: MOST_FILES as u64 });
            }
            ingredients.push(Self { path: path.to_owned(), digest: material.digest, size });
        }
        if ingredients.is_empty() { Err(RecipeError::None) } else { Ok(ingredients) }
    }

    /// Whether a material is a file of a recipe.
    #[must_use]
    pub fn is_one(material: &Material) -> bool {
        material.uri.starts_with(ADDRESS)
    }
}

/// Whether a path is one of those in a catalog from which images are made. None of its parts can lead out of a directory.
fn is_path(path: &str) -> bool {
    let is_part = |part: &str| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        part.len() <= LONGEST_PART
            && part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(letters)
    };
    let parts: Vec<&str> = path.split('/').collect();
    let has_form = match parts.as_slice() {
        ["images" | "os" | "universes", file] | ["universes", _, file] => file.ends_with(".yaml"),
        ["locks", _, file] => file.ends_with(".lock"),
        ["programs", _, _] => true,
        _ => false,
    };
    has_form && parts.into_iter().all(is_part)
}

#[cfg(test)]
mod tests {
    use calypte_formats::oci::Manifest;

    use super::*;
    use crate::Tool;

    fn recipe() -> Recipe {
        let files = [("images/a.yaml", "image: a"), ("programs/entrypoint/amd64", "ELF")];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        Recipe { files: BTreeMap::from(files) }
    }

    fn provenance(materials: Vec<Material>) -> Provenance {
        let (parameters, internal) = (BTreeMap::new(), BTreeMap::new());
        let tool = Tool { version: String::new(), sources: String::new() };
        Provenance { parameters, internal, materials, tool, builder: String::new() }
    }

    fn named(path: &str, size: &str) -> Material {
        let annotations = BTreeMap::from([(SIZE.to_owned(), size.to_owned())]);
        Material { uri: format!("{ADDRESS}{path}"), digest: Digest::of(b""), annotations }
    }

    #[test]
    fn what_is_attached_is_what_the_provenance_names() {
        let recipe = recipe();
        let mut materials = recipe.materials();
        let package = Material {
            uri: "pkg:deb/debian/a@1".to_owned(),
            digest: Digest::of(b"p"),
            annotations: BTreeMap::new(),
        };
        materials.push(package);
        let ingredients = Ingredient::of(&provenance(materials)).unwrap();
        let referrer = recipe.referrer(&Descriptor::default());
        assert_eq!(referrer, recipe.referrer(&Descriptor::default()));
        let manifest: Manifest = serde_json::from_slice(&referrer.manifest).unwrap();
        assert_eq!(manifest.artifact_type.as_deref(), Some(RECIPE));
        assert_eq!(ingredients.len(), 2);
        for (ingredient, layer) in ingredients.iter().zip(&manifest.layers) {
            assert_eq!((ingredient.digest, ingredient.size), (layer.digest, layer.size));
            assert_eq!(layer.annotations[TITLE], ingredient.path);
            assert!(referrer.blobs.contains(&recipe.files[&ingredient.path]));
        }
    }

    #[test]
    fn only_what_a_catalog_has_is_taken() {
        for path in ["os/os.yaml", "locks/debian-sid/g++.lock", "universes/u.yaml", "universes/debian/x.yaml"]
        {
            assert!(is_path(path), "{path}");
        }
        for path in [
            "",
            "images",
            "images/a",
            "images/../a.yaml",
            "images/.a.yaml",
            "/images/a.yaml",
            "images//a.yaml",
            "keys/a.asc",
            "policy/a.rego",
            "programs/../../x",
            "programs/e/amd64/x",
            "images/a\0.yaml",
            "images/a\\b.yaml",
        ] {
            let error = Ingredient::of(&provenance(vec![named(path, "1")])).unwrap_err();
            assert!(matches!(error, RecipeError::Path { .. }), "{path}: {error}");
        }
        let long = format!("images/{}.yaml", "a".repeat(LONGEST_PART));
        assert!(!is_path(&long));
    }

    #[test]
    fn what_is_too_much_is_refused_before_it_is_fetched() {
        let error = |materials| Ingredient::of(&provenance(materials)).unwrap_err();
        assert_eq!(error(Vec::new()), RecipeError::None);
        // As versions before this one wrote it.
        let unsized_one = Material { annotations: BTreeMap::new(), ..named("images/a.yaml", "1") };
        assert_eq!(error(vec![unsized_one]), RecipeError::None);
        assert_eq!(error(vec![named("images/a.yaml", "-1")]), RecipeError::None);
        let twice = vec![named("images/a.yaml", "1"), named("images/a.yaml", "1")];
        assert_eq!(error(twice), RecipeError::Twice { path: "images/a.yaml".to_owned() });
        let large = vec![named("images/a.yaml", "1"), named("images/b.yaml", &u64::MAX.to_string())];
        assert!(matches!(error(large), RecipeError::TooMuch { what: "bytes", .. }));
        let many = (0..=MOST_FILES).map(|number| named(&format!("images/a{number}.yaml"), "1"));
        assert!(matches!(error(many.collect()), RecipeError::TooMuch { what: "files", .. }));
    }
}
