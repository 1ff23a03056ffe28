//! `calypte catalog`: the families of the catalog as a table, how large they are, their tags, and pages about them.

mod lacking;
mod readmes;
mod sizes;
mod tags;

use std::path::PathBuf;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_image::LayerCompression;
use calypte_pipeline::lifecycle::{Day, Support};
use calypte_pipeline::overview::{FamilyOverview, Overview, StreamOverview};

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte catalog`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Without options, the families are listed: their streams with the day on which support for them \
ends, their variants and architectures, and how many images that makes.\n\n--sizes builds the images and holds their \
sizes against a record: what grew by more than 2 % and by more than 100 kB is refused, unless \
catalog/sizes/explained.yaml explains it. Downloads are compared only where the record is of the same compressor. --tags \
reads the locks and holds the tags against a record: none may go back to an older version.\n\nExit code 1: an image grew \
without an explanation; a tag would go back, or two images want one; with --lacking, the universe has something after all."
)]
pub struct Arguments {
    /// Image families [default: all]
    #[arg(value_name = "FAMILY")]
    families: Vec<String>,
    /// The universe whose images are meant
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Build the images and show how large they are, beside a record
    #[arg(long, groups = ["what", "recorded"])]
    sizes: bool,
    /// Show to which version each tag points, beside a record
    #[arg(long, groups = ["what", "recorded"])]
    tags: bool,
    /// Write a page about each family to this directory, and an index of them as README.md
    #[arg(long, value_name = "DIR", group = "what")]
    readmes: Option<PathBuf>,
    /// Show what the catalog says that Debian lacks, and whether the universe does; needs the network
    #[arg(long, group = "what")]
    lacking: bool,
    /// With --sizes or --tags, the record to compare with [default: the catalog's own]
    #[arg(long, value_name = "FILE", requires = "recorded")]
    against: Option<PathBuf>,
    /// With --sizes or --tags, write the record if nothing is refused [default: the catalog's own]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, requires = "recorded")]
    write: Option<Option<PathBuf>>,
    /// With --sizes, architectures [default: all]
    #[arg(long, value_name = "ARCH", value_delimiter = ',', requires = "sizes")]
    arch: Vec<Architecture>,
    /// With --sizes, how layers are compressed: zstd, zstd:LEVEL, gzip or none [default: $CALYPTE_COMPRESSION, or zstd,
    /// which is zstd:19]
    #[arg(long, value_name = "HOW", requires = "sizes")]
    compression: Option<LayerCompression>,
}

/// Does what is asked for; the table of families where nothing is.
///
/// # Errors
/// When the catalog has mistakes, or has no such family; when something cannot be read, built or written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    if arguments.sizes {
        return sizes::run(session, &factory, arguments);
    }
    if arguments.tags {
        return tags::run(session, &factory, arguments);
    }
    if let Some(directory) = &arguments.readmes {
        return readmes::run(session, &factory, arguments, directory);
    }
    if arguments.lacking {
        return lacking::run(session, &factory, &arguments.universe);
    }
    let overview = factory.overview(&arguments.families, &arguments.universe)?;
    if session.is_json() {
        output::json("calypte.catalog/1", &overview)?;
    } else {
        output::print(&text(&overview))?;
    }
    Ok(Verdict::Yes)
}

fn text(overview: &Overview) -> String {
    let titles = ["FAMILY", "TITLE", "CATEGORY", "STREAMS", "VARIANTS", "ARCHITECTURES", "IMAGES"];
    let mut table = Table::new(&titles, &[6]);
    for family in &overview.families {
        table.row(vec![
            family.family.clone(),
            family.title.clone(),
            family.category.to_string(),
            streams(family),
            family.variants.join(", "),
            family.architectures.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            family.images.to_string(),
        ]);
    }
    format!(
        "{}\n{}, {} in {}\n",
        table.render(),
        counted(overview.families.len(), "family", "families"),
        counted(overview.images, "image", "images"),
        overview.universe
    )
}

/// `3.14 until 2030-10-31, 3.13 until 2029-10-31`; a dash where there is nothing to tell.
fn streams(family: &FamilyOverview) -> String {
    let told: Vec<String> = family.streams.iter().map(stream).filter(|text| !text.is_empty()).collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

fn stream(stream: &StreamOverview) -> String {
    let support = match stream.support {
        Some(Support::Until(day)) => format!("until {}", Day(day)),
        Some(Support::Ended(day)) => format!("ENDED {}", Day(day)),
        Some(Support::Rolling | Support::Unknown) | None => String::new(),
    };
    let name = stream.stream.as_deref().unwrap_or_default();
    format!("{name} {support}").trim().to_owned()
}

/// `1 family`, `2 families`.
fn counted(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
}
