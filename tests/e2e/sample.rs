//! Which families a case goes through: all of them would cost CI an hour and tens of gigabytes, so it goes through a sample
//! that is the same each time, and says so. `CALYPTE_TEST_ALL=1` makes it all of them; `CALYPTE_TEST_SAMPLE=N` takes the
//! Nth of the disjoint samples, to go through all by and by.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::world::Up;

/// Families of the catalog.
pub struct Sample {
    families: BTreeSet<String>,
    all: usize,
}

impl Sample {
    /// The starters, which the shared store has built anyway.
    pub fn starters(up: &Up) -> Result<Self> {
        let all = families(up)?;
        let built = up.report["images"].as_array().context("no images")?;
        let families = built.iter().filter_map(|image| Some(family(image["image"].as_str()?).to_owned()));
        Ok(Self::of(families.collect(), all))
    }

    /// One family in so many, evenly taken out of all by name.
    pub fn one_in(up: &Up, number: usize) -> Result<Self> {
        let all = families(up)?;
        let first = std::env::var("CALYPTE_TEST_SAMPLE").ok().and_then(|text| text.parse::<usize>().ok());
        let families = all.iter().skip(first.unwrap_or(0) % number).step_by(number).cloned().collect();
        Ok(Self::of(families, all))
    }

    fn of(families: BTreeSet<String>, all: BTreeSet<String>) -> Self {
        let number = all.len();
        let wants_all = std::env::var_os("CALYPTE_TEST_ALL").is_some_and(|value| !value.is_empty());
        Self { families: if wants_all { all } else { families }, all: number }
    }

    /// Whether a family is one of the sample.
    pub fn holds(&self, family: &str) -> bool {
        self.families.contains(family)
    }

    /// Whether it is the whole catalog.
    pub fn is_all(&self) -> bool {
        self.families.len() == self.all
    }

    /// Says in the output what is left out.
    #[expect(clippy::print_stderr, reason = "what a run leaves out is part of what it says")]
    pub fn tell(&self, what: &str) {
        let names: Vec<&str> = self.families.iter().map(String::as_str).collect();
        eprintln!(
            "{what}: {} of {} families ({}); CALYPTE_TEST_ALL=1 does all",
            names.len(),
            self.all,
            names.join(" ")
        );
    }
}

fn families(up: &Up) -> Result<BTreeSet<String>> {
    let mut families = BTreeSet::new();
    for entry in fs_err::read_dir(up.catalog().join("images"))? {
        let path = entry?.path();
        families.insert(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    Ok(families)
}

/// The family of an image's name: what stands before its stream or variant, and names of families have hyphens too.
pub fn family(image: &str) -> &str {
    let mut name = image.split(':').next().unwrap_or(image);
    for part in ["-builder", "-debug", "-fips"] {
        name = name.split(part).next().unwrap_or(name);
    }
    name
}
