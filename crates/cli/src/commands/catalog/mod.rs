//! `calypte catalog`: the families of the catalog as a table, and pages about them.

mod lacking;
mod readmes;

use std::path::PathBuf;

use anyhow::Result;
use calypte_pipeline::lifecycle::{Day, Support};
use calypte_pipeline::overview::{FamilyOverview, Overview, StreamOverview};

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte catalog`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Image families [default: all]
    #[arg(value_name = "FAMILY")]
    families: Vec<String>,
    /// The universe whose images are counted
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Write a page about each family to this directory, and an index of them as README.md
    #[arg(long, value_name = "DIR")]
    readmes: Option<PathBuf>,
    /// Show what the catalog says that the universe lacks, and whether it does; needs the network
    #[arg(long, conflicts_with = "readmes")]
    lacking: bool,
}

/// Does what is asked for; the table where nothing is.
///
/// # Errors
/// When the catalog has mistakes, or has no such family; when something cannot be written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
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
    let one = |count: usize, one: &str, several: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    };
    format!(
        "{}\n{}, {} in {}\n",
        table.render(),
        one(overview.families.len(), "family", "families"),
        one(overview.images, "image", "images"),
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
