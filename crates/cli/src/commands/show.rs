//! `calypte show`: what is in an image, and why.

mod layers;

use std::io::IsTerminal as _;

use anyhow::{Result, bail};
use calypte_base::Architecture;
use calypte_pipeline::Hinted;
use calypte_pipeline::layers::{LayersShown, is_layout};
use calypte_pipeline::show::Shown;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use crate::output::{self, Table};
use crate::session::Session;
use crate::{Verdict, failure};

/// Options of `calypte show`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "With --layers, the image may be oci:DIR[:TAG] or oci-archive:FILE[:TAG] too, also one that another \
tool made; what that does not tell is `-`. An image of the catalog is built from its lock."
)]
pub struct Arguments {
    /// The image: FAMILY[:STREAM][-VARIANT]
    image: String,
    /// The universe of the lock
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// The architecture [default: this machine's]
    #[arg(long)]
    arch: Option<Architecture>,
    /// Print the packages as a tree of who asked for whom
    #[arg(long, conflicts_with = "why")]
    tree: bool,
    /// Explain how this package came in
    #[arg(long, value_name = "PACKAGE")]
    why: Option<String>,
    /// Print the layers in their order: what is in each, and how large it is
    #[arg(long, conflicts_with_all = ["tree", "why"])]
    layers: bool,
    /// With --layers, draw a bar for each layer's size also where the output is no terminal
    #[arg(long, requires = "layers")]
    bars: bool,
}

#[derive(Debug, Serialize)]
struct Why<'a> {
    image: &'a str,
    package: &'a str,
    chain: &'a [String],
}

/// Prints the packages of an image.
///
/// # Errors
/// When the image is not locked.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let architecture = arguments.arch.unwrap_or_else(super::native_architecture);
    if arguments.layers {
        let Arguments { image, universe, .. } = arguments;
        // A layout needs no catalog.
        let shown = match LayersShown::of_layout(image, architecture)? {
            Some(shown) => shown,
            None => session.factory()?.show_layers(image, universe, architecture)?,
        };
        if session.is_json() {
            output::json("calypte.show-layers/1", &shown)?;
        } else {
            let bars = arguments.bars || std::io::stdout().is_terminal();
            output::print(&layers::text(&shown, bars))?;
        }
        return Ok(Verdict::Yes);
    }
    if is_layout(&arguments.image) {
        return Err(Hinted {
            message: format!(
                "`{}` does not say who asked for its packages: that stands in the locks of the catalog",
                arguments.image
            ),
            hint: "with --layers, its layers are shown".to_owned(),
        }
        .into());
    }
    let factory = session.factory()?;
    let id = factory.image_id(&arguments.image, &arguments.universe)?;
    let shown = factory.show(&id, &arguments.universe, architecture)?;
    if let Some(package) = &arguments.why {
        return why(session, &shown, package);
    }
    if session.is_json() {
        output::json("calypte.show/1", &shown)?;
    } else if arguments.tree {
        output::print(&shown.tree())?;
    } else {
        output::print(&text(&shown))?;
    }
    Ok(Verdict::Yes)
}

fn text(shown: &Shown) -> String {
    let mut table = Table::new(&["PACKAGE", "VERSION", "SIZE", "ASKED FOR BY"], &[2]);
    for package in &shown.packages {
        table.row(vec![
            package.name.clone(),
            package.version.clone(),
            output::bytes(package.size),
            package.by.join(", "),
        ]);
    }
    let stale = if shown.stale { ", locked from a stale mirror" } else { "" };
    let stream = shown.lifecycle.stream.map_or_else(String::new, |stream| format!("software: {stream}; "));
    format!(
        "{} in {} for {}: {} packages, {}{stale}\n{stream}packages: {}\n\n{}",
        shown.image,
        shown.universe,
        shown.architecture,
        shown.packages.len(),
        output::bytes(shown.download_size),
        shown.lifecycle.packages,
        table.render()
    )
}

fn why(session: &Session, shown: &Shown, package: &str) -> Result<Verdict> {
    let Some(chain) = shown.why(package) else {
        if session.is_json() {
            bail!("{package} is not in {}", shown.image);
        }
        failure::line(&format!("{package} is not in {}", shown.image));
        return Ok(Verdict::No);
    };
    if session.is_json() {
        output::json("calypte.why/1", &Why { image: &shown.image, package, chain: &chain })?;
    } else {
        output::print(&format!("{} → {}\n", shown.image, chain.join(" → ")))?;
    }
    Ok(Verdict::Yes)
}
