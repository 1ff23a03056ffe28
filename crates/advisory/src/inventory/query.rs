//! An advisory → the images that it is about, by the rules of a scan.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Digest;
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::postings::{self, PIECE};
use super::{Inventory, InventoryError};
use crate::cve::is_cve;
use crate::database::Database;
use crate::finding::FixState;
use crate::matching::{Examiner, Looking, OwnFixes, Rule, Target, Traits, Weighed, flaws, weigh};
use crate::model::{Advisory, Ecosystem};

/// Sets up to which bills are looked up one by one; above, all bills are gone through once.
const FEW_SETS: usize = 2_000;

/// The images that an advisory is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AffectedImages {
    /// The packages, in each version that some image has.
    pub packages: Vec<AffectedPackage>,
    /// The images, in the order in which they were added.
    pub images: Vec<AffectedImage>,
}

/// A package in a version that has the flaw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AffectedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The name that the advisory uses.
    pub matched: String,
    /// The range in words.
    pub range: String,
    /// What can be done.
    pub state: FixState,
}

/// An image that has the flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AffectedImage {
    /// The name under which its bill was added.
    pub name: String,
    /// Its digest, where one was given.
    pub digest: Option<Digest>,
    /// By which packages: their places in [`AffectedImages::packages`].
    pub packages: Vec<usize>,
}

/// A package that has a name of an advisory.
#[derive(Debug)]
struct Candidate {
    target: Target,
    worlds: Vec<Ecosystem>,
    fixes: Option<OwnFixes>,
}

impl Inventory {
    /// The images that one advisory is about, whoever else says something of the flaw. It is taken for a changelog's when
    /// `changelog` says so.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn affected(&self, advisory: &Advisory, changelog: bool) -> Result<AffectedImages, InventoryError> {
        if advisory.withdrawn.is_some() {
            return Ok(AffectedImages::default());
        }
        let modular = advisory.affected.iter().any(|affected| affected.module.is_some());
        let traits = Traits { modular, changelog };
        let mut found = Vec::new();
        for (id, candidate) in self.candidates([advisory])? {
            let keys: Vec<String> = candidate.worlds.iter().map(Ecosystem::key).collect();
            let entries = advisory.affected.iter().filter_map(|affected| {
                let key = affected.ecosystem.key();
                Some((keys.iter().position(|world| *world == key)?, affected))
            });
            let Some(said) = weigh(&candidate.target, entries, traits) else { continue };
            // Of an advisory about several flaws, one that the package's own changelog does not name is enough.
            let is_fixed =
                |flaw: &str| candidate.fixes.as_ref().is_some_and(|fixes| fixes.contains_key(flaw));
            if said.rule == Rule::InRange && !flaws(advisory).into_iter().all(is_fixed) {
                found.push((id, package(&candidate, said)));
            }
        }
        self.images(found)
    }

    /// The images that have a flaw, by all that the sources say of it together, as a scan would find it.
    ///
    /// # Errors
    /// When the file or the database cannot be read.
    pub fn affected_by(&self, flaw: &str, database: &Database) -> Result<AffectedImages, InventoryError> {
        let told = database.show(flaw)?.told;
        let (named, keys) = (database.advisories_named(flaw)?, database.advisories_about(flaw)?);
        let mut examiner = Examiner::new(database)?;
        let mut found = Vec::new();
        for (id, candidate) in self.candidates(told.iter().map(|told| &told.advisory))? {
            let Candidate { target, worlds, fixes } = &candidate;
            let claims = examiner.examine(target, worlds, fixes.as_ref(), Looking::At(&keys))?;
            // An advisory may be about several flaws; asked for by its own name, all of them count.
            let is_asked = |name: &str| name == flaw || !is_cve(flaw) || !is_cve(name);
            let mut counting = claims.into_iter().filter(|claim| {
                claim.weighed.rule == Rule::InRange
                    && named.contains(&claim.advisory)
                    && is_asked(&claim.flaw)
            });
            if let Some(first) = counting.next() {
                found.push((id, package(&candidate, first.weighed)));
            }
        }
        self.images(found)
    }

    /// The packages that have a name of one of these advisories, by their numbers.
    fn candidates<'a>(
        &self,
        advisories: impl IntoIterator<Item = &'a Advisory>,
    ) -> Result<BTreeMap<i64, Candidate>, InventoryError> {
        let mut names = BTreeSet::new();
        for affected in advisories.into_iter().flat_map(|advisory| &advisory.affected) {
            names.insert(affected.ecosystem.normal_name(&affected.package).into_owned());
        }
        let mut candidates = BTreeMap::new();
        let error = self.error("look up a package");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT p.id, p.body, w.body, p.fixes FROM packages p JOIN worlds w ON w.id = p.world
                 WHERE p.name = ?1 OR p.source = ?1",
            )
            .map_err(&error)?;
        for name in names {
            let mut rows = statement.query([&name]).map_err(&error)?;
            while let Some(row) = rows.next().map_err(&error)? {
                let (id, candidate) = self.candidate(row, &name)?;
                candidates.insert(id, candidate);
            }
        }
        Ok(candidates)
    }

    fn candidate(&self, row: &Row<'_>, name: &str) -> Result<(i64, Candidate), InventoryError> {
        let error = self.error("look up a package");
        let text = |column| row.get_ref(column).and_then(|text| Ok(text.as_str()?)).map_err(&error);
        let fixes: Option<String> = row.get(3).map_err(&error)?;
        let candidate = Candidate {
            target: self.parse(text(1)?, name)?,
            worlds: self.parse(text(2)?, name)?,
            fixes: fixes.map(|fixes| self.parse(&fixes, name)).transpose()?,
        };
        Ok((row.get(0).map_err(&error)?, candidate))
    }

    /// The images that have these packages.
    fn images(&self, mut found: Vec<(i64, AffectedPackage)>) -> Result<AffectedImages, InventoryError> {
        found.sort_by(|left, right| (&left.1, left.0).cmp(&(&right.1, right.0)));
        // Each set with the places of its packages, by set and place.
        let mut sets: Vec<(i64, usize)> = Vec::new();
        for (place, (id, _)) in found.iter().enumerate() {
            self.add_sets(*id, place, &mut sets)?;
        }
        sets.sort_unstable();
        sets.dedup();
        let packages = found.into_iter().map(|(_, package)| package).collect();
        let distinct = sets.chunk_by(|left, right| left.0 == right.0).count();
        let images = if distinct <= FEW_SETS {
            let mut images = Vec::new();
            for places in sets.chunk_by(|left, right| left.0 == right.0) {
                self.add_images_of(places, &mut images)?;
            }
            images.sort_unstable_by_key(|(id, _)| *id);
            images.into_iter().map(|(_, image)| image).collect()
        } else {
            self.images_of_many(&sets, distinct)?
        };
        Ok(AffectedImages { packages, images })
    }

    fn add_sets(
        &self,
        package: i64,
        place: usize,
        sets: &mut Vec<(i64, usize)>,
    ) -> Result<(), InventoryError> {
        let error = self.error("look up what has a package");
        let mut statement = self
            .connection
            .prepare_cached("SELECT piece, body FROM postings WHERE package = ?1 ORDER BY piece")
            .map_err(&error)?;
        let mut rows = statement.query([package]).map_err(&error)?;
        while let Some(row) = rows.next().map_err(&error)? {
            let piece: i64 = row.get(0).map_err(&error)?;
            let body = row.get_ref(1).and_then(|body| Ok(body.as_blob()?)).map_err(&error)?;
            let before = piece.checked_mul(PIECE).map(|first| first - 1);
            let read = before.and_then(|before| postings::read(before, body, |set| sets.push((set, place))));
            read.ok_or_else(|| InventoryError::Stored {
                path: self.path.clone(),
                what: format!("what has package number {package}"),
                reason: "it is no list of ascending numbers".to_owned(),
            })?;
        }
        Ok(())
    }

    /// The images of one set.
    fn add_images_of(
        &self,
        places: &[(i64, usize)],
        images: &mut Vec<(i64, AffectedImage)>,
    ) -> Result<(), InventoryError> {
        let Some((set, _)) = places.first() else { return Ok(()) };
        let mut read = || {
            let query = "SELECT id, name, digest FROM bills WHERE packages = ?1";
            let mut statement = self.connection.prepare_cached(query)?;
            let mut rows = statement.query([set])?;
            while let Some(row) = rows.next()? {
                images.push((row.get(0)?, image(row, places)?));
            }
            Ok(())
        };
        read().map_err(self.error("look up images"))
    }

    /// The images of these sets, which are sorted, so many of them distinct: all bills are gone through in the order of
    /// their file.
    fn images_of_many(
        &self,
        sets: &[(i64, usize)],
        distinct: usize,
    ) -> Result<Vec<AffectedImage>, InventoryError> {
        let read = || {
            let mut images = Vec::with_capacity(distinct);
            let query = "SELECT packages, name, digest FROM bills ORDER BY id";
            let mut statement = self.connection.prepare_cached(query)?;
            let mut rows = statement.query(())?;
            let mut near = 0;
            while let Some(row) = rows.next()? {
                let set: i64 = row.get(0)?;
                near = start_of(sets, set, near);
                let rest = sets.get(near..).unwrap_or_default();
                let places = rest.iter().take_while(|(other, _)| *other == set).count();
                if let Some(places) = rest.get(..places).filter(|places| !places.is_empty()) {
                    images.push(image(row, places)?);
                }
            }
            Ok(images)
        };
        read().map_err(self.error("look up images"))
    }

    fn parse<T: DeserializeOwned>(&self, text: &str, name: &str) -> Result<T, InventoryError> {
        serde_json::from_str(text).map_err(|error| InventoryError::Stored {
            path: self.path.clone(),
            what: format!("package `{name}`"),
            reason: error.to_string(),
        })
    }
}

/// Where a set begins among these. Most bills follow that of the set before, so it is looked for near there first.
fn start_of(sets: &[(i64, usize)], set: i64, near: usize) -> usize {
    const NEAR: usize = 16;
    let before = |place: usize| sets.get(place).is_some_and(|(other, _)| *other < set);
    if near == 0 || before(near - 1) {
        let close = (near..near + NEAR).find(|place| !before(*place));
        if let Some(close) = close {
            return close;
        }
    }
    sets.partition_point(|(other, _)| *other < set)
}

fn package(candidate: &Candidate, said: Weighed) -> AffectedPackage {
    AffectedPackage {
        name: candidate.target.name.clone(),
        version: candidate.target.version.clone(),
        matched: said.package,
        range: said.range,
        state: said.state,
    }
}

fn image(row: &Row<'_>, places: &[(i64, usize)]) -> rusqlite::Result<AffectedImage> {
    let digest: Option<[u8; 32]> = row.get(2)?;
    Ok(AffectedImage {
        name: row.get(1)?,
        digest: digest.map(Digest::from_bytes),
        packages: places.iter().map(|(_, place)| *place).collect(),
    })
}
