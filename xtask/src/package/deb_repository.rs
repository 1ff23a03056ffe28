//! A repository of Debian packages: `pool/`, and below `dists/calypte/` the indexes and `Release`, unsigned.

use std::path::Path;

use anyhow::{Context as _, Result};
use calypte_base::{Digest, Epoch};

use super::{Made, deb};
use crate::cross::Target;

const SUITE: &str = "calypte";

pub fn write(directory: &Path, packages: &[Made], targets: &[Target], time: i64) -> Result<()> {
    let pool = directory.join("pool");
    fs_err::create_dir_all(&pool)?;
    for made in packages {
        fs_err::write(pool.join(&made.file), &made.bytes)?;
    }
    let dists = directory.join("dists").join(SUITE);
    let mut sums = String::new();
    for target in targets {
        let of_target = packages.iter().filter(|made| made.target == *target);
        let index: String = of_target.map(stanza).collect::<Vec<_>>().join("\n");
        let place = format!("main/binary-{}", target.architecture);
        fs_err::create_dir_all(dists.join(&place))?;
        let compressed = deb::compressed(index.as_bytes())?;
        for (name, bytes) in [("Packages", index.as_bytes()), ("Packages.xz", compressed.as_slice())] {
            fs_err::write(dists.join(&place).join(name), bytes)?;
            sums.push_str(&format!(" {} {} {place}/{name}\n", Digest::of(bytes).hex(), bytes.len()));
        }
    }
    let architectures: Vec<&str> = targets.iter().map(|target| target.architecture).collect();
    let release = format!(
        "Origin: Calypte\nLabel: Calypte\nSuite: {SUITE}\nCodename: {SUITE}\nDate: {}\nArchitectures: {}\n\
         Components: main\nDescription: Programs of hosts\nSHA256:\n{sums}",
        date(time)?,
        architectures.join(" ")
    );
    fs_err::write(dists.join("Release"), release)?;
    Ok(())
}

/// A package in an index.
fn stanza(made: &Made) -> String {
    format!(
        "{}Filename: pool/{}\nSize: {}\nSHA256: {}\n",
        deb::fields(&made.package, made.target),
        made.file,
        made.bytes.len(),
        Digest::of(&made.bytes).hex()
    )
}

/// `Fri, 30 Oct 2026 08:08:01 UTC`, as `Release` has it.
fn date(time: i64) -> Result<String> {
    Epoch(time).to_rfc2822().context("a time that no date has")
}
