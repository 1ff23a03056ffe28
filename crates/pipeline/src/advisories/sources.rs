//! `catalog/advisories.yaml`: which feeds there are, where each lies, and for how long what it said is fresh.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use calypte_advisory::feeds::Feed;
use calypte_definition::yaml;
use serde::Deserialize;

use crate::catalog::{CatalogDirectory, Mistakes};

/// The catalog's file.
pub const FILE: &str = "advisories.yaml";

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// Its name in results.
    pub name: String,
    /// The form of its documents ([`calypte_advisory::feeds::Feed`], by its name).
    pub feed: String,
    /// Where it lies: a document, an archive of documents, or `…/archive_latest.txt`, which names the archive beside it.
    pub url: String,
    /// The ecosystems of which it tells all that is known; none where it only adds to what others tell.
    #[serde(default)]
    pub covers: BTreeSet<String>,
    /// Days after which it is no longer fresh.
    pub max_age_days: u32,
}

impl Source {
    /// The form of its documents.
    ///
    /// # Errors
    /// When there is no such form.
    pub fn form(&self) -> Result<Feed> {
        self.feed.parse().map_err(|reason: String| anyhow!("{}: {reason}", self.name))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sources: Vec<Source>,
}

/// The feeds of a catalog, in the order of its file.
///
/// # Errors
/// When the file is missing or has a mistake: with its place.
pub fn sources(catalog: &CatalogDirectory) -> Result<Vec<Source>> {
    let text = catalog.text(FILE)?;
    parse(&catalog.shown(FILE), &text)
}

fn parse(file: &str, text: &str) -> Result<Vec<Source>> {
    let Written { sources } = yaml::from_str(file, text).map_err(|mistake| Mistakes(vec![mistake]))?;
    let mut names = BTreeSet::new();
    for source in &sources {
        if !names.insert(&source.name) {
            bail!("{file}: two sources are called `{}`", source.name);
        }
        if [super::CHANGELOG, super::UPDATEINFO].iter().any(|own| source.name.starts_with(own)) {
            bail!(
                "{file}: `{}`: names that begin with `{}` or `{}` are those of the universes",
                source.name,
                super::CHANGELOG,
                super::UPDATEINFO
            );
        }
        source.form().map_err(|error| anyhow!("{file}: {error}"))?;
        if !source.url.starts_with("https://") && !source.url.starts_with("http://") {
            bail!("{file}: `{}` is no address of http or https", source.url);
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_s_own_file_is_sound() {
        let text = include_str!("../../../../catalog/advisories.yaml");
        let sources = parse("advisories.yaml", text).unwrap();
        assert!(sources.iter().any(|source| source.covers.contains("debian")), "{sources:#?}");
    }

    #[test]
    fn mistakes_are_told_by_name() {
        let source = |name: &str, url: &str| {
            format!("  - name: {name}\n    feed: osv\n    url: {url}\n    max-age-days: 3\n")
        };
        for (text, expected) in [
            (source("a", "https://x/y") + &source("a", "https://x/z"), "two sources are called `a`"),
            (source("a", "ftp://x/y"), "`ftp://x/y` is no address"),
            (source("changelog-x", "https://x/y"), "`changelog-x`: names that begin"),
            (source("a", "https://x/y") + "    age: 1\n", "age"),
            (source("a", "https://x/y").replace("osv", "oval"), "there is no form of feed `oval`"),
        ] {
            let error = parse("f.yaml", &format!("sources:\n{text}")).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("f.yaml"), "{error}");
        }
    }
}
