//! `calypte advisories`: feeds → the database of advisories, each feed whole or not at all.
//!
//! A feed is fetched into the store, and read only when its bytes are others than those that were read last. One that cannot
//! be had or read leaves what the database has of it; the others go on.

mod own;
mod sources;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use calypte_advisory::Advisory;
use calypte_advisory::database::{Database, Imported, Source as Feeding};
use calypte_advisory::feeds::{self, Feed, Sink, SinkError};
use calypte_advisory::finding::Exploited;
use calypte_base::{Digest, Epoch, Hasher};
use calypte_store::{FetchSettings, Fetcher, Store};
use serde::Serialize;

use crate::factory::Factory;
use crate::hints::hinted;
use sources::Source;

/// With what the names of the archives' own changelogs begin; the universe's name follows.
pub const CHANGELOG: &str = "changelog-";

/// Likewise of the advisories that RPM repositories publish beside their packages.
pub const UPDATEINFO: &str = "updateinfo-";

/// The database's file below the store.
const FILE: &str = "advisories.sqlite";

/// Raised when a reader of feeds reads more or otherwise than before: then every feed is read again.
const READERS: u32 = 1;

/// Days for which what a universe's own archive says is fresh.
const OWN_MAX_AGE_DAYS: u32 = 3;

/// Most bytes of a feed: Red Hat's archive, the largest, has some hundred megabytes.
const MOST_BYTES: u64 = 2 << 30;

/// Most bytes of a file that names the archive beside it.
const MOST_NAME_BYTES: u64 = 1024;

/// What names the newest archive, which lies beside it.
const LATEST: &str = "archive_latest.txt";

/// Where the database of a store lies.
#[must_use]
pub fn database_path(store: &Store) -> PathBuf {
    store.root().join(FILE)
}

/// The database of a store, to be read.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn database(store: &Store) -> Result<Database> {
    let path = database_path(store);
    if !path.exists() {
        return Err(hinted("no advisories were ever read", "run `calypte advisories update`"));
    }
    Ok(Database::open_read_only(&path)?)
}

/// A feed that lies in a file: `NAME:FORM=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFeed {
    /// What it is called in results.
    pub name: String,
    /// The form of its documents.
    pub feed: Feed,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for LocalFeed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, path) = text.split_once('=').ok_or("write it as NAME:FORM=FILE")?;
        let (name, feed) = head.split_once(':').ok_or("write it as NAME:FORM=FILE")?;
        if name.is_empty() || path.is_empty() {
            return Err("write it as NAME:FORM=FILE".to_owned());
        }
        if name.starts_with(CHANGELOG) || name.starts_with(UPDATEINFO) {
            return Err(format!(
                "names that begin with `{CHANGELOG}` or `{UPDATEINFO}` are those of the universes"
            ));
        }
        Ok(Self { name: name.to_owned(), feed: feed.parse()?, path: path.into() })
    }
}

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// Only these feeds, by name; all of the catalog and of its universes where none is named.
    pub only: Vec<String>,
    /// These files, and nothing else.
    pub from: Vec<LocalFeed>,
}

/// How the update of one feed ended.
#[derive(Debug, Clone, Serialize)]
pub struct Updated {
    /// The feed.
    pub source: String,
    /// What changed; none where it could not be had or read.
    pub changes: Option<Changes>,
    /// Why it could not.
    pub problem: Option<String>,
}

/// What an update changed: advisories, scores and known exploits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// New ones.
    pub added: u64,
    /// Those that say something else than before.
    pub changed: u64,
    /// Those that the feed has no more.
    pub removed: u64,
    /// Those that are as they were.
    pub unchanged: u64,
    /// Of what date the feed's content is, where it says so.
    pub date: Option<Epoch>,
}

impl From<Imported> for Changes {
    fn from(imported: Imported) -> Self {
        let Imported { added, changed, removed, unchanged, date } = imported;
        Self { added, changed, removed, unchanged, date }
    }
}

impl Factory<'_> {
    /// Updates the database. A feed that fails is reported in its place, and what was known of it stays.
    ///
    /// # Errors
    /// When the database cannot be opened, the catalog's list has a mistake, or a feed that is named is not in it.
    pub fn update_advisories(&self, request: &UpdateRequest) -> Result<Vec<Updated>> {
        let mut database = Database::open(&database_path(self.store()))?;
        let sources = sources::sources(&self.settings.catalog)?;
        let mut all = Vec::new();
        if !request.from.is_empty() {
            for local in &request.from {
                let known = sources.iter().find(|source| source.name == local.name);
                all.push(updated(&local.name, || self.read_local(local, known, &mut database)));
                self.stop_if_interrupted()?;
            }
            return Ok(all);
        }
        for name in self.wanted(&sources, &request.only)? {
            self.stop_if_interrupted()?;
            self.settings.reporter.step(&format!("updating {name}"));
            all.push(updated(&name, || match sources.iter().find(|source| source.name == name) {
                Some(source) => self.update_source(source, &mut database),
                None => self.update_own(&name, &mut database),
            }));
        }
        self.stop_if_interrupted()?;
        Ok(all)
    }

    /// The feeds to update, by name.
    fn wanted(&self, sources: &[Source], only: &[String]) -> Result<Vec<String>> {
        let mut all: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        all.extend(self.own_feeds()?);
        if only.is_empty() {
            return Ok(all);
        }
        if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
            return Err(hinted(
                format!("no feed is called `{unknown}`"),
                format!("feeds: {}", all.join(", ")),
            ));
        }
        Ok(only.to_vec())
    }

    fn update_source(&self, source: &Source, database: &mut Database) -> Result<Changes> {
        let digest = self.fetch_feed(source)?;
        let path = self.store().blob_path(&digest);
        let imported = self.import(&feeding(source, digest), source.form()?, &path, None, database);
        // It was read, and comes again as a whole where it changes.
        self.store().remove(&digest)?;
        imported
    }

    /// Fetches a feed; the digest of its blob in the store.
    fn fetch_feed(&self, source: &Source) -> Result<Digest> {
        let (base, mut file) = source.url.rsplit_once('/').with_context(|| source.url.clone())?;
        let mirror = source.name.as_str();
        let settings = FetchSettings {
            mirrors: [(source.name.clone(), vec![base.to_owned()])].into(),
            interrupted: std::sync::Arc::clone(&self.settings.interrupted),
            ..self.settings.network.clone()
        };
        let fetcher = Fetcher::new(self.store().clone(), settings);
        let named;
        if file == LATEST {
            named = fetcher.fetch_small(mirror, file, MOST_NAME_BYTES)?;
            file = std::str::from_utf8(&named).unwrap_or_default().trim();
            if file.is_empty() || file.contains(['/', '\n']) {
                bail!("{} names no file beside it", source.url);
            }
        }
        Ok(fetcher.fetch_unnamed(mirror, file, MOST_BYTES)?)
    }

    fn read_local(
        &self,
        local: &LocalFeed,
        known: Option<&Source>,
        database: &mut Database,
    ) -> Result<Changes> {
        let digest = digest_of(&local.path)?;
        let feeding = match known {
            Some(source) => feeding(source, digest),
            None => Feeding {
                name: local.name.clone(),
                feed: local.feed.name().to_owned(),
                url: local.path.display().to_string(),
                digest: as_read(digest),
                covers: Default::default(),
                max_age_days: OWN_MAX_AGE_DAYS,
            },
        };
        // A feed without a date of its own is as old as its file: nobody asked its origin today.
        let date = modified(&local.path)?.min(self.settings.now);
        self.import(&feeding, local.feed, &local.path, Some(date), database)
    }

    /// Imports a file; `date` is that of a feed which says none itself.
    fn import(
        &self,
        source: &Feeding,
        feed: Feed,
        path: &Path,
        date: Option<Epoch>,
        database: &mut Database,
    ) -> Result<Changes> {
        let file = fs_err::File::open(path)?;
        let fill = |sink: &mut dyn Sink| {
            let mut dated = Dated { sink, told: false };
            feeds::read_file(feed, &source.name, std::io::BufReader::new(file), &mut dated)?;
            if let Some(date) = date.filter(|_| !dated.told) {
                dated.dated(date);
            }
            Ok(())
        };
        self.import_with(source, database, fill)
    }

    /// Imports what `fill` tells, unless the database has the same bytes of it already.
    fn import_with(
        &self,
        source: &Feeding,
        database: &mut Database,
        fill: impl FnOnce(&mut dyn Sink) -> Result<(), feeds::FeedError>,
    ) -> Result<Changes> {
        let now = self.settings.now;
        let known = database.sources()?.into_iter().find(|known| known.source == *source);
        match known {
            Some(known) => {
                database.checked(&source.name, now)?;
                let unchanged = known.advisories + known.scores + known.exploits;
                Ok(Changes { added: 0, changed: 0, removed: 0, unchanged, date: known.date })
            }
            None => Ok(database.import(source, now, fill)?.into()),
        }
    }
}

fn updated(name: &str, update: impl FnOnce() -> Result<Changes>) -> Updated {
    match update() {
        Ok(changes) => Updated { source: name.to_owned(), changes: Some(changes), problem: None },
        Err(error) => Updated { source: name.to_owned(), changes: None, problem: Some(format!("{error:#}")) },
    }
}

fn feeding(source: &Source, digest: Digest) -> Feeding {
    Feeding {
        name: source.name.clone(),
        feed: source.feed.clone(),
        url: source.url.clone(),
        digest: as_read(digest),
        covers: source.covers.clone(),
        max_age_days: source.max_age_days,
    }
}

/// What tells whether a feed was read before: its bytes, and what reads them.
fn as_read(digest: Digest) -> Digest {
    Digest::of(format!("{READERS} {digest}").as_bytes())
}

/// When a file was last written.
fn modified(path: &Path) -> Result<Epoch> {
    let time = fs_err::metadata(path)?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Epoch(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)))
}

/// Hands on what a feed says, and notes whether it says its own date.
struct Dated<'s> {
    sink: &'s mut dyn Sink,
    told: bool,
}

impl Sink for Dated<'_> {
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
        self.sink.advisory(advisory)
    }

    fn epss(&mut self, flaw: &str, probability: f64, percentile: f64) -> Result<(), SinkError> {
        self.sink.epss(flaw, probability, percentile)
    }

    fn exploited(&mut self, flaw: &str, exploited: Exploited) -> Result<(), SinkError> {
        self.sink.exploited(flaw, exploited)
    }

    fn dated(&mut self, date: Epoch) {
        self.told = true;
        self.sink.dated(date);
    }
}

fn digest_of(path: &Path) -> Result<Digest> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(part) if !part.is_empty() => hasher.update(part),
            _ => return Ok(hasher.finish()),
        }
    }
}
