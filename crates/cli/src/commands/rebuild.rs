//! `calypte rebuild`: an image of a registry made again from its provenance alone.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_pipeline::rebuild::{
    Differences, FieldDifference, RebuildReport, RebuildSettings, RebuiltMachine, rebuild,
};
use calypte_store::Store;
use calypte_store::registry::{Reference, RegistrySettings};

use crate::Verdict;
use crate::output::{self, printable};
use crate::session::Session;

/// Options of `calypte rebuild`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Takes the provenance that is attached to the image, and from the registry the recipe that it names: \
definitions, lock, tables and programs, each by its digest. Neither the catalog nor the locks of this machine are looked at. \
Packages come from the store, from --archive, or from mirrors; the rest is made anew, whatever is in the store.\n\nWhere \
mirrors no longer have the packages, name one that does: --mirror \
debian=https://snapshot.debian.org/archive/debian/20260101T000000Z.\n\nThe last line is one word: identical or \
different.\n\nExit code 1: something else came out."
)]
pub struct Arguments {
    /// The image: [docker://]HOST[:PORT]/NAME[:TAG|@DIGEST]
    #[arg(value_name = "REF")]
    image: Reference,
    /// A public key (P-256, PEM) that must have signed the provenance; repeatable. Without any the provenance is taken
    /// unverified
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Of an image for several machines: this one alone [default: all]
    #[arg(long)]
    arch: Option<Architecture>,
    /// Ask a registry on this machine over http
    #[arg(long)]
    plain_http: bool,
}

/// Makes the image again, and prints what came of it.
///
/// # Errors
/// When it has no provenance that counts, or cannot be made again.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let settings = RebuildSettings {
        registry: RegistrySettings {
            network: session.network(),
            plain_http: arguments.plain_http,
            auth_files: session.auth_files()?,
        },
        keys: super::key::public_keys(&arguments.key)?,
        architecture: arguments.arch,
        store: Store::open(session.store_directory()?)?,
        mirrors: session.mirrors(),
        network: session.network(),
        overlay: session.overlay(),
        now: session.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reporter: &session.terminal,
        interrupted: Arc::clone(&session.interrupted),
    };
    let report = rebuild(&arguments.image, &settings)?;
    if session.is_json() {
        output::json("calypte.rebuild/1", &report)?;
    } else {
        output::print(&text(&report, &settings.version))?;
    }
    Ok(if report.identical { Verdict::Yes } else { Verdict::No })
}

const fn word(identical: bool) -> &'static str {
    if identical { "identical" } else { "different" }
}

fn text(report: &RebuildReport, version: &str) -> String {
    let mut text = String::new();
    for machine in &report.machines {
        text.push_str(&of_machine(machine, version));
    }
    if let Some(index) = &report.index {
        text.push_str(&format!("index: {}\n", word(index.published == index.rebuilt)));
        if index.published != index.rebuilt {
            text.push_str(&format!("  published {}\n  rebuilt   {}\n", index.published, index.rebuilt));
        }
        // What machines differ in is told above.
        let is_own = |field: &&FieldDifference| !field.field.starts_with("/manifests/");
        text.push_str(&fields("index", index.fields.iter().filter(is_own)));
    }
    text.push_str(&format!("{} ({})\n{}\n", report.reference, report.digest, word(report.identical)));
    text
}

fn of_machine(machine: &RebuiltMachine, version: &str) -> String {
    let identical = machine.differences.is_none();
    let (image, universe) = (printable(&machine.image), printable(&machine.universe));
    let mut text = format!("{}: {} ({image} in {universe})\n", machine.architecture, word(identical));
    text.push_str(&match &machine.provenance.key {
        Some(key) => format!("  provenance signed by {}\n", printable(key)),
        None => "  provenance NOT VERIFIED: no key was named, anybody may have written it\n".to_owned(),
    });
    match machine.provenance.others {
        0 => {}
        1 => text.push_str("  another provenance was not followed\n"),
        others => text.push_str(&format!("  {others} other provenances were not followed\n")),
    }
    text.push_str(&format!("  published {}\n  rebuilt   {}\n", machine.published, machine.rebuilt));
    if let Some(differences) = &machine.differences {
        text.push_str(&of_differences(differences));
        if !machine.tool.same {
            text.push_str(&format!(
                "  the published image is of calypte {} with other sources than this calypte {version}: that may be why\n",
                printable(&machine.tool.version),
            ));
        }
    }
    text
}

fn of_differences(differences: &Differences) -> String {
    let mut text = String::new();
    let none = || "none".to_owned();
    for layer in &differences.layers {
        let number = layer.number.map_or_else(|| "layer –".to_owned(), |number| format!("layer {number}"));
        let name = layer.name.as_deref().map_or_else(String::new, |name| format!(" ({})", printable(name)));
        let digest = |digest: Option<calypte_base::Digest>| digest.map_or_else(none, |one| one.to_string());
        text.push_str(&format!(
            "  {number}{name}\n    published {}\n    rebuilt   {}\n",
            digest(layer.published),
            digest(layer.rebuilt)
        ));
    }
    for file in &differences.files {
        let what: Vec<&str> = file.what.iter().map(|what| what.words()).collect();
        let layer = file.layer.map_or_else(String::new, |layer| format!(" (layer {layer})"));
        text.push_str(&format!("  {}: {}{layer}\n", printable(&file.path.to_string()), what.join(", ")));
    }
    if differences.further_files > 0 {
        text.push_str(&format!("  and {} further paths\n", differences.further_files));
    }
    text.push_str(&fields("config", differences.config.iter()));
    text.push_str(&fields("manifest", differences.manifest.iter()));
    if let Some(unread) = &differences.unread {
        text.push_str(&format!("  the published image cannot be looked into: {}\n", printable(unread)));
    } else if differences.files.is_empty() && !differences.layers.is_empty() {
        text.push_str("  a container would see the same files: their order or compression differs\n");
    }
    text
}

fn fields<'a>(of: &str, fields: impl Iterator<Item = &'a FieldDifference>) -> String {
    let shown = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), printable);
    fields
        .map(|one| {
            let (published, rebuilt) = (shown(&one.published), shown(&one.rebuilt));
            format!("  {of} {}: published {published}, rebuilt {rebuilt}\n", printable(&one.field))
        })
        .collect()
}
