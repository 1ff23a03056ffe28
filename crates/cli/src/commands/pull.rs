//! `calypte pull`: an image of a registry, to layouts.

use anyhow::Result;
use calypte_image::Output;
use calypte_pipeline::pull::{Local, PullSettings, Pulled, Way, pull};
use calypte_store::Store;
use calypte_store::registry::{Reference, RegistrySettings};
use serde::Serialize;

use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte pull`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Of layers with a table of contents (zstd:chunked) only the parts are fetched that no image \
named with --from has, nor the one that was pulled last from the same repository. The image is written byte for byte: \
its digest stays. A pull that was interrupted goes on where it stopped. As many requests run at once as --jobs says (8 where it says \
nothing).\n\nLogins are those of podman and docker."
)]
pub struct Arguments {
    /// The image: [docker://]HOST[:PORT]/NAME[:TAG|@DIGEST]
    #[arg(value_name = "REF")]
    image: Reference,
    /// Where to: oci:DIR[:TAG] or oci-archive:FILE[:TAG]; repeatable
    #[arg(short, long, value_name = "OUTPUT", required = true)]
    output: Vec<Output>,
    /// Do not fetch what is in this image: oci:DIR[:TAG]; repeatable
    #[arg(long, value_name = "LAYOUT")]
    from: Vec<Local>,
    /// Ask a registry on this machine over http
    #[arg(long)]
    plain_http: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    pulled: &'a Pulled,
    outputs: Vec<String>,
}

/// Pulls, and prints what came from where.
///
/// # Errors
/// When the registry does not give the image, what it gives is wrong, or an output cannot be written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let mut network = session.network();
    if let Some(jobs) = session.global.jobs {
        network.parallel = jobs.max(1);
    }
    let store = Store::open(session.store_directory()?)?;
    let settings = PullSettings {
        store: &store,
        registry: RegistrySettings {
            network,
            plain_http: arguments.plain_http,
            auth_files: session.auth_files()?,
        },
        from: arguments.from.clone(),
        reporter: &session.terminal,
    };
    let pulled = pull(&arguments.image, &arguments.output, &settings)?;
    let outputs: Vec<String> = arguments.output.iter().map(ToString::to_string).collect();
    if session.is_json() {
        output::json("calypte.pull/1", &Report { pulled: &pulled, outputs })?;
    } else {
        output::print(&text(&pulled, &outputs))?;
    }
    Ok(Verdict::Yes)
}

fn text(pulled: &Pulled, outputs: &[String]) -> String {
    let mut table = Table::new(&["BLOB", "SIZE", "FETCHED", "LOCAL", "MADE", "HOW"], &[1, 2, 3, 4]);
    for blob in &pulled.blobs {
        let way = match blob.way {
            Way::Local => "local",
            Way::Whole => "whole",
            Way::Parts => "in parts",
        };
        table.row(vec![
            blob.digest.to_string(),
            output::bytes(blob.size),
            output::bytes(blob.fetched),
            output::bytes(blob.local),
            output::bytes(blob.made),
            way.to_owned(),
        ]);
    }
    let mut text = table.render();
    let word = if pulled.requests == 1 { "request" } else { "requests" };
    text.push_str(&format!(
        "\n{} is {}\n{} fetched in {} {word}, {} were local\n",
        pulled.reference,
        pulled.digest,
        output::bytes(pulled.fetched),
        pulled.requests,
        output::bytes(pulled.local),
    ));
    for output in outputs {
        text.push_str(&format!("written to {output}\n"));
    }
    text
}
