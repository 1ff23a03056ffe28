//! `calypte up`: everything at once: lock what is not locked, build all images, test them, show them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use calypte_pipeline::Factory;
use calypte_pipeline::evidence::Facts;
use calypte_pipeline::testing::Probe;
use calypte_pipeline::up::{UpReport, UpRequest};

use super::DEFAULT_UNIVERSE;
use super::serve::Server;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte up`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Locks are kept as they are while the definitions want what is in them and the mirror still \
has it; otherwise they are made anew. Each image is written to an OCI layout, from which engines run it. Tests run \
for this machine's architecture; --arch adds others, emulated. What passed is not tested again while the image and its tests are the \
same; `calypte test` always does. In the end the images are served by a registry over the \
store, as `calypte serve` does, until Ctrl-C.\n\nExit code 1: an image could not be made, or a test \
failed; the others are there."
)]
pub struct Arguments {
    /// Image families [default: the catalog's starters, or all where it has none]
    #[arg(value_name = "FAMILY")]
    families: Vec<String>,
    /// All families
    #[arg(long, conflicts_with = "families")]
    all: bool,
    /// The universe to take packages from
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Exit when all is done, and do not serve the images
    #[arg(long)]
    once: bool,
    /// Where to serve the images when they are done
    #[arg(long, value_name = "ADDRESS:PORT", default_value = super::serve::ADDRESS, conflicts_with = "once")]
    listen: SocketAddr,
    /// Architectures to test beside this machine's
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    arch: Vec<Architecture>,
    /// Where the images go, an OCI layout each family [default: `images` in the store]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Does it all and prints the table.
///
/// # Errors
/// When nothing at all could be done: no catalog, no store.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let output = match &arguments.output {
        Some(directory) => directory.clone(),
        None => session.store_directory()?.join("images"),
    };
    let mut test = vec![super::native_architecture()];
    test.extend(arguments.arch.iter().filter(|architecture| **architecture != super::native_architecture()));
    let request = UpRequest {
        families: match (&arguments.families[..], arguments.all) {
            ([], false) => factory.starters(&arguments.universe)?,
            (named, _) => factory.families(named, &arguments.universe)?,
        },
        universe: arguments.universe.clone(),
        output,
        test,
    };
    let report = factory.up(&request, &Probe { program: &program })?;
    if session.was_interrupted() {
        bail!("interrupted");
    }
    if session.is_json() {
        output::json("calypte.up/1", &report)?;
    } else {
        output::print(&text(&report))?;
    }
    let verdict = if report.succeeded() { Verdict::Yes } else { Verdict::No };
    if !arguments.once {
        serve(session, &factory, &request, arguments.listen)?;
    }
    Ok(verdict)
}

/// Publishes the images in a registry of this program's own, and serves them until the user interrupts.
fn serve(session: &Session, factory: &Factory<'_>, request: &UpRequest, listen: SocketAddr) -> Result<()> {
    let mut server = Server::new(session, listen, None)?;
    server.universe.clone_from(&request.universe);
    let address = server.address;
    let target = server.target(session);
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(session));
        let mut published = Vec::new();
        for family in &request.families {
            for image in factory.images_of(family, &request.universe) {
                if session.was_interrupted() {
                    break;
                }
                match factory.publish(&image, &request.universe, &target, &Facts::default()) {
                    Ok(image) => published.push(image),
                    Err(error) => crate::failure::line(&format!("warning: {error:#}")),
                }
            }
        }
        let example = published.iter().find(|image| image.image == "nginx").or_else(|| published.first());
        let pull = example.map_or_else(String::new, |image| {
            format!(" Pull one:\n  podman pull --tls-verify=false {}", image.repository)
        });
        let count = published.len();
        output::print(&format!("\nServing {count} images at http://{address} until Ctrl-C.{pull}\n"))?;
        serving.join().unwrap_or_else(|_| bail!("the server ended"))
    })
}

fn text(report: &UpReport) -> String {
    let mut table =
        Table::new(&["IMAGE", "ARCH", "PACKAGES", "DOWNLOAD", "UNPACKED", "TESTS", "DIGEST"], &[2, 3, 4]);
    for image in &report.images {
        table.row(vec![
            image.image.clone(),
            image.architecture.to_string(),
            image.packages.to_string(),
            output::bytes(image.size),
            output::bytes(image.unpacked_size),
            image.tests.to_string(),
            image.digest.to_string().chars().take(19).collect(),
        ]);
    }
    let mut text = table.render();
    for failure in &report.failures {
        text.push_str(&format!("\n{}: {}\n", failure.image, output::printable(&failure.error)));
    }
    let skipped: BTreeSet<String> = report
        .images
        .iter()
        .filter(|image| image.tests.skipped > 0)
        .map(|image| image.architecture.to_string())
        .collect();
    if !skipped.is_empty() {
        let architectures = skipped.into_iter().collect::<Vec<_>>().join(",");
        text.push_str(&format!(
            "\nSkipped tests are of another architecture; --arch {architectures} runs them, emulated.\n"
        ));
    }
    text.push_str(&format!("\nThe images are in {}.", report.output.display()));
    let example = report.images.iter().find(|image| image.image == "nginx");
    if let Some(example) = example.or_else(|| report.images.iter().find(|image| image.starts)) {
        text.push_str(&format!(" Run one:\n  podman run --rm --network host {}", example.reference));
    }
    text.push('\n');
    text
}
