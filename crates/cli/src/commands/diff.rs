//! `calypte diff`: what is different between two images or locks.

mod layers;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_pipeline::diff::{Change, Difference, Side};
use calypte_pipeline::layers::difference::LayersDifference;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Each side is oci:DIR[:TAG], oci-archive:FILE[:TAG], a lock file (all its images, \
or one with `#IMAGE` after it: catalog/locks/debian-sid/nginx.lock#builder), or the name of an image \
of the catalog, which is built from its lock.\n\nWith --layers, both are images. A client that reads tables of contents \
(podman with enable_partial_images, calypte pull) downloads only the chunks that are in no layer of the first one.\n\n\
Exit code 1: there are differences; with --layers, there is something to download."
)]
pub struct Arguments {
    /// The first side
    from: String,
    /// The second side
    to: String,
    /// The universe of images that are named
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// The architecture [default: this machine's]
    #[arg(long)]
    arch: Option<Architecture>,
    /// Print what a client that has the first image downloads for the second: which layers, and why
    #[arg(long)]
    layers: bool,
}

/// Prints the differences.
///
/// # Errors
/// When a side cannot be read.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let architecture = arguments.arch.unwrap_or_else(super::native_architecture);
    let Arguments { from, to, universe, .. } = arguments;
    if arguments.layers {
        // Layouts need no catalog.
        let difference = match LayersDifference::of_layouts(from, to, architecture)? {
            Some(difference) => difference,
            None => session.factory()?.diff_layers(from, to, universe, architecture)?,
        };
        if session.is_json() {
            output::json("calypte.diff-layers/1", &difference)?;
        } else {
            output::print(&layers::text(&difference))?;
        }
        return Ok(if difference.is_empty() { Verdict::Yes } else { Verdict::No });
    }
    let (from, to) = match (Side::read(from, architecture)?, Side::read(to, architecture)?) {
        (Some(from), Some(to)) => (from, to),
        sides => {
            let factory = session.factory()?;
            let or_built = |side: Option<Side>, text: &str| {
                side.map_or_else(|| factory.side(text, universe, architecture), Ok)
            };
            (or_built(sides.0, from)?, or_built(sides.1, to)?)
        }
    };
    let difference = calypte_pipeline::diff::diff(&from, &to);
    if session.is_json() {
        output::json("calypte.diff/1", &difference)?;
    } else {
        output::print(&text(&difference))?;
    }
    Ok(if difference.is_empty() { Verdict::Yes } else { Verdict::No })
}

fn text(difference: &Difference) -> String {
    let size = |bytes| output::bytes(bytes);
    let head = format!(
        "from {} ({})\n  to {} ({})\n",
        difference.from,
        size(difference.size_from),
        difference.to,
        size(difference.size_to)
    );
    if difference.is_empty() {
        return head + "no difference\n";
    }
    let mut packages = Table::new(&["PACKAGE", "FROM", "TO"], &[]);
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "–".into());
    for change in &difference.packages {
        packages.row(vec![change.name.clone(), version(&change.from), version(&change.to)]);
    }
    let mut text = head;
    if !difference.packages.is_empty() {
        text.push_str(&format!("\n{}", packages.render()));
    }
    let mut files = Table::new(&["", "SIZE", "PATH"], &[1]);
    for file in difference.files.iter().flatten() {
        let mark = match file.change {
            Change::Added => "+",
            Change::Removed => "-",
            Change::Changed => "~",
        };
        let sign = if file.size < 0 { "-" } else { "+" };
        files.row(vec![
            mark.into(),
            format!("{sign}{}", size(file.size.unsigned_abs())),
            file.path.to_string(),
        ]);
    }
    if difference.files.as_ref().is_some_and(|files| !files.is_empty()) {
        text.push_str(&format!("\n{}", files.render()));
    }
    text
}
