//! `calypte catalog --readmes`: a page for each family.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use calypte_pipeline::Factory;
use serde::Serialize;

use super::Arguments;
use crate::Verdict;
use crate::output;
use crate::session::Session;

#[derive(Debug, Serialize)]
struct Written<'a> {
    universe: &'a str,
    directory: &'a Path,
    pages: BTreeSet<String>,
}

/// Writes the pages and the index.
pub(super) fn run(
    session: &Session,
    factory: &Factory<'_>,
    arguments: &Arguments,
    directory: &Path,
) -> Result<Verdict> {
    let families = factory.families(&arguments.families, &arguments.universe)?;
    let pages = factory.readmes(&families, &arguments.universe)?;
    fs_err::create_dir_all(directory)?;
    for (name, text) in &pages {
        fs_err::write(directory.join(name), text)?;
    }
    let written =
        Written { universe: &arguments.universe, directory, pages: pages.keys().cloned().collect() };
    if session.is_json() {
        output::json("calypte.catalog-readmes/1", &written)?;
    } else {
        output::print(&format!(
            "{} written to {}\n",
            super::counted(written.pages.len(), "page", "pages"),
            directory.display()
        ))?;
    }
    Ok(Verdict::Yes)
}
