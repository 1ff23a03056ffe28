//! `calypte test`: an image's tests, or those of all images, in a container engine.

mod all;

use anyhow::{Context as _, Result};
use calypte_base::Architecture;
use calypte_pipeline::testing::{EngineKind, Probe, TestReport};

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte test`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The image is built from its lock first. Containers have no network but their own loopback \
unless a test asks for it, and a read-only root unless it says otherwise.\n\nExit code 1: a test failed."
)]
pub struct Arguments {
    /// The image: FAMILY[:STREAM][-VARIANT]
    #[arg(required_unless_present = "all")]
    image: Option<String>,
    /// Every image of the universe, as a table
    #[arg(long, conflicts_with = "image")]
    all: bool,
    /// The universe of the lock
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// The architectures [default: this machine's]; others run emulated where binfmt has qemu-user
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    arch: Vec<Architecture>,
    /// With --all, run of the images for other machines the default variants of one family in N; the rest are built,
    /// checked and looked into
    #[arg(long, value_name = "N", default_value_t = 1, requires = "all")]
    emulate_one_in: usize,
    /// Use this engine [default: the first of podman, crun, runc that works]
    #[arg(long, value_name = "NAME", value_parser = engine)]
    engine: Option<EngineKind>,
}

fn engine(text: &str) -> Result<EngineKind> {
    let found = EngineKind::ALL.into_iter().find(|kind| kind.program() == text);
    found.with_context(|| format!("`{text}` is none of podman, crun, runc"))
}

/// Runs the tests.
///
/// # Errors
/// When the image cannot be built, or no engine can run it.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let architectures = match arguments.arch.as_slice() {
        [] => vec![super::native_architecture()],
        some => some.to_vec(),
    };
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let probe = Probe { program: &program };
    let Some(image) = &arguments.image else {
        return all::run(session, &factory, arguments, architectures, &probe);
    };
    let id = factory.image_id(image, &arguments.universe)?;
    let mut verdict = Verdict::Yes;
    for architecture in architectures {
        let report = factory.test(&id, &arguments.universe, architecture, arguments.engine, &probe)?;
        if session.is_json() {
            output::json("calypte.test/1", &report)?;
        } else {
            output::print(&text(&report))?;
        }
        if !report.passed() {
            verdict = Verdict::No;
        }
    }
    Ok(verdict)
}

fn text(report: &TestReport) -> String {
    let mut table = Table::new(&["TEST", "RESULT"], &[]);
    for test in &report.tests {
        table.row(vec![test.name.clone(), if test.failure.is_none() { "passed" } else { "FAILED" }.into()]);
    }
    let engine = report.engine.as_deref().unwrap_or("no engine: no test needs one");
    let mut text = format!("{} for {} in {engine}\n\n{}", report.image, report.architecture, table.render());
    for test in &report.tests {
        if let Some(failure) = &test.failure {
            text.push_str(&format!("\n{}: {}\n", test.name, output::printable(failure)));
        }
    }
    text
}
