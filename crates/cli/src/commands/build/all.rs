//! `calypte build --all`: what is asked for, and the table of what there is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use calypte_base::Architecture;
use calypte_image::Output;
use calypte_image::output::DEFAULT_TAG;
use calypte_pipeline::Factory;
use calypte_pipeline::build::LayerOptions;
use calypte_pipeline::build::all::{BuildAllRequest, BuiltAll};

use crate::Verdict;
use crate::memory;
use crate::output::{self, Table};
use crate::session::Session;

/// Memory that is set aside for each image that is assembled. One of 205 MB takes 110 MB at the highest level of
/// compression, of which the compressor has most; what else there is grows with the number of files.
pub(crate) const MEMORY_OF_AN_IMAGE: u64 = 512 * 1024 * 1024;

/// Builds everything and prints the table.
///
/// # Errors
/// When nothing at all could be done: no catalog, no store.
pub fn run(
    session: &Session,
    factory: &Factory<'_>,
    universe: &str,
    architectures: &[Architecture],
    output: Option<&Output>,
    layers: LayerOptions,
) -> Result<Verdict> {
    let request = BuildAllRequest {
        universe: universe.to_owned(),
        families: Vec::new(),
        architectures: architectures.to_vec(),
        layers,
        output: output.map(directory).transpose()?,
        at_once: memory::at_once(session.global.jobs, MEMORY_OF_AN_IMAGE),
    };
    let report = factory.build_all(&request)?;
    if session.is_json() {
        output::json("calypte.build-all/1", &report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(if report.failures.is_empty() { Verdict::Yes } else { Verdict::No })
}

/// The directory of the layouts.
fn directory(output: &Output) -> Result<PathBuf> {
    match output {
        Output::Oci { directory, tag } if tag == DEFAULT_TAG => Ok(directory.clone()),
        _ => bail!(
            "`{output}` cannot hold all images\nhint: write oci:DIR: each family gets a layout below it, with the tags of \
             its definition"
        ),
    }
}

fn text(report: &BuiltAll) -> String {
    let titles = ["IMAGE", "ARCH", "PACKAGES", "DOWNLOAD", "UNPACKED", "DIGEST", "STATE"];
    let mut table = Table::new(&titles, &[2, 3, 4]);
    for image in &report.images {
        table.row(vec![
            image.image.clone(),
            image.built.architecture.to_string(),
            image.built.packages.to_string(),
            output::bytes(image.built.size),
            output::bytes(image.built.unpacked_size),
            image.built.digest.to_string(),
            image.state.word().to_owned(),
        ]);
    }
    let mut text = table.render();
    let images = match report.images.len() {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    };
    text.push_str(&format!(
        "\n{images}: {}, of which {} are distinct layers\n",
        output::bytes(report.size),
        output::bytes(report.distinct_size)
    ));
    if let Some(output) = &report.output {
        text.push_str(&format!("written to {}, a layout each family\n", output.display()));
    }
    // What keeps a whole family from being built is said once.
    let mut failures: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for failure in &report.failures {
        failures.entry(&failure.error).or_default().push(&failure.image);
    }
    for failure in &report.failures {
        if let Some(images) = failures.remove(failure.error.as_str()) {
            text.push_str(&format!("\n{}: {}\n", images.join(", "), output::printable(&failure.error)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use calypte_base::{Digest, Epoch};
    use calypte_pipeline::build::BuiltImage;
    use calypte_pipeline::build::all::{OneOfAll, State};
    use calypte_pipeline::up::Failure;

    use super::*;

    #[test]
    fn a_table_of_all() {
        let image = |name: &str, architecture, state| OneOfAll {
            image: name.to_owned(),
            built: BuiltImage {
                architecture,
                digest: Digest::of(b""),
                packages: 12,
                size: 3_400_000,
                unpacked_size: 9_100_000,
                created: Epoch(0),
            },
            state,
        };
        let failure = |image: &str, error: &str| Failure { image: image.to_owned(), error: error.to_owned() };
        let never =
            "python was never locked in debian-sid\nhint: run `calypte lock python --universe debian-sid`";
        let report = BuiltAll {
            universe: "debian-sid".into(),
            stale: false,
            output: Some("images".into()),
            images: vec![
                image("base", Architecture::Amd64, State::Unchanged),
                image("base-builder", Architecture::Arm64, State::Built),
            ],
            size: 6_800_000,
            distinct_size: 3_600_000,
            failures: vec![
                failure("python:3.13", never),
                failure("python:3.13-builder", never),
                failure("valkey for arm64", "1 check failed"),
            ],
        };
        insta::assert_snapshot!("all", anstream::adapter::strip_str(&text(&report)).to_string());
    }
}
