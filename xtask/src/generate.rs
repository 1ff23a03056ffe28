//! `cargo xtask generate`: files that come out of the code (CLI reference, man pages, completions) and are committed,
//! so that a reader finds them and a review shows when they change.

use anyhow::{Result, bail};

use crate::run;

/// Writes the CLI reference, man pages and completions.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when a committed file is not what the code would generate
    #[arg(long)]
    pub check: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let target =
        if arguments.check { tempfile::tempdir()?.keep() } else { run::workspace().join("docs/reference") };
    let mut generate = run::cargo(&["run", "--quiet", "--package", "calypte-cli", "--", "reference"]);
    run::succeed(generate.arg(&target))?;
    if !arguments.check {
        return Ok(());
    }
    let committed = run::workspace().join("docs/reference");
    let mut stale = Vec::new();
    for name in ["cli.md", "environment.md"] {
        if fs_err::read(target.join(name))? != fs_err::read(committed.join(name)).unwrap_or_default() {
            stale.push(name);
        }
    }
    fs_err::remove_dir_all(&target)?;
    if !stale.is_empty() {
        bail!(
            "docs/reference/{} is not what the code generates; run `cargo xtask generate`",
            stale.join(", docs/reference/")
        );
    }
    Ok(())
}
