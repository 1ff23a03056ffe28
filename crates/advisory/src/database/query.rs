//! The database → sources and their ages, what each says of a flaw, and what concerns one package.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use rusqlite::{Row as SqlRow, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::row::Row;
use super::{Database, DatabaseError, Source, StoredSource, plain_id};
use crate::finding::Exploited;
use crate::model::{Advisory, Affected, Ecosystem, SourceName};

/// What all sources say of a flaw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flaw {
    /// What was asked for.
    pub name: String,
    /// The advisories that are about it by their id or an alias; by source and id.
    pub told: Vec<Told>,
    /// The probability that it is exploited in the next 30 days, and the percentile.
    pub epss: Option<(f64, f64)>,
    /// Whether it is known to be exploited.
    pub exploited: Option<Exploited>,
}

/// What one source says of a flaw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// The source.
    pub source: SourceName,
    /// Its advisory.
    pub advisory: Advisory,
}

/// What an advisory says of a package; which advisory that is, is read only where it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub source: i64,
    pub advisory: i64,
    pub affected: Affected,
}

/// An advisory without its [`Advisory::affected`].
pub(crate) type Header = Advisory;

impl Database {
    /// Whether a source says anything of an ecosystem, by its [`Ecosystem::key`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn tells_of(&self, source: i64, key: &str) -> Result<bool, DatabaseError> {
        let error = self.error("look for an ecosystem");
        let query = "SELECT 1 FROM ecosystems JOIN affected ON ecosystem = ecosystems.id
                     WHERE ecosystems.key = ?1 AND source = ?2 LIMIT 1";
        let mut statement = self.connection.prepare_cached(query).map_err(&error)?;
        statement.exists(params![key, source]).map_err(&error)
    }

    /// The sources that were imported, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn sources(&self) -> Result<Vec<StoredSource>, DatabaseError> {
        let error = self.error("list its sources");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, name, feed, url, digest, covers, max_age_days, fetched, checked, date, advisories,
                    scores, exploits, modular FROM sources ORDER BY name",
            )
            .map_err(&error)?;
        let rows = statement.query_map((), stored_source).map_err(&error)?;
        let mut sources = Vec::new();
        for row in rows {
            let (mut source, covers) = row.map_err(&error)?;
            source.source.covers = self.parse(&covers, || format!("what `{}` covers", source.source.name))?;
            sources.push(source);
        }
        Ok(sources)
    }

    /// What each source says of a flaw, by its CVE number, its id in any feed, or any other of its names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn show(&self, flaw: &str) -> Result<Flaw, DatabaseError> {
        let names: BTreeMap<i64, SourceName> =
            self.sources()?.into_iter().map(|source| (source.id, SourceName(source.source.name))).collect();
        let mut told = Vec::new();
        for key in self.advisories_named(flaw)? {
            let (source, mut advisory) = self.header(key)?;
            advisory.affected = self.affected_by(key)?;
            let Some(source) = names.get(&source).cloned() else { continue };
            told.push(Told { source, advisory });
        }
        told.sort_by(|left, right| {
            (&left.source, &left.advisory.id).cmp(&(&right.source, &right.advisory.id))
        });
        let (mut epss, mut exploited) = (self.epss(flaw)?, self.exploited(flaw)?);
        // Scores and exploits are told by CVE alone, and what is asked for may be another of its names.
        let names = told.iter().flat_map(|told| told.advisory.aliases.iter().chain([&told.advisory.id]));
        let numbers: BTreeSet<&String> = names.filter(|name| cve_number(name).is_some()).collect();
        if let (None, Some(number), 1) = (cve_number(flaw), numbers.first(), numbers.len()) {
            (epss, exploited) = (self.epss(number)?, self.exploited(number)?);
        }
        Ok(Flaw { name: flaw.to_owned(), told, epss, exploited })
    }

    /// A CVE's EPSS: the probability and the percentile.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn epss(&self, flaw: &str) -> Result<Option<(f64, f64)>, DatabaseError> {
        let Some(number) = cve_number(flaw) else { return Ok(None) };
        let query = "SELECT source, probability, percentile FROM epss WHERE flaw = ?1";
        let get = |row: &SqlRow<'_>| Ok((row.get(1)?, row.get(2)?));
        self.one(query, number, get)
    }

    /// What CISA knows of a CVE's being exploited.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn exploited(&self, flaw: &str) -> Result<Option<Exploited>, DatabaseError> {
        let Some(number) = cve_number(flaw) else { return Ok(None) };
        let query = "SELECT source, since, ransomware FROM kev WHERE flaw = ?1";
        let get = |row: &SqlRow<'_>| {
            Ok(Exploited { since: row.get::<_, Option<i64>>(1)?.map(Epoch), ransomware: row.get(2)? })
        };
        self.one(query, number, get)
    }

    /// What is told of a flaw. Of several sources the first by name counts, whichever was imported first.
    fn one<T>(
        &self,
        query: &str,
        flaw: i64,
        get: impl Fn(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, DatabaseError> {
        let read = || -> rusqlite::Result<Vec<(i64, T)>> {
            let mut statement = self.connection.prepare_cached(query)?;
            statement.query_map([flaw], |row| Ok((row.get(0)?, get(row)?)))?.collect()
        };
        let mut told = read().map_err(self.error("read it"))?;
        if told.len() > 1 {
            let places: BTreeMap<i64, usize> =
                self.sources()?.into_iter().enumerate().map(|(place, source)| (source.id, place)).collect();
            told.sort_by_key(|(source, _)| places.get(source).copied());
        }
        Ok(told.into_iter().next().map(|(_, told)| told))
    }

    /// The ecosystems that are found by a key, by their numbers.
    pub(crate) fn ecosystems(&self, key: &str) -> Result<Vec<(i64, Ecosystem)>, DatabaseError> {
        let error = self.error("read it");
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, body FROM ecosystems WHERE key = ?1 ORDER BY body")
            .map_err(&error)?;
        let rows = statement
            .query_map([key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .map_err(&error)?;
        let mut found = Vec::new();
        for row in rows {
            let (id, body) = row.map_err(&error)?;
            found.push((id, self.parse(&body, || "an ecosystem".to_owned())?));
        }
        Ok(found)
    }

    /// All that is said of a package, by its normal name.
    pub(crate) fn entries(
        &self,
        (id, ecosystem): &(i64, Ecosystem),
        package: &str,
    ) -> Result<Vec<Entry>, DatabaseError> {
        let error = self.error("read what concerns a package");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT advisory, source, body FROM affected WHERE ecosystem = ?1 AND package = ?2
                 ORDER BY advisory, number",
            )
            .map_err(&error)?;
        let mut rows = statement.query(params![id, package]).map_err(&error)?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next().map_err(&error)? {
            let (advisory, source) = (row.get(0).map_err(&error)?, row.get(1).map_err(&error)?);
            let body = row.get_ref(2).and_then(|body| Ok(body.as_str()?)).map_err(&error)?;
            let stored: Row = self.parse(body, || format!("what is said of `{package}`"))?;
            entries.push(Entry { source, advisory, affected: stored.affected(ecosystem.clone(), package) });
        }
        Ok(entries)
    }

    /// An advisory without what it says of packages, and its source.
    pub(crate) fn header(&self, key: i64) -> Result<(i64, Header), DatabaseError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT source, body FROM advisories WHERE key = ?1")?
                .query_row([key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        };
        let (source, body) = read().map_err(self.error("read an advisory"))?;
        Ok((source, self.parse(&body, || format!("the advisory number {key}"))?))
    }

    /// The advisories that have a name.
    pub(crate) fn advisories_named(&self, name: &str) -> Result<BTreeSet<i64>, DatabaseError> {
        let read = || -> rusqlite::Result<BTreeSet<i64>> {
            let mut statement =
                self.connection.prepare_cached("SELECT advisory FROM names WHERE name = ?1")?;
            statement.query_map([name], |row| row.get(0))?.collect()
        };
        read().map_err(self.error("look up a name"))
    }

    /// The advisories that have a name, and those that share one with them: what is said of the same flaws.
    pub(crate) fn advisories_about(&self, name: &str) -> Result<BTreeSet<i64>, DatabaseError> {
        let named = self.advisories_named(name)?;
        let mut all = named.clone();
        for key in named {
            let (_, header) = self.header(key)?;
            for name in header.aliases.iter().map(String::as_str).chain([plain_id(&header.id)]) {
                all.extend(self.advisories_named(name)?);
            }
        }
        Ok(all)
    }

    fn affected_by(&self, key: i64) -> Result<Vec<Affected>, DatabaseError> {
        let error = self.error("read an advisory");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT e.body, a.package, a.body FROM affected a JOIN ecosystems e ON e.id = a.ecosystem
                 WHERE a.advisory = ?1 ORDER BY a.number",
            )
            .map_err(&error)?;
        let rows = statement
            .query_map([key], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })
            .map_err(&error)?;
        let mut affected = Vec::new();
        for row in rows {
            let (ecosystem, package, body) = row.map_err(&error)?;
            let what = || format!("what is said of `{package}`");
            let stored: Row = self.parse(&body, what)?;
            affected.push(stored.affected(self.parse(&ecosystem, what)?, &package));
        }
        Ok(affected)
    }

    fn parse<T: DeserializeOwned>(
        &self,
        text: &str,
        what: impl FnOnce() -> String,
    ) -> Result<T, DatabaseError> {
        serde_json::from_str(text).map_err(|source| DatabaseError::Stored {
            path: self.path.clone(),
            what: what(),
            source,
        })
    }
}

/// A source without what it covers, and that as it is stored.
fn stored_source(row: &SqlRow<'_>) -> rusqlite::Result<(StoredSource, String)> {
    let digest: [u8; 32] = row.get(4)?;
    let source = Source {
        name: row.get(1)?,
        feed: row.get(2)?,
        url: row.get(3)?,
        digest: Digest::from_bytes(digest),
        covers: BTreeSet::new(),
        max_age_days: row.get(6)?,
    };
    let stored = StoredSource {
        source,
        fetched: Epoch(row.get(7)?),
        checked: Epoch(row.get(8)?),
        date: row.get::<_, Option<i64>>(9)?.map(Epoch),
        advisories: row.get::<_, i64>(10)?.unsigned_abs(),
        scores: row.get::<_, i64>(11)?.unsigned_abs(),
        exploits: row.get::<_, i64>(12)?.unsigned_abs(),
        id: row.get(0)?,
        modular: row.get(13)?,
    };
    Ok((stored, row.get(5)?))
}

/// Room for the last part of a CVE number.
const PART: i64 = 1_000_000_000_000;

/// A CVE number as one number: a third of the room of its text, and none for an index.
pub(super) fn cve_number(flaw: &str) -> Option<i64> {
    let (year, number) = flaw.strip_prefix("CVE-")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if year.len() != 4 || !(4..=12).contains(&number.len()) || !digits(year) || !digits(number) {
        return None;
    }
    Some(year.parse::<i64>().ok()? * PART + number.parse::<i64>().ok()?)
}

/// The text of such a number.
pub(super) fn cve_text(number: i64) -> String {
    format!("CVE-{:04}-{:04}", number / PART, number % PART)
}
