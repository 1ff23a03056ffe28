//! `calypte sign`: a signature for an image in a layout or in a registry.

use std::path::PathBuf;

use anyhow::Result;
use calypte_base::Digest;
use calypte_pipeline::sign::{SignTarget, sign_in_layout, sign_in_registry};
use calypte_store::Store;
use calypte_store::registry::RegistrySettings;
use serde::Serialize;

use crate::Verdict;
use crate::output;
use crate::session::Session;

/// Options of `calypte sign`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Signs the index and each machine's image in it. `calypte push --key` does this and says more: what the \
image is made of, what is in it. This is for images that were built elsewhere, or before there was a key, and for layouts \
from which hosts are installed."
)]
pub struct Arguments {
    /// The image: oci:DIR[:TAG], or [docker://]HOST[:PORT]/NAME[:TAG|@DIGEST]
    #[arg(value_name = "REF", value_parser = |text: &str| SignTarget::parse(text).map_err(|error| error.to_string()))]
    image: SignTarget,
    /// The private key (P-256, PEM) that `calypte key` made
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Ask a registry on this machine over http
    #[arg(long)]
    plain_http: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    signed: Vec<Digest>,
}

/// Signs, and prints what.
///
/// # Errors
/// When the image is not there, or the signature cannot be put beside it.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let key = super::key::signing_key(&arguments.key)?;
    let signed = match &arguments.image {
        SignTarget::Layout { directory, tag } => sign_in_layout(directory, tag.as_deref(), &key)?,
        SignTarget::Registry(reference) => {
            let settings = RegistrySettings {
                network: session.network(),
                plain_http: arguments.plain_http,
                auth_files: session.auth_files()?,
            };
            let store = Store::open(session.store_directory()?)?;
            sign_in_registry(reference, settings, &store, &key)?
        }
    };
    if session.is_json() {
        output::json("calypte.sign/1", &Report { signed })?;
    } else {
        let lines = signed.iter().map(|digest| format!("signed {digest}\n"));
        output::print(&lines.collect::<String>())?;
    }
    Ok(Verdict::Yes)
}
