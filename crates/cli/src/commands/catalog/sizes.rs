//! `calypte catalog --sizes`: how large images are, beside what they were.

use std::path::PathBuf;

use anyhow::Result;
use calypte_pipeline::build::all::BuildAllRequest;
use calypte_pipeline::catalog::write_whole;
use calypte_pipeline::sizes::{Compared, Explanation, Sizes};
use calypte_pipeline::{Factory, Reporter as _};
use serde::Serialize;

use super::Arguments;
use crate::commands::build::all::MEMORY_OF_AN_IMAGE;
use crate::output::{self, Table, bytes};
use crate::session::Session;
use crate::{Verdict, failure, memory};

#[derive(Debug, Serialize)]
struct Shown<'a> {
    universe: &'a str,
    compressor: &'a str,
    record: Option<&'a str>,
    images: &'a [Compared],
    gone: Vec<&'a String>,
    stale: &'a [Explanation],
    written: Option<PathBuf>,
}

/// Prints the table, and writes the record where that is asked for and all growth is explained. Exit code 1: it is not.
pub(super) fn run(session: &Session, factory: &Factory<'_>, arguments: &Arguments) -> Result<Verdict> {
    let mut layers = factory.layer_options();
    layers.compression = arguments.compression.unwrap_or(layers.compression);
    let request = BuildAllRequest {
        universe: arguments.universe.clone(),
        families: arguments.families.clone(),
        architectures: arguments.arch.clone(),
        layers,
        output: None,
        at_once: memory::at_once(session.global.jobs, MEMORY_OF_AN_IMAGE),
    };
    let own = factory.size_record_path(&arguments.universe);
    let sizes = factory.sizes(&request, arguments.against.as_ref().unwrap_or(&own))?;
    let good = sizes.are_explained();
    let file = arguments.write.clone().map(|file| file.unwrap_or(own)).filter(|_| good);
    if let Some(file) = &file {
        let whole = arguments.families.is_empty() && arguments.arch.is_empty();
        write_whole(file, &sizes.record(whole)?.to_text()?)?;
    }
    for explanation in &sizes.stale {
        session.terminal.warn(&format!(
            "the explanation of {} is about another record and explains nothing: delete it",
            explanation.images.join(", ")
        ));
    }
    if session.is_json() {
        let shown = Shown {
            universe: &arguments.universe,
            compressor: &sizes.now.compressor,
            record: sizes.before.as_ref().map(|(_, name)| name.as_str()),
            images: &sizes.compared,
            gone: sizes.gone.keys().collect(),
            stale: &sizes.stale,
            written: file,
        };
        output::json("calypte.catalog-sizes/1", &shown)?;
        return Ok(if good { Verdict::Yes } else { Verdict::No });
    }
    output::print(&text(&sizes))?;
    if let Some(file) = &file {
        output::print(&format!("written to {}\n", file.display()))?;
    }
    if !good {
        complain(&sizes);
    }
    Ok(if good { Verdict::Yes } else { Verdict::No })
}

fn text(sizes: &Sizes) -> String {
    let titles = ["IMAGE", "ARCH", "PACKAGES", "DOWNLOAD", "UNPACKED", "BEFORE", "CHANGE"];
    let mut table = Table::new(&titles, &[2, 3, 4, 5, 6]);
    for one in &sizes.compared {
        let before = one.before.map_or_else(|| "new".to_owned(), |before| bytes(before.unpacked));
        let change = one.before.map_or_else(String::new, |before| signed(before.unpacked, one.now.unpacked));
        table.row(vec![
            one.image.clone(),
            one.architecture.to_string(),
            one.now.packages.to_string(),
            bytes(one.now.download),
            bytes(one.now.unpacked),
            before,
            change,
        ]);
    }
    let mut text = table.render();
    for image in sizes.gone.keys() {
        text.push_str(&format!("{image} is no more\n"));
    }
    let against = match &sizes.before {
        Some((record, _)) if record.compressor == sizes.now.compressor => "",
        Some(_) => "; the record is of another compressor, so that downloads are not compared",
        None => "; there is no record to compare with",
    };
    text.push_str(&format!(
        "\n{}, compressed by {}{against}\n",
        super::counted(sizes.compared.len(), "image", "images"),
        sizes.now.compressor
    ));
    text
}

/// `+1.2 MB`, `-3.0 kB`, `0`.
fn signed(before: u64, now: u64) -> String {
    match now.abs_diff(before) {
        0 => "0".to_owned(),
        by if now > before => format!("+{}", bytes(by)),
        by => format!("-{}", bytes(by)),
    }
}

/// Names what grew, and the entry that would explain it.
fn complain(sizes: &Sizes) {
    let unexplained: Vec<(&Compared, u64)> = sizes
        .compared
        .iter()
        .filter_map(|one| Some((one, one.growth.as_ref().filter(|growth| growth.reason.is_none())?.by)))
        .collect();
    for (one, by) in &unexplained {
        failure::line(&format!("{} for {} grew by {}", one.image, one.architecture, bytes(*by)));
    }
    let largest = unexplained.iter().map(|(_, by)| *by).max().unwrap_or(0);
    let mut images: Vec<&str> = unexplained.iter().map(|(one, _)| one.image.as_str()).collect();
    images.dedup();
    let record = sizes.before.as_ref().map_or("", |(_, name)| name.as_str());
    let images = images.iter().map(|image| format!("\"{image}\"")).collect::<Vec<_>>().join(", ");
    failure::line(&format!(
        "hint: find out why with `calypte diff`, or explain it in catalog/sizes/explained.yaml:\n\
         - images: [{images}]\n  by: {largest}\n  record: \"{record}\"\n  reason: …"
    ));
}
