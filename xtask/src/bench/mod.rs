//! `cargo xtask bench`: measurements beside a peer, in one run; never a timed test. CPU seconds and peak memory count,
//! since machines are noisy; the last line of the output is one JSON object with the figures.

mod build;
mod catalog;
mod evidence;
mod latency;
mod layers;
mod measure;
mod rawhide;
mod registry;
mod rpm;
mod sizes;
mod startup;

use anyhow::{Result, bail};

/// Measures a part of the factory beside a peer.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to measure: build, catalog, evidence, latency, layers, registry, rpm, sizes, startup
    name: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.name.as_str() {
        "build" => build::run(),
        "catalog" => catalog::run(),
        "evidence" => evidence::run(),
        "latency" => latency::run(),
        "layers" => layers::run(),
        "registry" => registry::run(),
        "rpm" => rpm::run(),
        "sizes" => sizes::run(),
        "startup" => startup::run(),
        other => bail!(
            "no benchmark is called `{other}`; there are: build, catalog, evidence, latency, layers, registry, rpm, sizes, startup"
        ),
    }
}
