//! `calypte verify`: who signed an image in a registry, and what is said of it.

use std::path::PathBuf;

use anyhow::Result;
use calypte_pipeline::verify::{Verified, verify};
use calypte_store::registry::{Reference, RegistrySettings};

use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Looks at the index and at each machine's image: each must be signed by one of the keys, and whatever \
else is attached as a sigstore bundle must be signed by one of them and be about this image. There is no transparency log: a \
key is trusted because it is named here.\n\nExit code 1: something is not signed, or a statement does not count."
)]
pub struct Arguments {
    /// The image: [docker://]HOST[:PORT]/NAME[:TAG|@DIGEST]
    #[arg(value_name = "REF")]
    image: Reference,
    /// A public key (P-256, PEM) that is trusted; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Ask a registry on this machine over http
    #[arg(long)]
    plain_http: bool,
}

/// Prints what counts and what does not.
///
/// # Errors
/// When the registry does not give the image, or a key cannot be read.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let keys = super::key::public_keys(&arguments.key)?;
    let settings = RegistrySettings {
        network: session.network(),
        plain_http: arguments.plain_http,
        auth_files: session.auth_files()?,
    };
    let verified = verify(&arguments.image, settings, &keys)?;
    if session.is_json() {
        output::json("calypte.verify/1", &verified)?;
    } else {
        output::print(&text(&verified))?;
    }
    Ok(if verified.is_good() { Verdict::Yes } else { Verdict::No })
}

fn text(verified: &Verified) -> String {
    let mut table = Table::new(&["MANIFEST", "OF", "STATEMENT", "SIGNED BY"], &[]);
    for manifest in &verified.manifests {
        let digest: String = manifest.digest.to_string().chars().take(19).collect();
        let of = manifest.platform.as_deref().unwrap_or("all");
        for statement in &manifest.statements {
            let by = match (&statement.key, &statement.problem) {
                (Some(key), _) => key.clone(),
                (None, problem) => format!("DOES NOT COUNT: {}", problem.as_deref().unwrap_or_default()),
            };
            let kind = output::printable(&statement.predicate_type);
            table.row(vec![digest.clone(), of.to_owned(), kind, output::printable(&by)]);
        }
        if !manifest.signed {
            table.row(vec![digest, of.to_owned(), "NO SIGNATURE THAT COUNTS".to_owned(), String::new()]);
        }
    }
    let verdict = if verified.is_good() { "is signed" } else { "is NOT to be trusted" };
    format!("{}\n{} ({}) {verdict}\n", table.render(), verified.reference, verified.digest)
}
