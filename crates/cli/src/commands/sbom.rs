//! `calypte sbom`: what is in an image, as a table or as a document for other tools.

use std::path::PathBuf;

use anyhow::Result;
use calypte_pipeline::Reporter as _;
use calypte_sbom::write::{Tool, cyclonedx16, spdx23, spdx301};
use calypte_sbom::{Component, FileOwner, Sbom};

use super::subject::{FORMS, SubjectArguments};
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte sbom`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = format!("{FORMS}\n\nOf an image of the catalog everything is known; of others, what their package \
databases and their files tell. Documents hold no vulnerability data, and the same image gives the same bytes."),
    after_help = FORMS
)]
pub struct Arguments {
    #[command(flatten)]
    subject: SubjectArguments,
    /// Write a document of this standard instead of a table
    #[arg(long = "as", value_enum, value_name = "STANDARD")]
    standard: Option<Standard>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", requires = "standard")]
    output: Option<PathBuf>,
    /// The organisation that answers for the document
    #[arg(long, value_name = "NAME", default_value = "Calypte")]
    creator: String,
}

/// The standards of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Standard {
    /// SPDX 2.3, JSON
    #[value(name = "spdx-2.3", alias = "spdx")]
    Spdx23,
    /// SPDX 3.0.1, JSON-LD
    #[value(name = "spdx-3.0.1", alias = "spdx3")]
    Spdx301,
    /// CycloneDX 1.6, JSON
    #[value(name = "cyclonedx-1.6", alias = "cyclonedx")]
    CycloneDx16,
}

impl Standard {
    /// The document.
    #[must_use]
    pub fn write(self, sbom: &Sbom, organization: &str) -> Vec<u8> {
        let tool = Tool {
            name: "calypte".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            organization: organization.to_owned(),
        };
        match self {
            Self::Spdx23 => spdx23(sbom, &tool),
            Self::Spdx301 => spdx301(sbom, &tool),
            Self::CycloneDx16 => cyclonedx16(sbom, &tool),
        }
    }
}

/// Prints what is in it.
///
/// # Errors
/// When the image cannot be built, or the file cannot be written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let bill = arguments.subject.bill(session, arguments.standard.is_some())?;
    for gap in &bill.gaps {
        session.terminal.warn(gap);
    }
    let sbom = bill.sbom;
    match (arguments.standard, &arguments.output) {
        (Some(standard), Some(file)) => fs_err::write(file, standard.write(&sbom, &arguments.creator))?,
        (Some(standard), None) => {
            output::print(&String::from_utf8_lossy(&standard.write(&sbom, &arguments.creator)))?;
        }
        (None, _) if session.is_json() => output::json("calypte.sbom/1", &sbom)?,
        (None, _) => output::print(&text(&sbom))?,
    }
    Ok(Verdict::Yes)
}

fn text(sbom: &Sbom) -> String {
    let mut table = Table::new(&["PACKAGE", "VERSION", "KIND", "SOURCE", "LICENCE"], &[]);
    for component in sbom.components.values() {
        table.row(vec![
            output::printable(&component.name),
            output::printable(&component.version),
            component.kind.to_string(),
            component
                .source
                .as_ref()
                .map_or_else(|| "-".to_owned(), |source| output::printable(&source.name)),
            licence(component),
        ]);
    }
    let generated =
        sbom.files.values().filter(|file| matches!(file.owner, FileOwner::Generated { .. })).count();
    let system = sbom.distribution.as_ref().and_then(|distribution| distribution.title.as_deref());
    format!(
        "{}: {}, {} packages, {} files ({generated} generated)\n\n{}",
        sbom.subject.name,
        output::printable(system.unwrap_or("no distribution")),
        sbom.components.len(),
        sbom.files.len(),
        table.render()
    )
}

/// The licence, cut where it would push all else off the line.
fn licence(component: &Component) -> String {
    const MOST: usize = 40;
    let text = component.licences.declared.as_deref().or(component.licences.concluded.as_deref());
    let text = output::printable(text.unwrap_or("-"));
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}
