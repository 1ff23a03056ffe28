//! `cargo xtask generate`: files that come out of the code (command line and environment pages, manual pages) and out of
//! the catalog (a page an image family) and are committed, so that a reader finds them and a review shows when they change.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, bail};

use crate::run;

/// The pages and the directories, below `docs/`, that they are in.
const PAGES: [&str; 3] = ["reference/cli.md", "reference/host.md", "reference/environment.md"];
const MANUAL: &str = "man";
const IMAGES: &str = "images";

/// Writes the command line reference, the manual pages and the pages about images.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when a committed file is not what the code would generate
    #[arg(long)]
    pub check: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let docs = run::workspace().join("docs");
    if !arguments.check {
        return write(&docs);
    }
    let scratch = tempfile::tempdir()?;
    write(scratch.path())?;
    let (made, committed) = (generated(scratch.path())?, generated(&docs)?);
    let names = made.keys().chain(committed.keys());
    let mut stale: Vec<&str> =
        names.filter(|name| made.get(*name) != committed.get(*name)).map(String::as_str).collect();
    stale.dedup();
    if !stale.is_empty() {
        bail!("not what the code generates: docs/{}; run `cargo xtask generate`", stale.join(", docs/"));
    }
    Ok(())
}

fn write(docs: &Path) -> Result<()> {
    let mut command = run::cargo(&["run", "--quiet", "--package", "calypte-cli", "--", "reference"]);
    run::succeed(command.arg(docs.join("reference")).arg("--man").arg(docs.join(MANUAL)))?;
    // Pages of families that are no more must not stay.
    let images = docs.join(IMAGES);
    if images.exists() {
        fs_err::remove_dir_all(&images)?;
    }
    // Written out of definitions and locks: neither network nor store is looked at.
    let store = tempfile::tempdir()?;
    let mut command =
        run::cargo(&["run", "--quiet", "--package", "calypte-cli", "--", "--offline", "--quiet"]);
    command.arg("--catalog").arg(run::workspace().join("catalog")).arg("--store").arg(store.path());
    run::succeed(command.args(["catalog", "--readmes"]).arg(&images).stdout(Stdio::null()))
}

/// The generated files below a directory, by name.
fn generated(docs: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for page in PAGES {
        files.insert(page.to_owned(), fs_err::read(docs.join(page)).unwrap_or_default());
    }
    for directory in [MANUAL, IMAGES] {
        for entry in fs_err::read_dir(docs.join(directory)).into_iter().flatten() {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(format!("{directory}/{name}"), fs_err::read(&path)?);
        }
    }
    Ok(files)
}
