//! `calypte push`: images of the catalog to a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use calypte_definition::ImageId;
use calypte_pipeline::Factory;
use calypte_pipeline::evidence::Evidence;
use calypte_pipeline::publish::{PublishedImage, Target};
use calypte_pipeline::testing::{Probe, TestReport};
use calypte_pipeline::vex::Publisher;
use calypte_sbom::write::Tool;
use calypte_store::registry::RegistrySettings;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
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
    /// Sign each image with this private key (P-256, PEM), and attach what is known of it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Also attach signatures and statements in the form that cosign had before version 3
    #[arg(long, requires = "key")]
    legacy_signatures: bool,
    /// Run the tests of the images for this machine first: an image that fails one is not published, and the outcome is
    /// attached
    #[arg(long, requires = "key")]
    test: bool,
    /// Who answers for the builder, in the provenance: an address, or a name of its own
    #[arg(long, value_name = "ID", default_value = "urn:calypte:local", requires = "key")]
    builder: String,
    /// Who answers for the documents
    #[arg(long, value_name = "NAME", default_value = "Calypte", requires = "key")]
    author: String,
}

impl Arguments {
    fn evidence(&self, key: &Path) -> Result<Evidence> {
        Ok(Evidence {
            key: super::key::signing_key(key)?,
            publisher: Publisher {
                name: self.author.clone(),
                namespace: super::vex::NAMESPACE.to_owned(),
                tool: Tool {
                    name: "calypte".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    organization: self.author.clone(),
                },
                repositories: Some(self.to.trim_end_matches('/').to_owned()),
            },
            builder: self.builder.clone(),
            legacy: self.legacy_signatures,
        })
    }
}

/// Runs the tests of an image for this machine; a failed one is an error.
fn test(
    factory: &Factory<'_>,
    image: &ImageId,
    universe: &str,
) -> Result<BTreeMap<Architecture, TestReport>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let architecture = super::native_architecture();
    let report = factory.test(image, universe, architecture, None, &Probe { program: &program })?;
    if let Some(failed) = report.tests.iter().find(|test| test.failure.is_some()) {
        bail!("its test `{}` failed: {}", failed.name, failed.failure.as_deref().unwrap_or_default());
    }
    Ok(BTreeMap::from([(architecture, report)]))
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
        evidence: arguments.key.as_deref().map(|file| arguments.evidence(file)).transpose()?,
        same_store: false,
    };
    let mut report = Report { images: Vec::new(), failures: Vec::new() };
    for image in images {
        let tested =
            if arguments.test { test(&factory, &image, &arguments.universe) } else { Ok(BTreeMap::new()) };
        match tested.and_then(|tests| factory.publish(&image, &arguments.universe, &target, &tests)) {
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
