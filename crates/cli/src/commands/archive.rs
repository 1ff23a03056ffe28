//! `calypte archive`: every package that locks name, in a directory from which they can be built again.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output;
use crate::session::Session;

/// Options of `calypte archive`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "`calypte build IMAGE --archive DIR --offline` builds from the directory alone.")]
pub struct Arguments {
    /// The directory; what it has already is kept
    directory: PathBuf,
    /// Image families [default: all]
    #[arg(value_name = "FAMILY")]
    families: Vec<String>,
    /// The universe of the locks
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
}

#[derive(Debug, Serialize)]
struct Archived {
    directory: PathBuf,
    packages: usize,
    added: usize,
    added_size: u64,
}

/// Fetches what is missing and writes the archive.
///
/// # Errors
/// When a package cannot be had, or the directory cannot be written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let families = factory.families(&arguments.families, &arguments.universe)?;
    let copied = factory.archive(&arguments.universe, &families, &arguments.directory)?;
    let packages = copied.files + copied.present;
    let archived = Archived {
        directory: arguments.directory.clone(),
        packages,
        added: copied.files,
        added_size: copied.bytes,
    };
    if session.is_json() {
        output::json("calypte.archive/1", &archived)?;
    } else {
        let directory = archived.directory.display();
        output::print(&format!(
            "{packages} packages in {directory}, {} of them new ({})\n",
            copied.files,
            output::bytes(copied.bytes)
        ))?;
    }
    Ok(Verdict::Yes)
}
