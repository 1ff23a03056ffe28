//! Turns what was typed into what the commands work with: the one place that knows clock, environment and defaults.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use calypte_base::Epoch;
use calypte_image::LayerCompression;
use calypte_pipeline::{CatalogDirectory, Factory, FactorySettings, Reporter};
use calypte_store::{FetchSettings, Store};

use crate::arguments::Global;
use crate::environment;
use crate::mirrors;
use crate::output::Format;
use crate::progress::Terminal;

/// What every command is given.
#[derive(Debug)]
pub struct Session {
    /// The options of every command.
    pub global: Global,
    /// Shows progress.
    pub terminal: Terminal,
    /// Set when the user interrupts.
    pub interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Sets up colour, threads, progress and the interrupt signal.
    ///
    /// # Errors
    /// When an option names something that is not there.
    pub fn new(global: Global) -> Result<Self> {
        global.color.apply();
        if let Some(jobs) = global.jobs {
            calypte_pipeline::use_threads(jobs)?;
        }
        let terminal = Terminal::new(global.quiet, global.progress_fd)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The first signal asks; a second one, should the program not come to a stop, ends it at once.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                crate::INTERRUPTED.into(),
                Arc::clone(&interrupted),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self { global, terminal, interrupted })
    }

    /// Whether JSON is wanted.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.global.format == Format::Json
    }

    /// Whether the user has interrupted the work.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// The catalog.
    ///
    /// # Errors
    /// When there is none.
    pub fn catalog(&self) -> Result<CatalogDirectory> {
        let given = self.global.catalog.clone().or_else(|| environment::CATALOG.path());
        CatalogDirectory::open(given.unwrap_or_else(|| "catalog".into()))
    }

    /// The store's directory.
    ///
    /// # Errors
    /// When neither an option nor the environment tells.
    pub fn store_directory(&self) -> Result<PathBuf> {
        let home = || environment::HOME.path().map(|home| home.join(".cache"));
        let cache = || environment::XDG_CACHE_HOME.path().or_else(home).map(|cache| cache.join("calypte"));
        self.global.store.clone().or_else(|| environment::STORE.path()).or_else(cache).context(
            "no directory for the store\nhint: set HOME or XDG_CACHE_HOME, or name a directory with --store",
        )
    }

    /// The time that images are given, if the environment says so.
    ///
    /// # Errors
    /// When `SOURCE_DATE_EPOCH` is no number of seconds.
    pub fn source_date_epoch(&self) -> Result<Option<Epoch>> {
        let given = environment::SOURCE_DATE_EPOCH.text();
        given.map(|text| text.parse().with_context(|| environment::SOURCE_DATE_EPOCH.name)).transpose()
    }

    /// How layers are compressed where no option says it.
    ///
    /// # Errors
    /// When the environment names no compression.
    fn compression(&self) -> Result<LayerCompression> {
        let given = environment::COMPRESSION.text();
        let given =
            given.map(|text| text.parse().with_context(|| environment::COMPRESSION.name)).transpose()?;
        Ok(given.unwrap_or_default())
    }

    /// How to use the network.
    #[must_use]
    pub fn network(&self) -> FetchSettings {
        let no_proxy = environment::NO_PROXY.text().unwrap_or_default();
        FetchSettings {
            archives: self.global.archive.clone(),
            offline: self.global.offline,
            http_proxy: environment::HTTP_PROXY.text(),
            https_proxy: environment::HTTPS_PROXY.text(),
            no_proxy: no_proxy.split(',').map(|host| host.trim().to_owned()).collect(),
            certificates: environment::SSL_CERT_FILE.path(),
            stall_timeout: Duration::from_secs(self.global.timeout.max(1)),
            interrupted: Arc::clone(&self.interrupted),
            ..FetchSettings::default()
        }
    }

    /// The files in which podman and docker keep the user's logins, as containers-auth.json(5) lists them; those that
    /// are there.
    ///
    /// # Errors
    /// When the file that `REGISTRY_AUTH_FILE` names cannot be read.
    pub fn auth_files(&self) -> Result<Vec<Vec<u8>>> {
        if let Some(path) = environment::REGISTRY_AUTH_FILE.path() {
            return Ok(vec![fs_err::read(path).context(environment::REGISTRY_AUTH_FILE.name)?]);
        }
        let home = environment::HOME.path();
        let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let files = [
            environment::XDG_RUNTIME_DIR.path().map(|directory| directory.join("containers/auth.json")),
            environment::XDG_CONFIG_HOME
                .path()
                .or_else(|| below_home(".config"))
                .map(|directory| directory.join("containers/auth.json")),
            environment::DOCKER_CONFIG
                .path()
                .or_else(|| below_home(".docker"))
                .map(|directory| directory.join("config.json")),
        ];
        Ok(files.into_iter().flatten().filter_map(|file| fs_err::read(file).ok()).collect())
    }

    /// The time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(&self) -> Epoch {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Epoch(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
    }

    /// The factory over catalog and store.
    ///
    /// # Errors
    /// When the catalog has mistakes, or the store cannot be opened.
    pub fn factory(&self) -> Result<Factory<'_>> {
        self.factory_of(self.network(), &self.terminal)
    }

    /// A factory that says nothing and never touches the network: for what goes on beside other work.
    ///
    /// # Errors
    /// As [`Session::factory`].
    pub fn quiet_factory<'a>(&self, reporter: &'a dyn Reporter) -> Result<Factory<'a>> {
        self.factory_of(FetchSettings { offline: true, ..self.network() }, reporter)
    }

    /// The mirrors that are given, and those of this machine.
    #[must_use]
    pub fn mirrors(&self) -> mirrors::Mirrors {
        let mut mirrors = mirrors::of_system(std::path::Path::new("/etc/apt"));
        let mut given = mirrors::Mirrors::new();
        for (name, url) in &self.global.mirror {
            given.entry(name.clone()).or_default().push(url.clone());
        }
        mirrors.extend(given);
        mirrors
    }

    /// The directory with packages of one's own.
    #[must_use]
    pub fn overlay(&self) -> Option<PathBuf> {
        self.global.overlay.clone().or_else(|| environment::OVERLAY.path())
    }

    fn factory_of<'a>(&self, network: FetchSettings, reporter: &'a dyn Reporter) -> Result<Factory<'a>> {
        Factory::new(FactorySettings {
            catalog: self.catalog()?,
            store: Store::open(self.store_directory()?)?,
            mirrors: self.mirrors(),
            network,
            overlay: self.overlay(),
            now: self.now(),
            source_date_epoch: self.source_date_epoch()?,
            compression: self.compression()?,
            reporter,
            interrupted: Arc::clone(&self.interrupted),
        })
    }
}
