//! Which images of a catalog a flaw concerns, whether there is a fix, and the two clocks: from the disclosure to the image, and
//! from the fix to the image.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_advisory::database::Database;
use calypte_advisory::{Finding, FixState};
use calypte_base::{Architecture, Epoch};
use calypte_definition::ImageId;
use serde::Serialize;

use crate::factory::Factory;
use crate::scan::{Knowledge, ScanReport, scan};

/// How an image stands to a flaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It has the flaw, and there is a fix that it lacks.
    FixMissing,
    /// It has the flaw, and there is no fix.
    NoFix,
    /// It does not count there: a VEX statement or an ignore rule says so.
    Suppressed,
    /// It has the fix.
    Fixed,
}

/// What a flaw concerns in a universe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Affected {
    /// The packages of images, those that lack a fix first.
    pub images: Vec<Concerned>,
    /// Why there may be more of them: what no feed, or only one that is too old, tells about.
    pub unknown: BTreeSet<String>,
}

/// A package of an image that a flaw concerns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Concerned {
    /// The image.
    pub image: String,
    /// Its architecture.
    pub architecture: Architecture,
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// How the image stands to the flaw.
    pub standing: Standing,
    /// The version that has the fix, where there is one; why it does not count, where it does not.
    pub detail: String,
    /// When the flaw was disclosed, as far as a feed tells.
    pub disclosed: Option<Epoch>,
    /// When a fix was in the archive, as far as its changelog or a feed tells.
    pub fix_since: Option<Epoch>,
    /// Of when the image's lock is; what it holds was in the image at this time at the latest.
    pub locked: Epoch,
    /// Seconds from the disclosure to the image with the fix, or until now while it lacks the fix.
    pub since_disclosure: Option<i64>,
    /// Seconds from the fix in the archive to the image with it, or until now.
    pub since_fix: Option<i64>,
}

impl Factory<'_> {
    /// The images of a universe that a flaw concerns, by its CVE number or any other name.
    ///
    /// # Errors
    /// When an image cannot be built from its lock, or the database cannot be read.
    pub fn affected(
        &self,
        flaw: &str,
        universe: &str,
        architectures: &[Architecture],
        database: &Database,
        knowledge: &Knowledge,
    ) -> Result<Affected> {
        let disclosed = database.show(flaw)?.told.iter().filter_map(|told| told.advisory.published).min();
        let mut all = Vec::new();
        let mut unknown = BTreeSet::new();
        for family in self.families(&[], universe)? {
            let lock = self.current_lock(universe, &family)?;
            let locked = lock.repositories.iter().map(|repository| repository.date).max().unwrap_or_default();
            for image in self.images.images_in(&family, universe) {
                for architecture in lock.packages.keys().filter(|one| architectures.contains(one)) {
                    self.stop_if_interrupted()?;
                    let about = About { flaw, image: &image, architecture: *architecture, locked, disclosed };
                    all.extend(self.concerned(&about, universe, database, knowledge, &mut unknown)?);
                }
            }
        }
        all.sort_by(|left, right| {
            let key =
                |one: &Concerned| (one.standing, one.image.clone(), one.architecture, one.package.clone());
            key(left).cmp(&key(right))
        });
        Ok(Affected { images: all, unknown })
    }

    fn concerned(
        &self,
        about: &About<'_>,
        universe: &str,
        database: &Database,
        knowledge: &Knowledge,
        unknown: &mut BTreeSet<String>,
    ) -> Result<Vec<Concerned>> {
        // Whether files are there is asked only by statements that name some.
        let is_about = |name: &String| name.eq_ignore_ascii_case(about.flaw);
        let mut statements = knowledge.statements.iter();
        let files = statements.any(|statement| {
            !statement.paths.is_empty()
                && (is_about(&statement.flaw) || statement.aliases.iter().any(is_about))
        });
        let bill = match files {
            true => self.bill(about.image, universe, about.architecture)?,
            false => self.bill_without_files(about.image, universe, about.architecture)?,
        };
        let report: ScanReport = scan(&bill, database, knowledge, self.settings.now)?;
        unknown.extend(report.unknown.iter().cloned());
        let is_it = |name: &String| name.eq_ignore_ascii_case(about.flaw);
        let named = |finding: &&Finding| is_it(&finding.vulnerability) || finding.aliases.iter().any(is_it);
        let mut all: Vec<Concerned> = report
            .findings
            .iter()
            .filter(named)
            .map(|finding| about.has(finding, self.settings.now))
            .collect();
        for (id, fixes) in &bill.fixes {
            let (Some(component), Some(fix)) =
                (bill.sbom.components.get(id), fixes.get(&about.flaw.to_ascii_uppercase()))
            else {
                continue;
            };
            all.push(about.concerned(
                (&component.name, &component.version),
                Standing::Fixed,
                fix.version.clone(),
                (fix.date, about.locked),
            ));
        }
        Ok(all)
    }
}

/// A flaw and an image.
struct About<'a> {
    flaw: &'a str,
    image: &'a ImageId,
    architecture: Architecture,
    locked: Epoch,
    disclosed: Option<Epoch>,
}

impl About<'_> {
    /// What a finding says.
    fn has(&self, finding: &Finding, now: Epoch) -> Concerned {
        let (standing, detail) = match (&finding.suppressed, &finding.state) {
            (Some(suppressed), _) => (Standing::Suppressed, suppressed.reason.clone()),
            (None, FixState::Fixed(versions)) => {
                (Standing::FixMissing, versions.iter().cloned().collect::<Vec<_>>().join(", "))
            }
            (None, _) => (Standing::NoFix, String::new()),
        };
        self.concerned((&finding.name, &finding.version), standing, detail, (finding.fix_since, now))
    }

    fn concerned(
        &self,
        (package, version): (&str, &str),
        standing: Standing,
        detail: String,
        (fix_since, end): (Option<Epoch>, Epoch),
    ) -> Concerned {
        // A disclosure after the fix was in the image (as after an embargo) took no time.
        let until_end = |since: Epoch| end.0.saturating_sub(since.0).max(0);
        Concerned {
            image: self.image.to_string(),
            architecture: self.architecture,
            package: package.to_owned(),
            version: version.to_owned(),
            standing,
            detail,
            disclosed: self.disclosed,
            fix_since,
            locked: self.locked,
            since_disclosure: self.disclosed.map(until_end),
            since_fix: fix_since.map(until_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_end_with_the_image_that_has_the_fix() {
        let image = ImageId { family: "nginx".into(), stream: None, variant: "default".into() };
        let about = About {
            flaw: "CVE-2026-0001",
            image: &image,
            architecture: Architecture::Amd64,
            locked: Epoch(1_000),
            disclosed: Some(Epoch(100)),
        };
        let fixed =
            about.concerned(("a", "2"), Standing::Fixed, "2".into(), (Some(Epoch(400)), about.locked));
        assert_eq!((fixed.since_disclosure, fixed.since_fix), (Some(900), Some(600)));
        let early = About { disclosed: Some(Epoch(2_000)), ..about };
        let fixed = early.concerned(("a", "2"), Standing::Fixed, "2".into(), (None, Epoch(1_000)));
        assert_eq!((fixed.since_disclosure, fixed.since_fix), (Some(0), None));
    }
}
