//! The names under which images are published, as definitions and locks give them.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_base::Epoch;
use calypte_definition::tags::{TagValues, expand, upstream_version};
use calypte_definition::{DEFAULT_VARIANT, ImageDefinition, ImageId};
use calypte_resolve::{Lock, LockedPackage};

use crate::factory::Factory;

/// An image's tags, and the version behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTags {
    /// The version of the package that the definition names for it, as its format writes it; none where it names none.
    pub version: Option<String>,
    /// The tags, in the order of the definition.
    pub tags: Vec<String>,
}

/// The tags of an image: those of its definition, or the stream and variant where it has none that apply. `version` is the
/// upstream version of its main package, `date` the day of the image.
#[must_use]
pub(crate) fn expanded(
    definition: &ImageDefinition,
    id: &ImageId,
    version: Option<&str>,
    date: Epoch,
) -> Vec<String> {
    let values = TagValues { version, stream: id.stream.as_deref(), variant: &id.variant, date };
    let mut tags: Vec<String> =
        definition.tags.iter().filter_map(|template| expand(template, &values)).collect();
    if tags.is_empty() {
        tags.push(if id.variant == DEFAULT_VARIANT { "latest".to_owned() } else { id.key() });
    }
    let mut seen = BTreeSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    tags
}

impl Factory<'_> {
    /// The tags that an image has when it is built from this lock.
    ///
    /// # Errors
    /// When there is no such image or universe.
    pub fn locked_tags(&self, lock: &Lock, id: &ImageId) -> Result<ImageTags> {
        let definition = self.images.image(id)?;
        let format = self.universe(&lock.universe)?.0.format;
        let key = id.key();
        let packages: Vec<&LockedPackage> =
            lock.packages.keys().flat_map(|architecture| lock.packages_of(*architecture, &key)).collect();
        let newest = packages.iter().map(|package| package.date).max().unwrap_or_default();
        let date = self.settings.source_date_epoch.unwrap_or(newest);
        let name = definition.version_of.get(&format);
        // The first architecture that has it, as an image's index takes it from its first image.
        let version = name.and_then(|name| packages.iter().find(|package| package.id == *name));
        let version = version.map(|package| package.version.clone());
        let upstream = version.as_deref().map(|version| upstream_version(format, version));
        let tags = expanded(definition, id, upstream, date);
        Ok(ImageTags { version, tags })
    }
}
