//! A bill of materials → what advisories say of its components whose version is in none of their ranges: out of these it is
//! proved that a flaw is fixed by version ([`crate::vex::derive::from_versions`]).

use std::rc::Rc;

use calypte_sbom::Sbom;

use super::examine::Examiner;
use super::target::{Target, worlds};
use crate::database::{Database, DatabaseError};
use crate::model::{Advisory, Affected};
use crate::vex::derive::Candidate;

/// What an advisory says of a component that is in none of its ranges.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The component, by its id in the bill of materials.
    pub component: String,
    /// The advisory, without what it says of packages.
    pub advisory: Rc<Advisory>,
    /// Its entries about the component.
    pub entries: Vec<Affected>,
}

impl Settled {
    /// As the proofs take it.
    #[must_use]
    pub fn candidate(&self) -> Candidate<'_> {
        Candidate {
            component: &self.component,
            advisory: &self.advisory,
            entries: self.entries.iter().collect(),
        }
    }
}

/// Looks up all components.
///
/// # Errors
/// When the database cannot be read.
pub fn settled(sbom: &Sbom, database: &Database) -> Result<Vec<Settled>, DatabaseError> {
    let mut examiner = Examiner::new(database)?;
    let mut all = Vec::new();
    for component in sbom.components.values().filter(|component| component.part_of.is_none()) {
        let target = Target::new(component);
        if target.without_version().is_some() {
            continue;
        }
        let Ok(worlds) = worlds(component.kind, sbom.distribution.as_ref()) else { continue };
        for (advisory, entries) in examiner.out_of_range(&target, &worlds)? {
            all.push(Settled { component: component.id.clone(), advisory, entries });
        }
    }
    Ok(all)
}
