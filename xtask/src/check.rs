//! `cargo xtask check`: what a reviewer need not look for: format, lints, dependency direction, licences, bans.

use anyhow::{Result, bail};

use crate::{dependencies, generate, run};

/// Checks format, lints, generated files, licences, banned crates and the direction of dependencies.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<()> {
    run::succeed(&mut run::cargo(&["fmt", "--all", "--check"]))?;
    run::succeed(&mut run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let metadata = run::output(&mut run::cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let faults = dependencies::faults(&serde_json::from_str(&metadata)?);
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        bail!("{} dependency fault(s)", faults.len());
    }
    generate::run(&generate::Arguments { check: true })
}
