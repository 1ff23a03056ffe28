//! How large the images of the catalog are, beside what they were before: growth that nobody explained is refused.

pub mod compare;
pub mod explained;
pub mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use calypte_definition::yaml;

use crate::build::all::{BuildAllRequest, BuiltAll};
use crate::catalog::{Mistakes, read_if_there};
use crate::factory::Factory;

pub use compare::{Compared, Growth};
pub use explained::Explanation;
pub use record::{Size, SizeRecord};

/// The catalog's file of explanations.
const EXPLAINED: &str = "sizes/explained.yaml";

/// The sizes of images, and what they are held against.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// The sizes as built.
    pub now: SizeRecord,
    /// The record before, with its name.
    pub before: Option<(SizeRecord, String)>,
    /// Each image beside what it was.
    pub compared: Vec<Compared>,
    /// The images of the record that are there no more; empty where only some were asked for.
    pub gone: BTreeMap<String, Vec<Architecture>>,
    /// Explanations of another record, which explain nothing any more.
    pub stale: Vec<Explanation>,
}

impl Sizes {
    /// Whether all growth is explained.
    #[must_use]
    pub fn are_explained(&self) -> bool {
        self.compared.iter().all(|one| one.growth.as_ref().is_none_or(|growth| growth.reason.is_some()))
    }

    /// The record that is to be kept: the one before with what was built in its place. Of a whole universe, what is gone is
    /// not in it.
    ///
    /// # Errors
    /// When only some images were built and the record before is of another compressor: its downloads would not be this
    /// one's.
    pub fn record(&self, whole: bool) -> Result<SizeRecord> {
        let Some((before, _)) = self.before.as_ref().filter(|_| !whole) else { return Ok(self.now.clone()) };
        if before.compressor != self.now.compressor {
            bail!(
                "the record is of `{}`, and these images of `{}`\nhint: record all images, or build with --compression as before",
                before.compressor,
                self.now.compressor
            );
        }
        let mut record = before.clone();
        for (image, sizes) in &self.now.images {
            record.images.entry(image.clone()).or_default().extend(sizes);
        }
        Ok(record)
    }
}

impl Factory<'_> {
    /// The sizes that the catalog holds for a universe; none where none were recorded.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn recorded_sizes(&self, universe: &str) -> Result<Option<SizeRecord>> {
        Ok(self.read_sizes(&self.size_record_path(universe), universe)?.map(|(record, _)| record))
    }

    /// Where the catalog keeps the record of a universe's sizes.
    #[must_use]
    pub fn size_record_path(&self, universe: &str) -> PathBuf {
        PathBuf::from(self.settings.catalog.shown(&format!("sizes/{universe}.json")))
    }

    /// A record of sizes, and its name.
    fn read_sizes(&self, file: &Path, universe: &str) -> Result<Option<(SizeRecord, String)>> {
        let Some(text) = read_if_there(file)? else { return Ok(None) };
        let record = SizeRecord::parse(&text).with_context(|| file.display().to_string())?;
        if record.universe != universe {
            bail!("{} is the record of {}", file.display(), record.universe);
        }
        Ok(Some((record, explained::name_of(&text))))
    }

    /// Builds images and holds their sizes against a record.
    ///
    /// # Errors
    /// When an image cannot be built, or the record or the explanations cannot be read.
    pub fn sizes(&self, request: &BuildAllRequest, against: &Path) -> Result<Sizes> {
        let before = self.read_sizes(against, &request.universe)?;
        let explanations = self.explanations()?;
        let built = self.build_all(request)?;
        let now = record_of(&built, request.layers.compression.identity())?;
        let named = before.as_ref().map(|(record, name)| (record, name.as_str()));
        let compared = compare::compare(&now, named, &explanations);
        let whole = request.families.is_empty() && request.architectures.is_empty();
        let gone = named.filter(|_| whole).map(|(before, _)| compare::gone(&now, before)).unwrap_or_default();
        let stale = |explanation: &Explanation| named.is_some_and(|(_, name)| explanation.record != name);
        let stale = explanations.into_iter().filter(stale).collect();
        Ok(Sizes { now, before, compared, gone, stale })
    }

    fn explanations(&self) -> Result<Vec<Explanation>> {
        let file = self.settings.catalog.shown(EXPLAINED);
        let Some(text) = read_if_there(Path::new(&file))? else { return Ok(Vec::new()) };
        Ok(yaml::from_str(&file, &text).map_err(|mistake| Mistakes(vec![mistake]))?)
    }
}

/// The sizes of what was built; all of it must have been.
fn record_of(built: &BuiltAll, compressor: String) -> Result<SizeRecord> {
    if let Some(failure) = built.failures.first() {
        let more = built.failures.len() - 1;
        let more = if more > 0 { format!("; {more} more could not be built") } else { String::new() };
        bail!("{}: {}{more}", failure.image, failure.error);
    }
    let mut images: BTreeMap<String, BTreeMap<Architecture, Size>> = BTreeMap::new();
    for one in &built.images {
        let size = Size {
            download: one.built.size,
            unpacked: one.built.unpacked_size,
            packages: one.built.packages,
        };
        images.entry(one.image.clone()).or_default().insert(one.built.architecture, size);
    }
    Ok(SizeRecord { schema: record::SCHEMA.to_owned(), universe: built.universe.clone(), compressor, images })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::write_whole;
    use crate::fixture::{Fixture, UNIVERSE, package};

    fn request(factory: &Factory<'_>, families: &[&str]) -> BuildAllRequest {
        BuildAllRequest {
            universe: UNIVERSE.to_owned(),
            families: families.iter().map(ToString::to_string).collect(),
            architectures: Vec::new(),
            layers: factory.layer_options(),
            output: None,
            at_once: 2,
        }
    }

    fn sizes(fixture: &Fixture, families: &[&str]) -> Result<Sizes> {
        let factory = fixture.factory();
        factory.sizes(&request(&factory, families), &factory.size_record_path(UNIVERSE))
    }

    #[test]
    fn growth_is_refused_until_it_is_explained_or_recorded() {
        let fixture = Fixture::new();
        let (common, alpha) = (package("common", "1"), package("alpha", "1"));
        fixture.lock("alpha", &[common, alpha]);
        fixture.lock("beta", &[common, package("beta", "1")]);
        let path = fixture.factory().size_record_path(UNIVERSE);
        let first = sizes(&fixture, &[]).unwrap();
        assert!(first.before.is_none() && first.are_explained() && first.compared.len() == 8);
        write_whole(&path, &first.record(true).unwrap().to_text().unwrap()).unwrap();
        assert!(sizes(&fixture, &[]).unwrap().compared.iter().all(|one| one.before == Some(one.now)));

        // Two more packages of 60 kB each.
        fixture.lock("alpha", &[common, alpha, package("more", "1"), package("much-more", "1")]);
        let grown = sizes(&fixture, &["alpha"]).unwrap();
        let by: Vec<u64> = grown.compared.iter().filter_map(|one| Some(one.growth.as_ref()?.by)).collect();
        assert_eq!(by.len(), 4, "{grown:?}");
        assert!(!grown.are_explained() && by.iter().all(|by| (100_000..200_000).contains(by)), "{by:?}");

        let name = &grown.before.as_ref().unwrap().1;
        let explanation = |by: u64, record: &str| {
            let text = format!(
                "- images: [\"alpha*\"]\n  by: {by}\n  record: \"{record}\"\n  reason: more is in it\n"
            );
            fixture.write(EXPLAINED, &text);
        };
        explanation(200_000, name);
        let explained = sizes(&fixture, &["alpha"]).unwrap();
        assert!(explained.are_explained() && explained.stale.is_empty());
        explanation(100_000, name);
        assert!(!sizes(&fixture, &["alpha"]).unwrap().are_explained());
        explanation(200_000, "000000000000");
        let other = sizes(&fixture, &["alpha"]).unwrap();
        assert!(!other.are_explained() && other.stale.len() == 1);

        // A part is recorded beside what was there.
        let record = grown.record(false).unwrap();
        assert_eq!(record.images.len(), 4);
        assert_eq!(record.images["alpha"], grown.now.images["alpha"]);
        assert_eq!(record.images["beta"], first.now.images["beta"]);
        write_whole(&path, &record.to_text().unwrap()).unwrap();
        assert!(sizes(&fixture, &["alpha"]).unwrap().compared.iter().all(|one| one.growth.is_none()));
    }

    #[test]
    fn what_cannot_be_built_has_no_size() {
        let fixture = Fixture::new();
        fixture.lock("alpha", &[package("common", "1"), package("alpha", "1")]);
        let error = sizes(&fixture, &[]).unwrap_err().to_string();
        assert!(error.starts_with("beta: beta was never locked") && error.contains("1 more"), "{error}");
    }
}
