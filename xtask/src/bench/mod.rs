//! `cargo xtask bench`: measurements beside a peer, in one run; never a timed test. CPU seconds and peak memory count,
//! since machines are noisy; the last line of the output is one JSON object with the figures.

mod boot;
mod build;
mod catalog;
mod evidence;
mod host;
mod latency;
mod layers;
mod measure;
mod os;
mod rawhide;
mod registry;
mod rpm;
mod sizes;
mod startup;

use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;

/// Measures, and prints what it found.
type Measure = fn() -> Result<()>;

/// What can be measured.
const BENCHMARKS: &[(&str, Measure)] = &[
    ("boot", boot::run),
    ("build", build::run),
    ("catalog", catalog::run),
    ("evidence", evidence::run),
    ("host", host::run),
    ("latency", latency::run),
    ("layers", layers::run),
    ("registry", registry::run),
    ("rpm", rpm::run),
    ("sizes", sizes::run),
    ("startup", startup::run),
];

/// Measures a part of the factory beside a peer.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to measure
    #[arg(value_parser = PossibleValuesParser::new(BENCHMARKS.iter().map(|(name, _)| *name)))]
    name: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let found = BENCHMARKS.iter().find(|(name, _)| *name == arguments.name);
    let (_, measure) = found.context("no such benchmark")?;
    measure()
}
