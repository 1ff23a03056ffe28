//! The names under which images are published, as definitions and locks give them.

pub mod moves;
pub mod record;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use calypte_base::Epoch;
use calypte_definition::tags::{TagValues, expand, upstream_version};
use calypte_definition::{DEFAULT_VARIANT, ImageDefinition, ImageId};
use calypte_resolve::{Lock, LockedPackage};

use crate::factory::Factory;
use moves::Refused;
use record::{TagRecord, Tagged};

/// An image's tags, and the version behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTags {
    /// The version of the package that the definition names for it, as its format writes it; none where it names none.
    pub version: Option<String>,
    /// The newest date of its packages.
    pub date: Epoch,
    /// The tags, in the order of the definition.
    pub tags: Vec<String>,
}

/// The tags of families, beside what they stood for before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTable {
    /// What they stand for before.
    pub before: TagRecord,
    /// What they stand for according to the locks.
    pub now: TagRecord,
    /// Those that must not be moved.
    pub refused: Vec<Refused>,
    /// Tags that two images of a family want, as sentences.
    pub clashes: Vec<String>,
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
        // The first architecture that has it, as an image's index takes it from its first image.
        let version = lock.packages.keys().find_map(|architecture| {
            let name = definition.version_package(format, *architecture)?;
            lock.packages_of(*architecture, &key).find(|package| package.id == name)
        });
        let version = version.map(|package| package.version.clone());
        let upstream = version.as_deref().map(|version| upstream_version(format, version));
        let tags = expanded(definition, id, upstream, date);
        Ok(ImageTags { version, date, tags })
    }

    /// The tags of families as their locks give them, held against a record; against nothing where there is none.
    ///
    /// # Errors
    /// When a family is not locked, or its lock is not what its definition needs.
    pub fn tag_table(
        &self,
        families: &[String],
        universe: &str,
        before: Option<TagRecord>,
    ) -> Result<TagTable> {
        let format = self.universe(universe)?.0.format;
        let mut now = TagRecord::new(universe, format);
        let mut clashes = Vec::new();
        for family in families {
            let lock = self.current_lock(universe, family)?;
            let tags = now.families.entry(family.clone()).or_default();
            for id in self.images.images_in(family, universe) {
                let ImageTags { version, date, tags: of_image } = self.locked_tags(&lock, &id)?;
                for tag in of_image {
                    let tagged = Tagged { image: id.to_string(), version: version.clone(), date };
                    if let Some(other) = tags.insert(tag.clone(), tagged) {
                        clashes.push(format!("{family}:{tag} is wanted by {} and by {id}", other.image));
                    }
                }
            }
        }
        let before = before.unwrap_or_else(|| TagRecord::new(universe, format));
        let refused = moves::refused(&before, &now);
        Ok(TagTable { before, now, refused, clashes })
    }

    /// Where the catalog keeps the record of a universe's tags.
    #[must_use]
    pub fn tag_record_path(&self, universe: &str) -> PathBuf {
        PathBuf::from(self.settings.catalog.shown(&format!("tags/{universe}.json")))
    }

    /// Reads a record of tags; none where there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or is of another universe.
    pub fn read_tag_record(&self, file: &std::path::Path, universe: &str) -> Result<Option<TagRecord>> {
        let Some(text) = crate::catalog::read_if_there(file)? else { return Ok(None) };
        let record = TagRecord::parse(&text).with_context(|| file.display().to_string())?;
        if record.universe != universe {
            anyhow::bail!("{} is the record of {}", file.display(), record.universe);
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, UNIVERSE, package};

    use super::*;

    /// A family with these streams, whose images are all of one package; the newest stream is also `latest`.
    fn family(streams: &[&str]) -> String {
        let mut text = "image: gamma\ntitle: G\ndescription: G.\ncategory: tool\npackages: {deb: [common]}\n\
                        version-of: {deb: common}\ntags: [\"{version}\", \"{stream}\"]\nvariants:\n  debug: {}\nstreams:\n"
            .to_owned();
        for (number, stream) in streams.iter().enumerate() {
            let latest = if number == 0 { "{tags: [latest]}" } else { "{}" };
            text.push_str(&format!("  \"{stream}\": {latest}\n"));
        }
        text
    }

    fn table(
        fixture: &Fixture,
        streams: &[&str],
        version: &'static str,
        before: Option<TagRecord>,
    ) -> TagTable {
        fixture.write("images/gamma.yaml", &family(streams));
        fixture.lock("gamma", &[package("common", version)]);
        let factory = fixture.factory();
        factory.tag_table(&["gamma".to_owned()], UNIVERSE, before).unwrap()
    }

    #[test]
    fn a_retired_stream_keeps_its_tags_and_latest_does_not_follow_an_older_one() {
        let fixture = Fixture::new();
        let first = table(&fixture, &["2"], "1:2.1-1", None);
        let tags: Vec<&String> = first.now.families["gamma"].keys().collect();
        assert_eq!(tags, ["2", "2-debug", "2.1", "2.1-debug", "latest", "latest-debug"]);
        assert_eq!((first.refused.as_slice(), first.clashes.as_slice()), (&[][..], &[][..]));
        let record = first.before.with(first.now);

        // The stream is retired, and the next one has an older version: `latest` stays where it is.
        let second = table(&fixture, &["1"], "1:1.9-1", Some(record.clone()));
        let refused: Vec<String> = second.refused.iter().map(ToString::to_string).collect();
        assert_eq!(
            refused,
            [
                "gamma:latest would go back from gamma:2 1:2.1-1 to gamma:1 1:1.9-1",
                "gamma:latest-debug would go back from gamma:2-debug 1:2.1-1 to gamma:1-debug 1:1.9-1",
            ]
        );
        // What it gave up is kept.
        let merged = record.with(second.now);
        assert_eq!(merged.families["gamma"]["2"].version.as_deref(), Some("1:2.1-1"));

        // It comes again, with a version from before it went.
        let third = table(&fixture, &["2"], "1:2.0-1", Some(merged));
        assert!(third.refused.iter().any(|refused| refused.tag == "2"), "{:?}", third.refused);
        assert!(third.refused.iter().any(|refused| refused.tag == "2-debug"), "{:?}", third.refused);
    }

    #[test]
    fn a_tag_that_two_images_want_is_a_clash() {
        let fixture = Fixture::new();
        let table = table(&fixture, &["2", "1"], "2.1-1", None);
        assert_eq!(
            table.clashes,
            [
                "gamma:2.1 is wanted by gamma:2 and by gamma:1",
                "gamma:2.1-debug is wanted by gamma:2-debug and by gamma:1-debug"
            ]
        );
    }

    #[test]
    fn a_record_of_another_universe_is_refused() {
        let fixture = Fixture::new();
        let factory = fixture.factory();
        let path = fixture.path("tags.json");
        assert_eq!(factory.read_tag_record(&path, UNIVERSE).unwrap(), None);
        let record = TagRecord::new("other", calypte_base::PackageFormat::Deb);
        crate::catalog::write_whole(&path, &record.to_text().unwrap()).unwrap();
        let error = factory.read_tag_record(&path, UNIVERSE).unwrap_err();
        assert!(error.to_string().ends_with("tags.json is the record of other"), "{error}");
    }
}
