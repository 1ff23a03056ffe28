//! `calypte list`: the images of the catalog.

use anyhow::Result;
use serde::Serialize;

use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte list`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only images that can be built in this universe
    #[arg(long, value_name = "NAME")]
    universe: Option<String>,
}

#[derive(Debug, Serialize)]
struct List {
    universes: Vec<String>,
    images: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    image: String,
    title: String,
    category: calypte_definition::Category,
    description: String,
}

/// Prints the list.
///
/// # Errors
/// When the catalog cannot be read or has mistakes.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let directory = session.catalog()?;
    let catalog = directory.images()?;
    let mut images = Vec::new();
    for family in catalog.families() {
        for id in catalog.images(&family.name) {
            let definition = catalog.image(&id)?;
            if arguments.universe.as_ref().is_none_or(|universe| definition.is_in_universe(universe)) {
                images.push(Entry {
                    image: id.to_string(),
                    title: definition.title.clone(),
                    category: definition.category,
                    description: definition.description.clone(),
                });
            }
        }
    }
    let list = List { universes: directory.universes()?, images };
    if session.is_json() {
        output::json("calypte.list/1", &list)?;
        return Ok(Verdict::Yes);
    }
    let mut table = Table::new(&["IMAGE", "DESCRIPTION"], &[]);
    for image in &list.images {
        table.row(vec![image.image.clone(), image.description.clone()]);
    }
    output::print(&format!("{}\nuniverses: {}\n", table.render(), list.universes.join(", ")))?;
    Ok(Verdict::Yes)
}
