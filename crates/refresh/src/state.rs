//! What the loop remembers, in SQLite: one writer, and readers beside it at any time. What belongs together is written in one
//! transaction, so that a kill leaves all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use calypte_base::{Architecture, Digest, Epoch};
use calypte_policy::Verdict;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};
use serde::Serialize;

use crate::report::Fixed;
use crate::risk::{Class, Risk};

/// Raised when the tables change; a file of another version is refused.
const VERSION: i64 = 1;

/// How long a reader waits for the writer.
const PATIENCE: Duration = Duration::from_secs(30);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
-- A key is dirty while it is here: a change marks it, and the publication takes it away.
CREATE TABLE IF NOT EXISTS queue (
    universe TEXT NOT NULL, image TEXT NOT NULL, architecture TEXT NOT NULL, key TEXT NOT NULL,
    since INTEGER NOT NULL, reason TEXT NOT NULL, class INTEGER NOT NULL, fan_out INTEGER NOT NULL,
    PRIMARY KEY (universe, image, architecture)) STRICT;
-- What an image waits for: the time after which it is tried again, or a change of what refused it.
CREATE TABLE IF NOT EXISTS waiting (
    universe TEXT NOT NULL, image TEXT NOT NULL, attempts INTEGER NOT NULL, not_before INTEGER NOT NULL,
    inputs TEXT, verdict TEXT, error TEXT, at INTEGER NOT NULL, PRIMARY KEY (universe, image)) STRICT;
-- The time that is written into an image's statements: once decided it stays, so that a run that goes on says the same.
CREATE TABLE IF NOT EXISTS decided (
    universe TEXT NOT NULL, image TEXT NOT NULL, inputs TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (universe, image)) STRICT;
CREATE TABLE IF NOT EXISTS published (
    universe TEXT NOT NULL, image TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL, run TEXT NOT NULL,
    PRIMARY KEY (universe, image)) STRICT;
CREATE TABLE IF NOT EXISTS machine (
    universe TEXT NOT NULL, image TEXT NOT NULL, architecture TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL,
    size INTEGER NOT NULL, PRIMARY KEY (universe, image, architecture)) STRICT;
CREATE TABLE IF NOT EXISTS history (
    universe TEXT NOT NULL, image TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL, run TEXT NOT NULL) STRICT;
-- The flaws that an image loses; published is set when it is.
CREATE TABLE IF NOT EXISTS fix (
    universe TEXT NOT NULL, image TEXT NOT NULL, architecture TEXT NOT NULL, flaw TEXT NOT NULL, package TEXT NOT NULL,
    version TEXT NOT NULL, severity TEXT NOT NULL, available INTEGER NOT NULL, published INTEGER,
    PRIMARY KEY (universe, image, architecture, flaw, package, version)) STRICT;
";

/// The state.
#[derive(Debug)]
pub struct State {
    pub(crate) connection: Connection,
}

/// A key that is dirty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dirty {
    /// The image.
    pub image: String,
    /// The machine.
    pub architecture: Architecture,
    /// Digest of what it would be made from.
    #[serde(skip)]
    pub key: Digest,
    /// Since when.
    pub since: Epoch,
    /// Why.
    pub reason: String,
    /// How urgent it is.
    pub class: Class,
    /// How many keys the same change concerns.
    pub fan_out: u32,
}

/// Why an image is not worked on now.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// How often it was tried.
    pub attempts: u32,
    /// When it may be tried again.
    pub not_before: Epoch,
    /// What refused it is as it was while this is the same.
    pub inputs: Option<Digest>,
    /// When this was noted.
    pub at: Epoch,
}

/// One machine's image as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub key: Digest,
    pub digest: Digest,
    pub size: u64,
}

impl Dirty {
    pub(crate) const fn risk(&self) -> Risk {
        Risk { class: self.class, fan_out: self.fan_out, since: self.since }
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

impl State {
    /// Where it lies in a store.
    #[must_use]
    pub fn path(store: &Path) -> PathBuf {
        store.join("pipeline/state.sqlite")
    }

    /// Opens it to be written; makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is of another version.
    pub fn open(store: &Path) -> Result<Self> {
        let path = Self::path(store);
        fs_err::create_dir_all(path.parent().unwrap_or(store))?;
        let connection = Connection::open(&path).with_context(|| path.display().to_string())?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != 0 && version != VERSION {
            bail!(
                "{} is of version {version}, and this program knows {VERSION}\nhint: use the program that wrote it, or remove \
                 the file: what is published is then found again",
                path.display()
            );
        }
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "user_version", VERSION)?;
        Ok(Self { connection })
    }

    /// Opens it to be read; none where no pipeline ever ran.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_only(store: &Path) -> Result<Option<Self>> {
        let path = Self::path(store);
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| path.display().to_string())?;
        connection.busy_timeout(PATIENCE)?;
        Ok(Some(Self { connection }))
    }

    /// What SQLite itself finds wrong with the file; `ok` when nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn check(&self) -> Result<String> {
        Ok(self.connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?)
    }

    /// Why the pipeline is paused; none where it is not.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn paused(&self) -> Result<Option<String>> {
        let query = "SELECT text FROM note WHERE name = 'paused'";
        Ok(self.connection.query_row(query, [], |row| row.get(0)).optional()?)
    }

    /// Pauses it with a reason, or lets it go on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pause(&self, reason: Option<&str>) -> Result<()> {
        match reason {
            Some(reason) => self
                .connection
                .execute("INSERT OR REPLACE INTO note (name, text) VALUES ('paused', ?1)", [reason])?,
            None => self.connection.execute("DELETE FROM note WHERE name = 'paused'", [])?,
        };
        Ok(())
    }

    /// Marks keys dirty and notes the flaws that their images lose, all at once. A key that is dirty already stays so since
    /// when it was; the more urgent reason counts.
    pub(crate) fn mark(&mut self, universe: &str, keys: &[Dirty], fixes: &[(String, Fixed)]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        for key in keys {
            transaction.execute(
                "INSERT INTO queue (universe, image, architecture, key, since, reason, class, fan_out)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET key = excluded.key,
                     reason = CASE WHEN excluded.class <= class THEN excluded.reason ELSE reason END,
                     class = min(class, excluded.class), fan_out = max(fan_out, excluded.fan_out)",
                params![
                    universe,
                    key.image,
                    key.architecture.to_string(),
                    key.key.to_string(),
                    key.since.0,
                    key.reason,
                    key.class.number(),
                    key.fan_out
                ],
            )?;
        }
        for (image, fix) in fixes {
            transaction.execute(
                "INSERT OR IGNORE INTO fix
                 (universe, image, architecture, flaw, package, version, severity, available, published)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
                params![
                    universe,
                    image,
                    fix.architecture.to_string(),
                    fix.flaw,
                    fix.package,
                    fix.version,
                    fix.severity,
                    fix.available.0
                ],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// Takes away keys whose images are as they are published after all.
    pub(crate) fn clean(&mut self, universe: &str, keys: &[(String, Architecture)]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        for (image, architecture) in keys {
            transaction.execute(
                "DELETE FROM queue WHERE universe = ?1 AND image = ?2 AND architecture = ?3",
                params![universe, image, architecture.to_string()],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// Forgets what is to be done of images that are none of these, and why they waited.
    pub(crate) fn drop_unknown(&mut self, universe: &str, known: &BTreeSet<String>) -> Result<()> {
        let transaction = self.connection.transaction()?;
        for table in ["queue", "waiting", "decided"] {
            let images: BTreeSet<String> = transaction
                .prepare(&format!("SELECT DISTINCT image FROM {table} WHERE universe = ?1"))?
                .query_map([universe], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for image in images.difference(known) {
                transaction.execute(
                    &format!("DELETE FROM {table} WHERE universe = ?1 AND image = ?2"),
                    params![universe, image],
                )?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The keys that are dirty.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn dirty(&self, universe: &str) -> Result<Vec<Dirty>> {
        let mut query = self.connection.prepare(
            "SELECT image, architecture, key, since, reason, class, fan_out FROM queue WHERE universe = ?1
             ORDER BY image, architecture",
        )?;
        let rows = query.query_map([universe], |row| {
            Ok(Dirty {
                image: row.get(0)?,
                architecture: parsed(row, 1)?,
                key: parsed(row, 2)?,
                since: Epoch(row.get(3)?),
                reason: row.get(4)?,
                class: Class::from_number(row.get(5)?),
                fan_out: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn machines(&self, universe: &str, image: &str) -> Result<BTreeMap<Architecture, Machine>> {
        let mut query = self.connection.prepare(
            "SELECT architecture, key, digest, size FROM machine WHERE universe = ?1 AND image = ?2",
        )?;
        let rows = query.query_map([universe, image], |row| {
            let size: i64 = row.get(3)?;
            let machine = Machine {
                key: parsed(row, 1)?,
                digest: parsed(row, 2)?,
                size: u64::try_from(size).unwrap_or(0),
            };
            Ok((parsed::<Architecture>(row, 0)?, machine))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The digest of an image's index as it is published.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn published(&self, universe: &str, image: &str) -> Result<Option<Digest>> {
        let query = "SELECT digest FROM published WHERE universe = ?1 AND image = ?2";
        Ok(self.connection.query_row(query, [universe, image], |row| parsed(row, 0)).optional()?)
    }

    pub(crate) fn waiting(&self, universe: &str, image: &str) -> Result<Option<Waiting>> {
        let query = "SELECT attempts, not_before, inputs, at FROM waiting WHERE universe = ?1 AND image = ?2";
        let row = self.connection.query_row(query, [universe, image], |row| {
            let inputs: Option<String> = row.get(2)?;
            Ok(Waiting {
                attempts: row.get(0)?,
                not_before: Epoch(row.get(1)?),
                inputs: inputs.and_then(|text| text.parse().ok()),
                at: Epoch(row.get(3)?),
            })
        });
        Ok(row.optional()?)
    }

    /// Notes why an image was not published: until when, or until what changes.
    pub(crate) fn wait(
        &self,
        (universe, image): (&str, &str),
        waiting: &Waiting,
        (verdict, error): (Option<&Verdict>, Option<&str>),
    ) -> Result<()> {
        let verdict = verdict.map(serde_json::to_string).transpose()?;
        self.connection.execute(
            "INSERT OR REPLACE INTO waiting (universe, image, attempts, not_before, inputs, verdict, error, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                universe,
                image,
                waiting.attempts,
                waiting.not_before.0,
                waiting.inputs.map(|inputs| inputs.to_string()),
                verdict,
                error,
                waiting.at.0
            ],
        )?;
        Ok(())
    }

    /// The time that an image's statements name: the one that was decided for these inputs before, or now.
    pub(crate) fn decide(&self, universe: &str, image: &str, inputs: &Digest, now: Epoch) -> Result<Epoch> {
        let query = "SELECT at FROM decided WHERE universe = ?1 AND image = ?2 AND inputs = ?3";
        let inputs = inputs.to_string();
        let known = self
            .connection
            .query_row(query, [universe, image, &inputs], |row| row.get(0).map(Epoch))
            .optional()?;
        if let Some(at) = known {
            return Ok(at);
        }
        self.connection.execute(
            "INSERT OR REPLACE INTO decided (universe, image, inputs, at) VALUES (?1, ?2, ?3, ?4)",
            params![universe, image, inputs, now.0],
        )?;
        Ok(now)
    }

    /// Notes that an image is published, all that is due with it, in one transaction. Gives the flaws that it lost.
    pub(crate) fn publish(
        &mut self,
        (universe, image): (&str, &str),
        digest: &Digest,
        machines: &BTreeMap<Architecture, Machine>,
        (run, now): (&str, Epoch),
        is_new: bool,
    ) -> Result<Vec<Fixed>> {
        let transaction = self.connection.transaction()?;
        let about = params![universe, image];
        if is_new {
            let row = params![universe, image, digest.to_string(), now.0, run];
            transaction.execute(
                "INSERT OR REPLACE INTO published (universe, image, digest, at, run) VALUES (?1, ?2, ?3, ?4, ?5)",
                row,
            )?;
            transaction.execute(
                "INSERT INTO history (universe, image, digest, at, run) VALUES (?1, ?2, ?3, ?4, ?5)",
                row,
            )?;
        }
        transaction.execute("DELETE FROM machine WHERE universe = ?1 AND image = ?2", about)?;
        for (architecture, machine) in machines {
            transaction.execute(
                "INSERT INTO machine (universe, image, architecture, key, digest, size)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    universe,
                    image,
                    architecture.to_string(),
                    machine.key.to_string(),
                    machine.digest.to_string(),
                    number(machine.size)
                ],
            )?;
        }
        for table in ["queue", "waiting", "decided"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE universe = ?1 AND image = ?2"), about)?;
        }
        let fixed = {
            let query = "SELECT flaw, package, version, severity, architecture, available, published FROM fix
                         WHERE universe = ?1 AND image = ?2 AND published IS NULL ORDER BY flaw, package, architecture";
            let mut query = transaction.prepare(query)?;
            let rows = query.query_map(about, fixed_of)?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        transaction.execute(
            "UPDATE fix SET published = ?3 WHERE universe = ?1 AND image = ?2 AND published IS NULL",
            params![universe, image, now.0],
        )?;
        transaction.commit()?;
        Ok(fixed.into_iter().map(|fix| Fixed { published: Some(now), ..fix }).collect())
    }
}

pub(crate) fn fixed_of(row: &Row<'_>) -> rusqlite::Result<Fixed> {
    let published: Option<i64> = row.get(6)?;
    Ok(Fixed {
        flaw: row.get(0)?,
        package: row.get(1)?,
        version: row.get(2)?,
        severity: row.get(3)?,
        architecture: parsed(row, 4)?,
        available: Epoch(row.get(5)?),
        published: published.map(Epoch),
    })
}
