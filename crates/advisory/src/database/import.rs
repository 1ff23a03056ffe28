//! One feed → the database, in one transaction; memory stays bounded by one advisory, the cache of pages, and eight bytes
//! or so for each thing that the feed names.

use std::collections::BTreeSet;
use std::path::Path;

use calypte_base::{Digest, Epoch};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::query::{cve_number, cve_text};
use super::row::Row;
use super::{Database, DatabaseError, Imported, Source, plain_id};
use crate::feeds::{FeedError, Sink, SinkError};
use crate::finding::Exploited;
use crate::model::{Advisory, Affected};

impl Database {
    /// Imports a source: what `fill` tells is what it says from now on. When `fill` fails, or the program ends before this
    /// returns, the database is as it was.
    ///
    /// # Errors
    /// When the feed cannot be read, with its name; when the database cannot be written.
    pub fn import(
        &mut self,
        source: &Source,
        now: Epoch,
        fill: impl FnOnce(&mut dyn Sink) -> Result<(), FeedError>,
    ) -> Result<Imported, DatabaseError> {
        let path = self.path.clone();
        let error = |source| DatabaseError::Sqlite { path: path.clone(), doing: "import a feed", source };
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
        let id = begin(&transaction, source, now, &path)?;
        let mut importer =
            Importer { connection: &transaction, id, imported: Imported::default(), modular: false };
        fill(&mut importer).map_err(|error| DatabaseError::Feed {
            path: path.clone(),
            feed: source.name.clone(),
            source: error,
        })?;
        // Nothing that covers an ecosystem is empty: what reads as empty was cut, or is something else.
        let seen = importer.imported.added + importer.imported.changed + importer.imported.unchanged;
        if seen == 0 && !source.covers.is_empty() {
            return Err(DatabaseError::Feed {
                path: path.clone(),
                feed: source.name.clone(),
                source: FeedError::Malformed {
                    document: source.name.clone(),
                    place: "the whole".to_owned(),
                    reason: "it says nothing of any package".to_owned(),
                },
            });
        }
        importer.remove_unseen().map_err(error)?;
        let (imported, modular) = (importer.imported, importer.modular);
        finish(&transaction, id, imported, modular).map_err(error)?;
        transaction.commit().map_err(error)?;
        Ok(imported)
    }

    /// Notes that a source was looked at, and that its content is what was imported last.
    ///
    /// # Errors
    /// When there is no such source, or the database cannot be written.
    pub fn checked(&mut self, source: &str, now: Epoch) -> Result<(), DatabaseError> {
        let changed = self
            .connection
            .execute("UPDATE sources SET checked = max(checked, ?2) WHERE name = ?1", params![source, now.0])
            .map_err(self.error("note that a feed is unchanged"))?;
        if changed == 0 {
            return Err(DatabaseError::NoSource { path: self.path.clone(), feed: source.to_owned() });
        }
        Ok(())
    }

    /// Takes a source away, with all that it says.
    ///
    /// # Errors
    /// When there is no such source, or the database cannot be written.
    pub fn remove(&mut self, source: &str) -> Result<(), DatabaseError> {
        let path = self.path.clone();
        let error = |source| DatabaseError::Sqlite { path: path.clone(), doing: "remove a feed", source };
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
        let id = transaction
            .query_row("SELECT id FROM sources WHERE name = ?1", [source], |row| row.get(0))
            .optional()
            .map_err(error)?
            .ok_or_else(|| DatabaseError::NoSource { path: path.clone(), feed: source.to_owned() })?;
        forget(&transaction).map_err(error)?;
        let mut importer =
            Importer { connection: &transaction, id, imported: Imported::default(), modular: false };
        importer.remove_unseen().map_err(error)?;
        transaction.execute("DELETE FROM sources WHERE id = ?1", [id]).map_err(error)?;
        transaction.commit().map_err(error)
    }
}

/// All names by which an advisory is found.
fn names(advisory: &Advisory) -> BTreeSet<&str> {
    let ids = [advisory.id.as_str(), plain_id(&advisory.id)];
    advisory.aliases.iter().map(String::as_str).chain(ids).collect()
}

/// What an earlier import has come by.
fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DELETE FROM seen_advisories; DELETE FROM seen_epss; DELETE FROM seen_kev;")
}

fn begin(connection: &Connection, source: &Source, now: Epoch, path: &Path) -> Result<i64, DatabaseError> {
    let error = |source| DatabaseError::Sqlite { path: path.to_owned(), doing: "import a feed", source };
    let covers = serde_json::to_string(&source.covers).map_err(|error| DatabaseError::Stored {
        path: path.to_owned(),
        what: format!("what `{}` covers", source.name),
        source: error,
    })?;
    forget(connection).map_err(error)?;
    connection
        .query_row(
            "INSERT INTO sources (name, feed, url, digest, covers, max_age_days, fetched, checked)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
             ON CONFLICT (name) DO UPDATE SET feed = ?2, url = ?3, digest = ?4, covers = ?5, max_age_days = ?6,
                 fetched = ?7, checked = ?7
             RETURNING id",
            params![
                source.name,
                source.feed,
                source.url,
                source.digest.bytes().as_slice(),
                covers,
                source.max_age_days,
                now.0
            ],
            |row| row.get(0),
        )
        .map_err(error)
}

fn finish(connection: &Connection, id: i64, imported: Imported, modular: bool) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE sources SET date = ?2, modular = ?3,
             advisories = (SELECT count(*) FROM seen_advisories),
             scores = (SELECT count(*) FROM seen_epss),
             exploits = (SELECT count(*) FROM seen_kev)
         WHERE id = ?1",
        params![id, imported.date.map(|date| date.0), modular],
    )?;
    forget(connection)
}

/// Writes what differs from what is there, and notes what it has come by.
struct Importer<'c> {
    connection: &'c Connection,
    id: i64,
    imported: Imported,
    modular: bool,
}

/// How something that the feed names compares with what is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Changed,
    Unchanged,
}

impl Importer<'_> {
    fn run(&self, statement: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(statement)?.execute(parameters)
    }

    /// Notes that a row was come by, and counts it the first time.
    fn count(&mut self, seen: &str, key: i64, change: Change) -> rusqlite::Result<()> {
        if self.run(seen, [key])? == 0 {
            return Ok(());
        }
        match change {
            Change::Added => self.imported.added += 1,
            Change::Changed => self.imported.changed += 1,
            Change::Unchanged => self.imported.unchanged += 1,
        }
        Ok(())
    }

    fn take(&mut self, mut advisory: Advisory) -> Result<(), SinkError> {
        self.modular |= advisory.affected.iter().any(|affected| affected.module.is_some());
        let hash = Digest::of(&serde_json::to_vec(&advisory)?);
        let stored = self
            .connection
            .prepare_cached("SELECT key, hash FROM advisories WHERE source = ?1 AND id = ?2")?
            .query_row(params![self.id, advisory.id], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let seen = "INSERT OR IGNORE INTO seen_advisories (key) VALUES (?1)";
        let affected = std::mem::take(&mut advisory.affected);
        let (key, change) = match stored {
            Some((key, stored)) if stored == hash.bytes().as_slice() => {
                return Ok(self.count(seen, key, Change::Unchanged)?);
            }
            Some((key, _)) => {
                self.clear(key)?;
                self.run(
                    "UPDATE advisories SET hash = ?2, body = ?3 WHERE key = ?1",
                    params![key, hash.bytes().as_slice(), serde_json::to_string(&advisory)?],
                )?;
                (key, Change::Changed)
            }
            None => {
                self.run(
                    "INSERT INTO advisories (source, id, hash, body) VALUES (?1, ?2, ?3, ?4)",
                    params![self.id, advisory.id, hash.bytes().as_slice(), serde_json::to_string(&advisory)?],
                )?;
                (self.connection.last_insert_rowid(), Change::Added)
            }
        };
        self.fill(key, &advisory, &affected)?;
        Ok(self.count(seen, key, change)?)
    }

    /// Writes an advisory's names and what it says of packages.
    fn fill(&self, key: i64, advisory: &Advisory, affected: &[Affected]) -> Result<(), SinkError> {
        for name in names(advisory) {
            self.run("INSERT OR IGNORE INTO names (name, advisory) VALUES (?1, ?2)", params![name, key])?;
        }
        for (number, affected) in affected.iter().enumerate() {
            let ecosystem = self.ecosystem(affected)?;
            let package = affected.ecosystem.normal_name(&affected.package);
            let body = serde_json::to_string(&Row::new(affected, &package))?;
            self.run(
                "INSERT INTO affected (ecosystem, package, advisory, number, source, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![ecosystem, package, key, i64::try_from(number)?, self.id, body],
            )?;
        }
        Ok(())
    }

    fn ecosystem(&self, affected: &Affected) -> Result<i64, SinkError> {
        let body = serde_json::to_string(&affected.ecosystem)?;
        let stored = self
            .connection
            .prepare_cached("SELECT id FROM ecosystems WHERE body = ?1")?
            .query_row([&body], |row| row.get(0))
            .optional()?;
        if let Some(id) = stored {
            return Ok(id);
        }
        self.run(
            "INSERT INTO ecosystems (key, body) VALUES (?1, ?2)",
            params![affected.ecosystem.key(), body],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Takes away an advisory's names and what it says of packages.
    fn clear(&self, key: i64) -> Result<(), SinkError> {
        let body: String = self
            .connection
            .prepare_cached("SELECT body FROM advisories WHERE key = ?1")?
            .query_row([key], |row| row.get(0))?;
        let advisory: Advisory = serde_json::from_str(&body)?;
        for name in names(&advisory) {
            self.run("DELETE FROM names WHERE name = ?1 AND advisory = ?2", params![name, key])?;
        }
        self.run("DELETE FROM affected WHERE advisory = ?1", [key])?;
        Ok(())
    }

    /// Takes away what the feed has no more.
    fn remove_unseen(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(
            "SELECT key FROM advisories
             WHERE source = ?1 AND key NOT IN (SELECT key FROM seen_advisories)",
        )?;
        let keys = statement.query_map([self.id], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        for key in keys {
            self.clear(key).map_err(rusqlite::Error::ToSqlConversionFailure)?;
            self.run("DELETE FROM advisories WHERE key = ?1", [key])?;
            self.imported.removed += 1;
        }
        for statement in [
            "DELETE FROM epss WHERE source = ?1 AND flaw NOT IN (SELECT key FROM seen_epss)",
            "DELETE FROM kev WHERE source = ?1 AND flaw NOT IN (SELECT key FROM seen_kev)",
        ] {
            self.imported.removed += self.run(statement, [self.id])? as u64;
        }
        Ok(())
    }

    fn score(&mut self, flaw: i64, probability: f64, percentile: f64) -> Result<(), SinkError> {
        let stored = self
            .connection
            .prepare_cached("SELECT probability, percentile FROM epss WHERE flaw = ?1 AND source = ?2")?
            .query_row([flaw, self.id], |row| Ok((row.get::<_, f64>(0)?, row.get::<_, f64>(1)?)))
            .optional()?;
        let change = change(stored, (probability, percentile));
        if change != Change::Unchanged {
            self.run(
                "INSERT OR REPLACE INTO epss (flaw, source, probability, percentile) VALUES (?1, ?2, ?3, ?4)",
                params![flaw, self.id, probability, percentile],
            )?;
        }
        Ok(self.count("INSERT OR IGNORE INTO seen_epss (key) VALUES (?1)", flaw, change)?)
    }

    fn exploit(&mut self, flaw: i64, exploited: &Exploited) -> Result<(), SinkError> {
        let stored = self
            .connection
            .prepare_cached("SELECT since, ransomware FROM kev WHERE flaw = ?1 AND source = ?2")?
            .query_row([flaw, self.id], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, bool>(1)?)))
            .optional()?;
        let said = (exploited.since.map(|since| since.0), exploited.ransomware);
        let change = change(stored, said);
        if change != Change::Unchanged {
            self.run(
                "INSERT OR REPLACE INTO kev (flaw, source, since, ransomware) VALUES (?1, ?2, ?3, ?4)",
                params![flaw, self.id, said.0, said.1],
            )?;
        }
        Ok(self.count("INSERT OR IGNORE INTO seen_kev (key) VALUES (?1)", flaw, change)?)
    }
}

fn change<T: PartialEq>(stored: Option<T>, said: T) -> Change {
    match stored {
        None => Change::Added,
        Some(stored) if stored == said => Change::Unchanged,
        Some(_) => Change::Changed,
    }
}

/// The number of a CVE, of whose scores and exploits alone there are feeds.
fn number(flaw: &str) -> Result<i64, SinkError> {
    // Written back, it must be the same: no two texts may become one flaw.
    let number = cve_number(flaw).filter(|number| cve_text(*number) == flaw);
    number.ok_or_else(|| format!("`{flaw}` is no CVE number").into())
}

impl Sink for Importer<'_> {
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
        let id = advisory.id.clone();
        self.take(advisory).map_err(|error| format!("advisory `{id}`: {error}").into())
    }

    fn epss(&mut self, flaw: &str, probability: f64, percentile: f64) -> Result<(), SinkError> {
        if ![probability, percentile].iter().all(|value| (0.0..=1.0).contains(value)) {
            return Err(format!("`{flaw}`: {probability} and {percentile} are not both from 0 to 1").into());
        }
        self.score(number(flaw)?, probability, percentile)
    }

    fn exploited(&mut self, flaw: &str, exploited: Exploited) -> Result<(), SinkError> {
        self.exploit(number(flaw)?, &exploited)
    }

    fn dated(&mut self, date: Epoch) {
        self.imported.date = self.imported.date.max(Some(date));
    }
}
