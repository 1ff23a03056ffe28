//! `calypte push`: images of the catalog to a registry.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use calypte_definition::ImageId;
use calypte_pipeline::Factory;
use calypte_pipeline::evidence::Facts;
use calypte_pipeline::publish::{PublishedImage, Target};
use calypte_pipeline::testing::Probe;
use calypte_store::registry::RegistrySettings;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use super::signing::Signing;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte push`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Each family is a repository below the registry; each of its images is built from its lock, if it \
is not there, and gets the tags of its definition. Blobs come first and tags last, so that nobody pulls half of an image. A \
tag that stands for a newer image stays, and is an error. What the registry has is not sent again: a push that was \
interrupted goes on.\n\nLogins are those of podman and docker, and of their credential helpers.\n\nExit code 1: an image \
could not be published; the others are."
)]
pub struct Arguments {
    /// Images: FAMILY[:STREAM][-VARIANT]; a family alone is its default image
    #[arg(value_name = "IMAGE", required_unless_present = "all")]
    images: Vec<String>,
    /// Every image of the catalog
    #[arg(long, conflicts_with = "images")]
    all: bool,
    /// The registry, with the common beginning of its repositories: HOST[:PORT][/NAME]
    #[arg(long, value_name = "REGISTRY")]
    to: String,
    /// The universe of the locks
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Ask a registry on this machine over http
    #[arg(long)]
    plain_http: bool,
    #[command(flatten)]
    signing: Signing,
    /// Run the tests of the images for this machine first: an image that fails one is not published, and the outcome is
    /// attached
    #[arg(long, requires = "key")]
    test: bool,
}

/// Runs the tests of an image for this machine; a failed one is an error.
fn test(factory: &Factory<'_>, image: &ImageId, universe: &str) -> Result<Facts> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let architecture = super::native_architecture();
    let report = factory.test(image, universe, architecture, None, &Probe { program: &program })?;
    if let Some(failed) = report.tests.iter().find(|test| test.failure.is_some()) {
        bail!("its test `{}` failed: {}", failed.name, failed.failure.as_deref().unwrap_or_default());
    }
    Ok(Facts { tests: BTreeMap::from([(architecture, report)]), ..Facts::default() })
}

#[derive(Debug, Serialize)]
struct Report {
    images: Vec<PublishedImage>,
    failures: Vec<calypte_pipeline::up::Failure>,
}

/// Publishes, and prints what became of each tag.
///
/// # Errors
/// When an image is not in the catalog.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let images = if arguments.all {
        let families = factory.families(&[], &arguments.universe)?;
        families.iter().flat_map(|family| factory.images_of(family, &arguments.universe)).collect()
    } else {
        let named = arguments.images.iter().map(|text| factory.image_id(text, &arguments.universe));
        named.collect::<Result<Vec<_>>>()?
    };
    let target = Target {
        prefix: arguments.to.clone(),
        settings: RegistrySettings {
            network: session.network(),
            plain_http: arguments.plain_http,
            auth_files: session.auth_files()?,
        },
        evidence: arguments.signing.evidence(&arguments.to)?,
        same_store: false,
    };
    let mut report = Report { images: Vec::new(), failures: Vec::new() };
    for image in images {
        let tested =
            if arguments.test { test(&factory, &image, &arguments.universe) } else { Ok(Facts::default()) };
        match tested.and_then(|facts| factory.publish(&image, &arguments.universe, &target, &facts)) {
            Ok(published) => report.images.push(published),
            Err(_) if session.was_interrupted() => bail!("interrupted"),
            Err(error) => report.failures.push(calypte_pipeline::up::Failure::of(&image.to_string(), &error)),
        }
    }
    let verdict = if report.failures.is_empty() { Verdict::Yes } else { Verdict::No };
    if session.is_json() {
        output::json("calypte.push/1", &report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(verdict)
}

fn text(report: &Report) -> String {
    let mut table = Table::new(&["REFERENCE", "TAG", "SENT", "THERE", "DIGEST"], &[2, 3]);
    for image in &report.images {
        for (place, tag) in image.tags.iter().enumerate() {
            let first = place == 0;
            table.row(vec![
                format!("{}:{}", image.repository, tag.tag),
                tag.outcome.to_owned(),
                if first { output::bytes(image.published.bytes) } else { String::new() },
                if first {
                    (image.published.present + image.published.mounted).to_string()
                } else {
                    String::new()
                },
                image.digest.to_string().chars().take(19).collect(),
            ]);
        }
    }
    let mut text = table.render();
    for failure in &report.failures {
        text.push_str(&format!("\n{}: {}\n", failure.image, output::printable(&failure.error)));
    }
    text
}
