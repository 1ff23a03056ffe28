//! What a bill of materials or a scan is of, as a user names it: an image of the catalog, or whatever else can be read.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use calypte_base::Architecture;
use calypte_image::Output;
use calypte_sbom::foreign::{self, Options};
use calypte_store::Store;
use calypte_store::registry::{Reference, RegistrySettings};

use crate::bill::Bill;
use crate::hints::hinted;
use crate::pull::{PullSettings, pull};
use crate::report::Reporter;
use crate::sides;

/// What is looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An image of the catalog (`python:3.14-builder`).
    Catalog(String),
    /// `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`.
    Layout(String),
    /// `dir:PATH`: a root directory.
    Directory(PathBuf),
    /// `docker://HOST/NAME[:TAG|@DIGEST]`, with or without `docker://`.
    Registry(Box<Reference>),
}

impl Subject {
    /// What a text names.
    ///
    /// # Errors
    /// When it looks like a reference to a registry and is none.
    pub fn parse(text: &str) -> Result<Self> {
        let layout = ["oci:", "oci-archive:", "docker-archive:"];
        if layout.iter().any(|form| text.starts_with(form)) {
            return Ok(Self::Layout(text.to_owned()));
        }
        if let Some(path) = text.strip_prefix("dir:") {
            return Ok(Self::Directory(path.into()));
        }
        // Names of the catalog have no slash, references to registries always do.
        if !text.contains('/') {
            return Ok(Self::Catalog(text.to_owned()));
        }
        if PathBuf::from(text).exists() {
            let form = if PathBuf::from(text).is_dir() { "dir" } else { "oci-archive" };
            return Err(hinted(format!("`{text}` is a path"), format!("write `{form}:{text}`")));
        }
        Ok(Self::Registry(Box::new(text.parse()?)))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog(text) | Self::Layout(text) => formatter.write_str(text),
            Self::Directory(path) => write!(formatter, "dir:{}", path.display()),
            Self::Registry(reference) => write!(formatter, "{reference}"),
        }
    }
}

/// What reading something foreign needs.
#[derive(Debug)]
pub struct ForeignSettings<'a> {
    /// Where what is pulled is kept.
    pub store: &'a Store,
    /// How to ask registries.
    pub registry: RegistrySettings,
    /// Of an image for several machines: which.
    pub architecture: Architecture,
    /// Whether each file gets SHA-1 and SHA-512 too: documents need them, a scan does not.
    pub hashes: bool,
    /// Whom to tell.
    pub reporter: &'a dyn Reporter,
}

/// The bill of something that is not of the catalog.
///
/// # Errors
/// When it cannot be read.
pub fn foreign_bill(subject: &Subject, settings: &ForeignSettings<'_>) -> Result<Bill> {
    let options = Options { hashes: settings.hashes };
    settings.reporter.step(&format!("reading {subject}"));
    let found = match subject {
        Subject::Catalog(text) => {
            return Err(hinted(format!("`{text}` is an image of the catalog"), "name something else"));
        }
        Subject::Directory(path) => foreign::directory(path, options)?,
        Subject::Layout(text) => of_layout(text, settings.architecture, options)?,
        Subject::Registry(reference) => {
            let scratch = tempfile::tempdir_in(settings.store.root())?;
            let layout = format!("oci:{}", scratch.path().join("image").display());
            let output: Output = layout.parse()?;
            pull(
                reference,
                &[output],
                &PullSettings {
                    store: settings.store,
                    registry: settings.registry.clone(),
                    from: Vec::new(),
                    reporter: settings.reporter,
                },
            )?;
            let mut found =
                of_layout(&layout, settings.architecture, options).with_context(|| subject.to_string())?;
            found.sbom.subject.name = subject.to_string();
            found
        }
    };
    Ok(Bill { sbom: found.sbom, fixes: found.fixes, gaps: found.gaps })
}

fn of_layout(text: &str, architecture: Architecture, options: Options) -> Result<foreign::ForeignBill> {
    let path = text.split_once(':').map_or(text, |(_, path)| path);
    let (_, layout, image) = sides::layout_image(text, path, architecture)?;
    let mut found = foreign::image(&layout, &image, options).with_context(|| text.to_owned())?;
    text.clone_into(&mut found.sbom.subject.name);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_shows_in_the_text() {
        assert_eq!(
            Subject::parse("python:3.14-builder").unwrap(),
            Subject::Catalog("python:3.14-builder".into())
        );
        assert_eq!(Subject::parse("dir:/a b").unwrap(), Subject::Directory("/a b".into()));
        assert!(matches!(Subject::parse("oci:/x:tag").unwrap(), Subject::Layout(_)));
        let reference = Subject::parse("docker://registry.example.org/nginx:1").unwrap();
        assert_eq!(reference, Subject::parse("registry.example.org/nginx:1").unwrap());
        let error = Subject::parse("/").unwrap_err();
        assert_eq!(crate::hint(&error).as_deref(), Some("write `dir:/`"));
    }
}
