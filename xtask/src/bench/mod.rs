//! `cargo xtask bench`: measurements beside a peer, in one run; never a timed test.

use anyhow::Result;

/// Measures a part of the factory beside a peer.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<()> {
    Ok(())
}
