//! Bills → packages, sets and postings. Many are added in one transaction; none is there before that is finished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use calypte_base::Digest;
use calypte_sbom::{Component, Sbom};
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::postings::{self, PIECE};
use super::{Inventory, InventoryError};
use crate::Fixes;
use crate::matching::{Target, worlds};
use crate::model::Ecosystem;

/// Postings that are kept before they are written: some 30 MB.
const MOST_PENDING: usize = 1_000_000;

/// Packages whose numbers are kept: some 20 MB.
const MOST_KNOWN: usize = 400_000;

/// What was added of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// The packages that can be looked up.
    pub packages: usize,
    /// The components that cannot: of a distribution that is not known, or without a version.
    pub left_out: usize,
    /// Whether another bill has the same packages.
    pub shared: bool,
}

/// Bills that are being added.
#[derive(Debug)]
pub struct Adding<'i> {
    transaction: Transaction<'i>,
    path: PathBuf,
    /// Numbers of packages by what tells them apart.
    known: BTreeMap<Digest, i64>,
    worlds: BTreeMap<String, i64>,
    /// The sets of each package that are not yet written.
    pending: BTreeMap<i64, Vec<i64>>,
    pending_count: usize,
}

impl Inventory {
    /// Begins to add bills.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn adding(&mut self) -> Result<Adding<'_>, InventoryError> {
        let path = self.path.clone();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| InventoryError::Sqlite { path: path.clone(), doing: "add bills", source })?;
        Ok(Adding {
            transaction,
            path,
            known: BTreeMap::new(),
            worlds: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_count: 0,
        })
    }

    /// Adds one bill.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(
        &mut self,
        name: &str,
        digest: Option<Digest>,
        sbom: &Sbom,
        fixes: &Fixes,
    ) -> Result<Added, InventoryError> {
        let mut adding = self.adding()?;
        let added = adding.add(name, digest, sbom, fixes)?;
        adding.finish()?;
        Ok(added)
    }

    /// Takes a bill away; false when there is none of that name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&mut self, name: &str) -> Result<bool, InventoryError> {
        let removed = self.connection.execute("DELETE FROM bills WHERE name = ?1", [name]);
        removed.map(|count| count > 0).map_err(self.error("remove a bill"))
    }
}

impl Adding<'_> {
    /// Adds a bill, by the name of its image. One that is there under this name is replaced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(
        &mut self,
        name: &str,
        digest: Option<Digest>,
        sbom: &Sbom,
        fixes: &Fixes,
    ) -> Result<Added, InventoryError> {
        let mut packages = Vec::with_capacity(sbom.components.len());
        let mut left_out = 0;
        for component in sbom.components.values().filter(|component| component.part_of.is_none()) {
            match self.package(component, sbom, fixes)? {
                Some(package) => packages.push(package),
                None => left_out += 1,
            }
        }
        packages.sort_unstable();
        packages.dedup();
        let (set, shared) = self.set(&packages)?;
        let digest = digest.map(|digest| *digest.bytes());
        self.run(
            "INSERT INTO bills (name, digest, packages) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET digest = ?2, packages = ?3",
            params![name, digest, set],
        )?;
        if self.pending_count > MOST_PENDING {
            self.write_pending()?;
        }
        Ok(Added { packages: packages.len(), left_out, shared })
    }

    /// Makes what was added lasting.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<(), InventoryError> {
        self.write_pending()?;
        let path = self.path;
        self.transaction.commit().map_err(|source| InventoryError::Sqlite {
            path,
            doing: "add bills",
            source,
        })
    }

    fn run(&self, statement: &str, parameters: impl rusqlite::Params) -> Result<usize, InventoryError> {
        let run = || self.transaction.prepare_cached(statement)?.execute(parameters);
        run().map_err(error(&self.path))
    }

    /// The number in the first column of the first row.
    fn number(&self, query: &str, parameters: impl rusqlite::Params) -> Result<Option<i64>, InventoryError> {
        let read =
            || self.transaction.prepare_cached(query)?.query_row(parameters, |row| row.get(0)).optional();
        read().map_err(error(&self.path))
    }

    /// The number of a package; none when it cannot be looked up.
    fn package(
        &mut self,
        component: &Component,
        sbom: &Sbom,
        fixes: &Fixes,
    ) -> Result<Option<i64>, InventoryError> {
        let target = Target::new(component);
        let Ok(worlds) = worlds(component.kind, sbom.distribution.as_ref()) else { return Ok(None) };
        if target.without_version().is_some() {
            return Ok(None);
        }
        let world = self.world(&worlds)?;
        let identity = identity(world, &target);
        if let Some(known) = self.known.get(&identity) {
            return Ok(Some(*known));
        }
        let stored =
            self.number("SELECT id FROM packages WHERE identity = ?1", [identity.bytes().as_slice()])?;
        let id = match stored {
            Some(id) => id,
            None => self.new_package(&target, (world, &worlds), identity, fixes.get(&component.id))?,
        };
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(identity, id);
        Ok(Some(id))
    }

    fn new_package(
        &self,
        target: &Target,
        (world, worlds): (i64, &[Ecosystem]),
        identity: Digest,
        fixes: Option<&crate::matching::OwnFixes>,
    ) -> Result<i64, InventoryError> {
        let name =
            worlds.first().map_or(target.name.as_str().into(), |world| world.normal_name(&target.name));
        let what = || format!("package `{}`", target.name);
        self.run(
            "INSERT INTO packages (identity, world, name, source, body, fixes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                identity.bytes().as_slice(),
                world,
                name,
                target.source,
                json(target, &self.path, what)?,
                fixes.map(|fixes| json(fixes, &self.path, what)).transpose()?,
            ],
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    fn world(&mut self, worlds: &[Ecosystem]) -> Result<i64, InventoryError> {
        let body = json(&worlds, &self.path, || "releases".to_owned())?;
        if let Some(known) = self.worlds.get(&body) {
            return Ok(*known);
        }
        let id = match self.number("SELECT id FROM worlds WHERE body = ?1", [&body])? {
            Some(id) => id,
            None => {
                self.run("INSERT INTO worlds (body) VALUES (?1)", [&body])?;
                self.transaction.last_insert_rowid()
            }
        };
        self.worlds.insert(body, id);
        Ok(id)
    }

    /// The number of a set of packages, and whether it was there already.
    fn set(&mut self, packages: &[i64]) -> Result<(i64, bool), InventoryError> {
        let mut bytes = Vec::with_capacity(packages.len() * 2);
        postings::write(0, packages, &mut bytes);
        let identity = Digest::of(&bytes);
        let identity = identity.bytes().as_slice();
        if let Some(id) = self.number("SELECT id FROM sets WHERE identity = ?1", [identity])? {
            return Ok((id, true));
        }
        // No set is ever taken away, so numbers ascend, which the postings are built on.
        self.run("INSERT INTO sets (identity) VALUES (?1)", [identity])?;
        let id = self.transaction.last_insert_rowid();
        for package in packages {
            self.pending.entry(*package).or_default().push(id);
        }
        self.pending_count += packages.len();
        Ok((id, false))
    }

    /// Writes the postings that are waiting, each behind those of its piece that are there.
    fn write_pending(&mut self) -> Result<(), InventoryError> {
        for (package, sets) in std::mem::take(&mut self.pending) {
            for sets in sets.chunk_by(|left, right| left / PIECE == right / PIECE) {
                let Some(piece) = sets.first().map(|set| set / PIECE) else { continue };
                let read = || {
                    let query = "SELECT last, body FROM postings WHERE package = ?1 AND piece = ?2";
                    let mut statement = self.transaction.prepare_cached(query)?;
                    statement
                        .query_row([package, piece], |row| {
                            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                        })
                        .optional()
                };
                let stored = read().map_err(error(&self.path))?;
                let (last, mut body) = stored.unwrap_or((piece * PIECE - 1, Vec::new()));
                let last = postings::write(last, sets, &mut body);
                self.run(
                    "INSERT OR REPLACE INTO postings (package, piece, last, body) VALUES (?1, ?2, ?3, ?4)",
                    params![package, piece, last, body],
                )?;
            }
        }
        self.pending_count = 0;
        Ok(())
    }
}

/// What tells packages apart.
fn identity(world: i64, target: &Target) -> Digest {
    let world = world.to_string();
    let parts = [
        world.as_str(),
        target.kind.purl_type(),
        &target.name,
        &target.version,
        &target.source,
        &target.source_version,
        target.architecture.as_deref().unwrap_or_default(),
        target.module.as_deref().unwrap_or_default(),
    ];
    Digest::of(parts.join("\0").as_bytes())
}

fn json(
    value: &impl serde::Serialize,
    path: &Path,
    what: impl FnOnce() -> String,
) -> Result<String, InventoryError> {
    serde_json::to_string(value).map_err(|error| InventoryError::Stored {
        path: path.to_owned(),
        what: what(),
        reason: error.to_string(),
    })
}

fn error(path: &Path) -> impl Fn(rusqlite::Error) -> InventoryError + '_ {
    |source| InventoryError::Sqlite { path: path.to_owned(), doing: "add bills", source }
}
