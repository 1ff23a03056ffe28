//! `calypte serve`: a registry over the store, and the pages about it.

mod gather;
mod refresh;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_catalog::registry::Registry;
use calypte_catalog::server::{Access, Limits, Service};
use calypte_catalog::site::Site;
use calypte_pipeline::publish::Target;
use calypte_store::Store;
use calypte_store::registry::RegistrySettings;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output;
use crate::session::Session;
use gather::{Gatherer, Shown};

/// Where it listens unless told otherwise.
pub const ADDRESS: &str = "127.0.0.1:5080";

/// Largest blob that is taken: 32 GiB.
const LARGEST_BLOB: u64 = 32 << 30;

/// Options of `calypte serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Anyone who reaches the address may pull. Pushing needs the write token, as the password of any \
user: `podman login --username ci --password-stdin`. The token is made at the first start, in a file of the store that \
only its owner can read.\n\nA browser sees the catalog at the same address: images, what is in them, known flaws, and \
the same as JSON below /api/v1/. Bills of materials and scans of images that the catalog defines are made beside serving, \
without network; of others is shown what was attached to them.\n\nIt speaks plain http: podman needs --tls-verify=false for it, docker does not where the \
registry is on the same machine. For other machines put a server that speaks https in front of it."
)]
pub struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = ADDRESS)]
    listen: SocketAddr,
    /// The file with the write token [default: one in the store]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The universe whose images are described
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Also serve the documents that `calypte vex --all` wrote to this directory: CSAF, OSV, OpenVEX
    #[arg(long, value_name = "DIR")]
    documents: Option<PathBuf>,
    /// Whom to tell of flaws, for /.well-known/security.txt: mailto:, https:// or tel:; may be given again
    #[arg(long, value_name = "ADDRESS", value_parser = contact)]
    security_contact: Vec<String>,
}

fn contact(text: &str) -> Result<String, &'static str> {
    let is_sound = calypte_catalog::site::is_contact(text);
    is_sound.then(|| text.to_owned()).ok_or("not an address that begins with mailto:, https:// or tel:")
}

/// Serves until it is interrupted.
///
/// # Errors
/// When the address is taken, or the store cannot be used.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let mut server = Server::new(session, arguments.listen, arguments.token_file.as_deref())?;
    server.universe.clone_from(&arguments.universe);
    server.documents.clone_from(&arguments.documents);
    server.contacts.clone_from(&arguments.security_contact);
    let address = server.address;
    output::print(&format!(
        "Serving http://{address}; the write token is in {}. Stop it with Ctrl-C.\n",
        server.token_file.display()
    ))?;
    server.run(session)?;
    Ok(Verdict::Yes)
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    service: Service,
    listener: TcpListener,
    shown: Shown,
    /// The universe whose images are described.
    pub universe: String,
    /// A directory that `calypte vex --all` wrote.
    pub documents: Option<PathBuf>,
    /// Whom to tell of flaws.
    pub contacts: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the write token is kept.
    pub token_file: PathBuf,
    /// What lets write.
    pub token: String,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// When the address is taken, or the store or the token cannot be used.
    pub fn new(session: &Session, listen: SocketAddr, token_file: Option<&Path>) -> Result<Self> {
        let directory = session.store_directory()?;
        let root = directory.join("registry");
        fs_err::create_dir_all(&root)?;
        let token_file = token_file.map_or_else(|| root.join("token"), Path::to_owned);
        let token = token(&token_file)?;
        let listener = TcpListener::bind(listen).with_context(|| {
            format!("cannot listen on {listen}\nhint: another program may listen there; name another address with --listen")
        })?;
        let address = listener.local_addr()?;
        let registry = registry(&directory)?;
        let access = Access::new(Some(token.clone()));
        let shown = Shown::default();
        let service = Service::new(registry, access, Limits::default(), Box::new(crate::failure::line));
        let service = service.with_site(Site::new(Box::new(shown.clone())));
        let universe = DEFAULT_UNIVERSE.to_owned();
        Ok(Self {
            service,
            listener,
            shown,
            universe,
            documents: None,
            contacts: Vec::new(),
            address,
            token_file,
            token,
        })
    }

    /// This server as what images are published to.
    #[must_use]
    pub fn target(&self, session: &Session) -> Target {
        let host = format!("localhost:{}", self.address.port());
        let login = STANDARD.encode(format!("calypte:{}", self.token));
        let file = serde_json::json!({ "auths": { &host: { "auth": login } } });
        let settings = RegistrySettings {
            network: session.network(),
            plain_http: true,
            auth_files: vec![file.to_string().into_bytes()],
        };
        Target { prefix: host, settings, evidence: None, same_store: true }
    }

    /// Answers until the user interrupts.
    ///
    /// # Errors
    /// When the listener fails.
    pub fn run(self, session: &Session) -> Result<()> {
        let interrupted = std::sync::Arc::clone(&session.interrupted);
        let gatherer = Gatherer {
            session,
            registry: registry(&session.store_directory()?)?,
            universe: self.universe,
            documents: self.documents,
            contacts: self.contacts,
            shown: self.shown,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| gatherer.run());
            let served = self
                .service
                .run(self.listener, move || interrupted.load(std::sync::atomic::Ordering::Relaxed));
            // A server that failed takes what goes on beside it along.
            session.interrupted.store(true, std::sync::atomic::Ordering::Relaxed);
            served.context("the server ended")
        })
    }
}

/// The registry over a store.
///
/// # Errors
/// When the store cannot be opened.
pub fn registry(directory: &Path) -> Result<Registry> {
    let root = directory.join("registry/repositories");
    Ok(Registry::new(Store::open(directory)?, root, LARGEST_BLOB))
}

/// The token of a file, which is made where it is not there.
fn token(path: &Path) -> Result<String> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Ok(text) = fs_err::read_to_string(path) {
        let token = text.trim().to_owned();
        anyhow::ensure!(
            token.len() >= 16,
            "{} holds no token of at least 16 characters\nhint: remove it, and one is made",
            path.display()
        );
        return Ok(token);
    }
    let token = calypte_catalog::new_token()?;
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    writeln!(file, "{token}")?;
    Ok(token)
}
