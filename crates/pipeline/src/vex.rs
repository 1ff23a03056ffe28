//! VEX of the catalog's images: what people say, what is proved out of an image and its advisories, and what is left to be
//! done → one statement of each flaw in each package, and the documents that publish them.

mod directory;
mod facts;
mod paths;
mod publish;
#[cfg(test)]
mod tests;
mod times;

use anyhow::Result;
use calypte_advisory::Finding;
use calypte_advisory::database::Database;
use calypte_advisory::matching::{self, Options};
use calypte_advisory::vex::{self, Decided, Scanned, derive, found};
use calypte_base::{Architecture, Epoch};
use calypte_definition::ImageId;

use crate::bill::Bill;
use crate::factory::Factory;
use crate::scan::{Knowledge, statements};

pub use publish::{Changed, ImageDocument, Publisher, VexPublished, VexRequest};

/// What is known of the flaws of one image.
#[derive(Debug, Clone)]
pub struct ImageVex {
    /// One statement of each flaw in each package.
    pub decided: Vec<Decided>,
    /// What the feeds tell, with what takes it away.
    pub findings: Vec<Finding>,
    /// Why there may be more.
    pub unknown: Vec<String>,
}

impl Factory<'_> {
    /// What is known of an image of the catalog for one architecture; `repository` is where it is published.
    ///
    /// # Errors
    /// When the image cannot be built from its lock, a reviewed statement names a file that its package does not have, or
    /// the database cannot be read.
    pub fn vex(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
        database: &Database,
        knowledge: &Knowledge,
        repository: Option<&str>,
    ) -> Result<ImageVex> {
        let bill = self.bill(image, universe, architecture)?;
        self.check_paths(&knowledge.statements, image, universe, architecture)?;
        decide(&bill, database, knowledge, repository, self.settings.now)
    }
}

/// What counts for the image of a bill.
///
/// # Errors
/// When the database cannot be read.
pub fn decide(
    bill: &Bill,
    database: &Database,
    knowledge: &Knowledge,
    repository: Option<&str>,
    now: Epoch,
) -> Result<ImageVex> {
    let mut scan = matching::scan(&bill.sbom, &bill.fixes, database, &Options::new(now))?;
    let mut scanned = Scanned::new(&bill.sbom);
    if let Some(repository) = repository {
        scanned = scanned.in_repository(repository);
    }
    let mut all = statements(bill, knowledge, &scanned);
    let settled = matching::settled(&bill.sbom, database)?;
    let candidates = settled.iter().map(matching::Settled::candidate);
    all.extend(derive::from_versions(candidates, &scan.findings, &scanned));
    vex::apply(&mut scan.findings, &all, &scanned);
    all.extend(found::from_findings(&scan.findings, &scanned));
    let mut unknown = scan.unknown;
    unknown.extend(bill.gaps.iter().cloned());
    Ok(ImageVex { decided: vex::for_image(&all, &scanned), findings: scan.findings, unknown })
}
