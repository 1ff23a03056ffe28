//! The index of the pages: the families by category, and what the Debian universe lacks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::{cell, lacking, sentence};
use crate::factory::Factory;
use crate::overview::FamilyOverview;

impl Factory<'_> {
    /// The index over these families.
    pub(super) fn index(&self, families: &[String], universe: &str) -> Result<String> {
        let overview = self.overview(families, universe)?;
        let mut text = format!(
            "# Images\n\n<!-- Written by `cargo xtask generate` out of the catalog. -->\n\n\
             {} families, {} images in {universe}: each stream in each variant for each architecture. `calypte catalog` prints \
             this table.\n",
            overview.families.len(),
            overview.images,
        );
        let mut shelves: BTreeMap<_, Vec<&FamilyOverview>> = BTreeMap::new();
        for family in &overview.families {
            shelves.entry(family.category).or_default().push(family);
        }
        for (category, families) in shelves {
            let name = sentence(&category.to_string());
            let _ = write!(text, "\n## {name}\n\n| family | | streams | images |\n|---|---|---|---:|\n");
            for family in families {
                let description = self.images.get(&family.family).map_or("", |family| &family.description);
                let streams: Vec<&str> =
                    family.streams.iter().filter_map(|stream| stream.stream.as_deref()).collect();
                let _ = writeln!(
                    text,
                    "| [{}]({}.md) | {} | {} | {} |",
                    cell(&family.title),
                    family.family,
                    cell(description),
                    streams.join(", "),
                    family.images
                );
            }
        }
        let table = lacking::read(&self.settings.catalog)?;
        if !table.is_empty() {
            text.push_str(&lacks(&table));
        }
        Ok(text)
    }
}

fn lacks(table: &[lacking::Lacking]) -> String {
    let mut text = "\n## What the Debian universe lacks\n\nSoftware that is not in Debian sid, so that no image of it can be made there. \
                    *Unknown* means that nobody has looked.\n\n| software | in Debian | in Fedora Rawhide |\n|---|---|---|\n"
        .to_owned();
    for lacking in table {
        let fedora = match lacking.fedora.as_str() {
            "unknown" => "unknown".to_owned(),
            "no" => "no".to_owned(),
            package => format!("`{package}`"),
        };
        let _ = writeln!(text, "| {} | {} | {fedora} |", cell(&lacking.software), cell(&lacking.why));
    }
    text
}
