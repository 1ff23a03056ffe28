//! `calypte catalog --tags`: to which version each tag points, and whether any would go back.

use std::path::PathBuf;

use anyhow::Result;
use calypte_pipeline::Factory;
use calypte_pipeline::catalog::write_whole;
use calypte_pipeline::tags::TagTable;
use calypte_pipeline::tags::moves::Refused;
use calypte_pipeline::tags::record::{TagRecord, Tagged};
use serde::Serialize;

use super::Arguments;
use crate::output::{self, Table};
use crate::session::Session;
use crate::{Verdict, failure};

#[derive(Debug, Serialize)]
struct Shown<'a> {
    now: &'a TagRecord,
    refused: &'a [Refused],
    clashes: &'a [String],
    written: Option<PathBuf>,
}

/// Prints the table, and writes the record where that is asked for and nothing is refused. Exit code 1: a tag would go
/// back, or two images want one tag.
pub(super) fn run(session: &Session, factory: &Factory<'_>, arguments: &Arguments) -> Result<Verdict> {
    let universe = &arguments.universe;
    let families = factory.families(&arguments.families, universe)?;
    let own = factory.tag_record_path(universe);
    let before = factory.read_tag_record(arguments.against.as_ref().unwrap_or(&own), universe)?;
    let table = factory.tag_table(&families, universe, before)?;
    let good = table.refused.is_empty() && table.clashes.is_empty();
    let file = arguments.write.clone().map(|file| file.unwrap_or(own)).filter(|_| good);
    if let Some(file) = &file {
        write_whole(file, &table.before.clone().with(table.now.clone()).to_text()?)?;
    }
    if session.is_json() {
        let TagTable { now, refused, clashes, .. } = &table;
        output::json("calypte.catalog-tags/1", &Shown { now, refused, clashes, written: file })?;
    } else {
        output::print(&text(&table))?;
        for line in table.refused.iter().map(ToString::to_string).chain(table.clashes.iter().cloned()) {
            failure::line(&line);
        }
        if let Some(file) = &file {
            output::print(&format!("written to {}\n", file.display()))?;
        }
    }
    Ok(if good { Verdict::Yes } else { Verdict::No })
}

fn text(table: &TagTable) -> String {
    let mut shown = Table::new(&["FAMILY", "TAG", "IMAGE", "VERSION", "BEFORE"], &[]);
    let mut count = 0;
    for (family, tags) in &table.now.families {
        for (tag, tagged) in tags {
            let before = table.before.families.get(family).and_then(|tags| tags.get(tag));
            shown.row(vec![
                family.clone(),
                tag.clone(),
                tagged.image.clone(),
                version(tagged),
                before.map_or_else(|| "new".to_owned(), |before| change(before, tagged)),
            ]);
            count += 1;
        }
    }
    let families = super::counted(table.now.families.len(), "family", "families");
    format!("{}\n{} of {families}\n", shown.render(), super::counted(count, "tag", "tags"))
}

fn version(tagged: &Tagged) -> String {
    tagged.version.clone().unwrap_or_else(|| calypte_pipeline::lifecycle::Day(tagged.date).to_string())
}

fn change(before: &Tagged, now: &Tagged) -> String {
    if before == now {
        return "the same".to_owned();
    }
    let image = if before.image == now.image { String::new() } else { format!("{} ", before.image) };
    image + &version(before)
}
