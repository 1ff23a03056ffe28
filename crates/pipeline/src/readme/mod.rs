//! A page for each family, written out of its definition, its lock and the record of sizes; and an index of them. What
//! changes from one build to the next without a change in these (digests, dates of a build) is not in them, so that they
//! can be committed and checked without a network.

mod index;
pub mod lacking;
mod page;
mod shell;
mod usage;

use std::collections::BTreeMap;

use anyhow::Result;
use calypte_definition::ImageId;

use crate::factory::Factory;
use crate::tags::ImageTags;

/// Before the family's name in the references of the pages: how an image is called once it is built and loaded here.
const PREFIX: &str = "localhost/calypte";

impl Factory<'_> {
    /// The pages about families, by file name, and the index over them as `README.md`.
    ///
    /// # Errors
    /// When a lock, the record of sizes or one of the catalog's tables cannot be read.
    pub fn readmes(&self, families: &[String], universe: &str) -> Result<BTreeMap<String, String>> {
        let mut pages = BTreeMap::new();
        for family in families {
            pages.insert(format!("{family}.md"), self.page(family, universe)?);
        }
        pages.insert("README.md".to_owned(), self.index(families, universe)?);
        Ok(pages)
    }

    /// An image's tags according to its lock; without a lock, those that need no version.
    fn tags_here(&self, id: &ImageId, universe: &str) -> Result<ImageTags> {
        match self.settings.catalog.read_lock(universe, &id.family)? {
            Some(lock) if lock.images.contains_key(&id.key()) => self.locked_tags(&lock, id),
            _ => {
                let definition = self.images.image(id)?;
                let tags = crate::tags::expanded(definition, id, None, calypte_base::Epoch::default());
                // A day that no lock names is no day.
                let dated = definition.tags.iter().any(|tag| tag.contains("{date}"));
                let tags = tags.into_iter().filter(|tag| !dated || !tag.starts_with("1970")).collect();
                Ok(ImageTags { version: None, date: calypte_base::Epoch::default(), tags })
            }
        }
    }

    /// The reference of an image in the pages: of its tags the one that stays longest.
    fn reference(&self, id: &ImageId, universe: &str) -> Result<String> {
        let tags = self.tags_here(id, universe)?.tags;
        let tag = tags.last().cloned().unwrap_or_else(|| id.key());
        Ok(format!("{PREFIX}/{}:{tag}", id.family))
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|").replace('\n', " ")
}

/// A text as code, with as many backticks as it needs.
fn code(text: &str) -> String {
    let text = text.replace('\n', " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// A text with a capital letter first, as a sentence begins.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
