//! `calypte catalog`: the families of the catalog with their streams, variants and architectures, and how many images that
//! makes. Reads definitions and days alone: no lock, no store.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_definition::{Category, ImageId};
use serde::Serialize;

use crate::factory::Factory;
use crate::lifecycle::Support;

/// The families that a universe has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// The universe.
    pub universe: String,
    /// The families by name.
    pub families: Vec<FamilyOverview>,
    /// How many images there are, all families together.
    pub images: usize,
}

/// One family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FamilyOverview {
    /// Its name.
    pub family: String,
    /// The name of the software as its makers write it.
    pub title: String,
    /// The shelf on which it stands.
    pub category: Category,
    /// Its streams, newest first; one without a name where the family has no streams.
    pub streams: Vec<StreamOverview>,
    /// Its variants, `default` first.
    pub variants: Vec<String>,
    /// The architectures for which each is built.
    pub architectures: BTreeSet<Architecture>,
    /// How many images that makes: streams × variants × architectures, as far as the universe has them.
    pub images: usize,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamOverview {
    /// Its name; none in a family without streams.
    pub stream: Option<String>,
    /// Until when its makers support it; none where the definition says nothing of it.
    pub support: Option<Support>,
}

impl Factory<'_> {
    /// The families, or those that are named.
    ///
    /// # Errors
    /// When a name is none of a family of this universe, or the catalog's days have a mistake.
    pub fn overview(&self, families: &[String], universe: &str) -> Result<Overview> {
        let families = self.families(families, universe)?;
        let families: Vec<FamilyOverview> =
            families.iter().map(|family| self.family_overview(family, universe)).collect::<Result<_>>()?;
        let images = families.iter().map(|family| family.images).sum();
        Ok(Overview { universe: universe.to_owned(), families, images })
    }

    fn family_overview(&self, name: &str, universe: &str) -> Result<FamilyOverview> {
        let ids = self.images.images_in(name, universe);
        let architectures = self.universe(universe)?.0.architectures.clone();
        let mut streams: Vec<StreamOverview> = Vec::new();
        let mut variants: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for id in &ids {
            if seen.insert(&id.stream) {
                streams.push(self.stream_overview(id, universe)?);
            }
            if !variants.contains(&id.variant) {
                variants.push(id.variant.clone());
            }
        }
        let definition = self.images.get(name).ok_or_else(|| anyhow::anyhow!("no family `{name}`"))?;
        Ok(FamilyOverview {
            family: name.to_owned(),
            title: definition.title.clone(),
            category: definition.category,
            streams,
            variants,
            images: ids.len() * architectures.len(),
            architectures,
        })
    }

    fn stream_overview(&self, id: &ImageId, universe: &str) -> Result<StreamOverview> {
        let support = self.lifecycle_of(id, universe)?.stream;
        Ok(StreamOverview { stream: id.stream.clone(), support })
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, UNIVERSE};

    #[test]
    fn images_are_streams_by_variants_by_architectures() {
        let fixture = Fixture::new();
        fixture
            .write("lifecycle.yaml", "products:\n  gamma: {\"2\": \"2040-01-01\", \"1\": \"2020-01-01\"}\n");
        let gamma = "image: gamma\ntitle: Gamma\ndescription: A sample.\ncategory: tool\neol: endoflife:gamma\n\
                     packages: {deb: [common]}\nstreams:\n  \"2\": {}\n  \"1\": {}\n  \"0\": {universes: [other]}\n\
                     variants:\n  debug: {}\n  builder: {universes: [other]}\n";
        fixture.write("images/gamma.yaml", gamma);
        let factory = fixture.factory();
        let overview = factory.overview(&[], UNIVERSE).unwrap();
        let counted: Vec<_> =
            overview.families.iter().map(|family| (family.family.as_str(), family.images)).collect();
        // Two streams and two variants are there, for two architectures.
        assert_eq!(counted, [("alpha", 4), ("beta", 4), ("gamma", 8)]);
        assert_eq!(overview.images, 16);
        let gamma = &factory.overview(&["gamma".to_owned()], UNIVERSE).unwrap().families[0];
        let streams: Vec<String> = gamma
            .streams
            .iter()
            .map(|stream| format!("{} {}", stream.stream.as_deref().unwrap_or("-"), stream.support.unwrap()))
            .collect();
        assert_eq!(streams, ["2 supported until 2040-01-01", "1 END OF LIFE since 2020-01-01"]);
        assert_eq!(gamma.variants, ["default", "debug"]);
        assert!(factory.overview(&["delta".to_owned()], UNIVERSE).is_err());
    }
}
