//! `calypte vex`: what is known of the flaws of images, as documents that scanners read.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use calypte_pipeline::Reporter as _;
use calypte_pipeline::advisories::database;
use calypte_pipeline::scan::Knowledge;
use calypte_pipeline::vex::{Changed, Publisher, VexPublished, VexRequest};
use calypte_sbom::write::Tool;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::memory;
use crate::output::{self, Table};
use crate::session::Session;

/// With what identifiers of documents begin that are published nowhere in particular, as other tools have it.
pub(super) const NAMESPACE: &str = "https://openvex.dev/docs/public";

/// Memory that is set aside for each image that is assembled, as by `calypte build --all`.
const MEMORY_OF_AN_IMAGE: u64 = 512 * 1024 * 1024;

/// Options of `calypte vex`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Of one image: an OpenVEX document. Each flaw in each package has one statement: what was reviewed \
(catalog/vex), what is proved (by changelogs, versions, absent files), and `affected` with what to do where neither takes \
a finding away.\n\nWith --all, a directory that is replaced as a whole, where something changed:\n  \
openvex/sha256/DIGEST.json  OpenVEX of each image\n  csaf/                       CSAF 2.0 of each flaw, as a provider \
publishes it\n  repository/                 a VEX repository, and repository.tar.gz, which scanners download\n  \
osv/PACKAGE/ID.json         OSV of each flaw in each source package, also without a fix\n  index.json                  \
the images and their documents\n\nDocuments that say what they said before keep their times. Nothing is published where \
an image cannot be built."
)]
pub struct Arguments {
    /// The image: FAMILY[:STREAM][-VARIANT]
    #[arg(required_unless_present = "all")]
    image: Option<String>,
    /// Publish what is known of every image that the universe has
    #[arg(long, conflicts_with = "image", requires_all = ["output", "namespace"])]
    all: bool,
    /// The universe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// The architecture [default: this machine's]; with --all repeatable [default: all that the locks have]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    arch: Vec<Architecture>,
    /// Who answers for the documents
    #[arg(long, value_name = "NAME", default_value = "Calypte")]
    author: String,
    /// The address with which identifiers begin; with --all, that of the published directory
    #[arg(long, value_name = "URL", value_parser = address)]
    namespace: Option<String>,
    /// Where the image is published (ghcr.io/a/nginx); with --all, what families' names follow (ghcr.io/a)
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Write to this file instead of standard output; with --all, the directory
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

/// An address without a slash at the end.
fn address(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    if host.trim_matches('/').is_empty() || text.contains(char::is_whitespace) {
        return Err("write it as https://HOST/PATH".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Arguments {
    fn publisher(&self) -> Publisher {
        Publisher {
            name: self.author.clone(),
            namespace: self.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned()),
            tool: Tool {
                name: "calypte".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                organization: self.author.clone(),
            },
            repositories: self.repository.as_ref().map(|text| text.trim_end_matches('/').to_owned()),
        }
    }
}

/// Writes the documents.
///
/// # Errors
/// When an image cannot be built, no advisories were ever read, or something cannot be written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let database = database(factory.store())?;
    let knowledge = Knowledge::read(session.catalog().ok().as_ref(), &[], &[])?;
    let publisher = arguments.publisher();
    if let Some(image) = &arguments.image {
        let architecture = match arguments.arch.as_slice() {
            [] => super::native_architecture(),
            [one] => *one,
            _ => bail!("an image for one architecture has one document\nhint: name one, or use --all"),
        };
        let id = factory.image_id(image, &arguments.universe)?;
        let repository = publisher.repositories.as_deref();
        let vex = factory.vex(&id, &arguments.universe, architecture, &database, &knowledge, repository)?;
        warn(session, &vex.unknown);
        let document = publisher.openvex(&vex.decided);
        match &arguments.output {
            Some(file) => write(file, &document)?,
            None => output::print(&String::from_utf8_lossy(&document))?,
        }
        return Ok(Verdict::Yes);
    }
    let Some(output) = arguments.output.clone() else { bail!("--all needs a directory (--output)") };
    let request = VexRequest {
        universe: arguments.universe.clone(),
        architectures: arguments.arch.clone(),
        output,
        publisher,
        at_once: memory::at_once(session.global.jobs, MEMORY_OF_AN_IMAGE),
    };
    let published = factory.publish_vex(&request, &database, &knowledge)?;
    warn(session, &published.unknown);
    if session.is_json() {
        output::json("calypte.vex-all/1", &published)?;
    } else {
        output::print(&text(&published))?;
    }
    Ok(Verdict::Yes)
}

/// Where feeds are missing, flaws may be that no statement is about.
fn warn(session: &Session, unknown: &[String]) {
    for reason in unknown {
        session.terminal.warn(&format!("not all flaws may be known: {reason}"));
    }
}

/// Whole or not at all.
fn write(file: &Path, document: &[u8]) -> Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut staged =
        tempfile::NamedTempFile::new_in(directory).with_context(|| file.display().to_string())?;
    staged.write_all(document)?;
    // A temporary file is its maker's alone; a document is for everyone to read.
    fs_err::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    staged.persist(file).with_context(|| file.display().to_string())?;
    Ok(())
}

fn text(published: &VexPublished) -> String {
    let titles = ["IMAGE", "ARCH", "AFFECTED", "LOOKED INTO", "NOT AFFECTED", "FIXED", "DIGEST"];
    let mut table = Table::new(&titles, &[2, 3, 4, 5]);
    for one in &published.images {
        let count = |status: &str| one.statements.get(status).copied().unwrap_or_default().to_string();
        table.row(vec![
            one.image.clone(),
            one.architecture.to_string(),
            count("affected"),
            count("under_investigation"),
            count("not_affected"),
            count("fixed"),
            one.digest.to_string(),
        ]);
    }
    let state = if published.written { "written to" } else { "nothing changed in" };
    format!(
        "{}\n{state} {}\nCSAF: {}\nOSV:  {}\n",
        table.render(),
        published.output.display(),
        changes(published.csaf),
        changes(published.osv)
    )
}

fn changes(changed: Changed) -> String {
    let Changed { added, changed, removed, unchanged } = changed;
    format!("{added} new, {changed} changed, {removed} gone, {unchanged} as they were")
}
