//! Fetching: names of files and their digests in, blobs in the store out.
//!
//! A file is looked for in the store, then in the archive directories, then on each address of its mirror. What comes
//! over the network is written to a partial file as it comes, hashed on the way, and becomes a blob only when size and
//! digest are right. Broken connections and overloaded servers are tried again with growing pauses, from the byte
//! where they broke; an address that is wrong for good is given up at once for the next.

mod error;
pub(crate) mod http;
pub(crate) mod partial;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use calypte_base::Digest;

pub use error::{Failure, FetchError};
use http::Client;
use run::Run;

use crate::{Store, archive};

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Everything a [`Fetcher`] must be told.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// Base addresses of each mirror, by its name; asked in this order.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Directories that [`archive::export`] wrote; looked into before any mirror is asked.
    pub archives: Vec<PathBuf>,
    /// Never open a socket.
    pub offline: bool,
    /// Proxy for `http` addresses. It is asked to CONNECT, as for `https`: the HTTP library knows no other way.
    pub http_proxy: Option<String>,
    /// Proxy for `https` addresses.
    pub https_proxy: Option<String>,
    /// Hosts that are asked without a proxy: `example.com`, `.example.com` for all below, `*` for all.
    pub no_proxy: Vec<String>,
    /// PEM file of trusted certificates, in place of the system's.
    pub certificates: Option<PathBuf>,
    /// Longest time until a connection stands.
    pub connect_timeout: Duration,
    /// Longest time without a byte. (Also how long an interrupt may have to wait, if a mirror hangs just then.)
    pub stall_timeout: Duration,
    /// Attempts for each address.
    pub attempts: u32,
    /// Pause after the first failed attempt; each further one is twice as long.
    pub pause: Duration,
    /// Downloads at once.
    pub parallel: usize,
    /// How the client names itself.
    pub user_agent: String,
    /// Set by the caller when the user interrupts.
    pub interrupted: Arc<AtomicBool>,
}

impl Default for FetchSettings {
    /// No mirrors; timeouts and numbers that suit a public mirror.
    fn default() -> Self {
        Self {
            mirrors: BTreeMap::new(),
            archives: Vec::new(),
            offline: false,
            http_proxy: None,
            https_proxy: None,
            no_proxy: Vec::new(),
            certificates: None,
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            // With the pauses between them: a quarter of a minute, in which a mirror or a proxy may be restarted.
            attempts: 6,
            pause: Duration::from_millis(500),
            parallel: 8,
            user_agent: concat!("calypte/", env!("CARGO_PKG_VERSION")).to_owned(),
            interrupted: Arc::default(),
        }
    }
}

impl FetchSettings {
    /// An error once the user wants the work to stop.
    pub(crate) fn check_interrupt(&self) -> Result<(), FetchError> {
        if self.interrupted.load(Ordering::Relaxed) { Err(FetchError::Interrupted) } else { Ok(()) }
    }

    /// Waits before the attempt that follows so many failed ones; ends at once when `check` fails.
    pub(crate) fn wait_after<E>(&self, failed: u32, check: &dyn Fn() -> Result<(), E>) -> Result<(), E> {
        const SLICE: Duration = Duration::from_millis(50);
        let factor = 1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut left = self.pause.saturating_mul(factor).min(LONGEST_PAUSE);
        while !left.is_zero() {
            check()?;
            std::thread::sleep(left.min(SLICE));
            left = left.saturating_sub(SLICE);
        }
        Ok(())
    }
}

/// A file that is known before it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Download {
    /// The name of its mirror.
    pub mirror: String,
    /// Its path below the mirror's address, such as `pool/main/z/zlib/zlib1g_1.3_amd64.deb`.
    pub path: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// What it is, for people: `zlib1g 1:1.3 (amd64)`.
    pub what: String,
}

/// Is told how downloads go. Called from several threads.
pub trait Progress: Sync {
    /// So many files with so many bytes are to be fetched.
    fn started(&self, files: usize, bytes: u64);
    /// So many more bytes are there. The sum never exceeds what [`Progress::started`] announced.
    fn advanced(&self, bytes: u64);
    /// A file is whole and checked; its [`Download::what`].
    fn finished_one(&self, name: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _files: usize, _bytes: u64) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished_one(&self, _name: &str) {}
}

/// Brings files into a store. May be used from several threads.
pub struct Fetcher {
    store: Store,
    settings: FetchSettings,
    /// Made at the first use of the network: reading the certificates costs some milliseconds.
    client: OnceLock<Client>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fetcher").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Clone for Fetcher {
    /// The same settings; the connections are not shared.
    fn clone(&self) -> Self {
        Self::new(self.store.clone(), self.settings.clone())
    }
}

impl Fetcher {
    /// A fetcher into this store. Opens no connection yet.
    #[must_use]
    pub const fn new(store: Store, settings: FetchSettings) -> Self {
        Self { store, settings, client: OnceLock::new() }
    }

    /// The store that it fills.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Brings one file into the store, if it is not there.
    ///
    /// # Errors
    /// When no address gives it, the store cannot be written, or the user interrupts.
    pub fn fetch_blob(&self, download: &Download) -> Result<(), FetchError> {
        self.fetch_all(std::slice::from_ref(download), &Silent)
    }

    /// Brings files into the store, several at once; those that are there are left alone. A file that is there with
    /// another size counts as missing, and is replaced.
    ///
    /// # Errors
    /// The first failure; the other downloads are then stopped, and go on another time where they were.
    pub fn fetch_all(&self, downloads: &[Download], progress: &dyn Progress) -> Result<(), FetchError> {
        let mut seen = BTreeSet::new();
        let missing: Vec<&Download> = downloads
            .iter()
            .filter(|download| seen.insert(download.digest) && !self.is_there(download))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if self.settings.offline {
            let archived = |download: &Download| {
                self.settings.archives.iter().any(|directory| archive::has(directory, &download.digest))
            };
            let absent = missing.iter().filter(|download| !archived(download));
            let absent: Vec<String> = absent.map(|download| download.what.clone()).collect();
            if !absent.is_empty() {
                return Err(FetchError::Offline { missing: absent });
            }
        }
        progress.started(missing.len(), missing.iter().map(|download| download.size).sum());
        self.at_once(missing, &|run, download| {
            run.fetch_one(download, progress)?;
            progress.finished_one(&download.what);
            Ok(())
        })
    }

    /// Asks the mirrors whether they have files, several at once, and brings none: for what is in the store, and must be
    /// there for others too.
    ///
    /// # Errors
    /// When no address has one of them with its size, or the user interrupts.
    pub fn ask_for(&self, downloads: &[Download]) -> Result<(), FetchError> {
        if downloads.is_empty() {
            return Ok(());
        }
        if self.settings.offline {
            let missing = downloads.iter().map(|download| download.what.clone()).collect();
            return Err(FetchError::Offline { missing });
        }
        self.at_once(downloads.iter().collect(), &|run, download| run.ask_for(download))
    }

    /// Does something with several files at once; the first failure stops the others.
    fn at_once(
        &self,
        mut downloads: Vec<&Download>,
        work: &(dyn Fn(&Run<'_>, &Download) -> Result<(), FetchError> + Sync),
    ) -> Result<(), FetchError> {
        // The largest first, so that none of them is left alone at the end.
        downloads.sort_by_key(|download| std::cmp::Reverse(download.size));
        let run = Run::new(self);
        let next = AtomicUsize::new(0);
        let first_error = Mutex::new(None);
        let work = || {
            while let Some(download) = downloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                if run.is_stopped() {
                    return;
                }
                if let Err(error) = work(&run, download) {
                    // The flag goes up after the error is kept, so that those who stop for it do not come first.
                    first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    run.stop();
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.settings.parallel.min(downloads.len()) {
                scope.spawn(work);
            }
            work();
        });
        first_error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Fetches a file that changes in place, such as `InRelease`, into memory; past the caches on the way.
    ///
    /// # Errors
    /// As [`Fetcher::fetch_blob`], and when the file has more than `limit` bytes.
    pub fn fetch_small(&self, mirror: &str, path: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline { missing: vec![format!("{path} of {mirror}")] });
        }
        Run::new(self).fetch_small(mirror, path, limit, &[])
    }

    /// As [`Fetcher::fetch_small`], of a file that must have one of these digests: an address that gives another is
    /// passed over. The first of the digests is tried on all addresses before the second is asked for.
    ///
    /// # Errors
    /// As [`Fetcher::fetch_small`]; when no address gives any of them, with the first digest as the expected one.
    pub fn fetch_small_of(
        &self,
        mirror: &str,
        path: &str,
        limit: u64,
        digests: &[Digest],
    ) -> Result<Vec<u8>, FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline { missing: vec![format!("{path} of {mirror}")] });
        }
        Run::new(self).fetch_small(mirror, path, limit, digests)
    }

    /// Fetches a file of which neither digest nor size is known into the store; its digest. Nothing says that it is what
    /// its maker published, but for the encryption on the way.
    ///
    /// # Errors
    /// As [`Fetcher::fetch_small`].
    pub fn fetch_unnamed(&self, mirror: &str, path: &str, limit: u64) -> Result<Digest, FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline { missing: vec![format!("{path} of {mirror}")] });
        }
        Run::new(self).fetch_unnamed(mirror, path, limit)
    }

    /// The addresses that it knows of a mirror, in the order in which they are asked.
    #[must_use]
    pub fn addresses(&self, mirror: &str) -> &[String] {
        self.settings.mirrors.get(mirror).map_or(&[], Vec::as_slice)
    }

    /// The same, with these addresses asked before those that it knows of the mirror.
    #[must_use]
    pub fn with_addresses(&self, mirror: &str, addresses: &[String]) -> Self {
        let mut settings = self.settings.clone();
        let known = settings.mirrors.entry(mirror.to_owned()).or_default();
        let mut all = addresses.to_vec();
        all.extend(known.iter().filter(|address| !addresses.contains(address)).cloned());
        *known = all;
        Self::new(self.store.clone(), settings)
    }

    fn is_there(&self, download: &Download) -> bool {
        self.store.has_whole(&download.digest, download.size)
    }

    fn client(&self) -> Result<&Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = Client::new(&self.settings)?;
        Ok(self.client.get_or_init(|| made))
    }
}
