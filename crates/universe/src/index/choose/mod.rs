//! Which packages meet a demand, and in which order they are tried: apt's rules for Debian, libsolv's for RPM, so that
//! images hold what a user of the distribution expects.

mod deb;
mod rpm;

use std::collections::BTreeSet;

use calypte_base::PackageFormat;

use super::{PackageId, PackageIndex, PackageRecord};
use crate::relation::{Choice, Objection, Relation};

impl PackageIndex {
    /// The packages that are meant by who asks for one of this name, the most wanted first. A name that no package bears
    /// stands for the one that provides it, as for apt and dnf; where several do, it stands for none.
    #[must_use]
    pub fn asked(&self, name: &str) -> Vec<PackageId> {
        let named: Vec<PackageId> = match self.format {
            PackageFormat::Deb => self.named(name).collect(),
            PackageFormat::Rpm => rpm::asked(self, name),
        };
        if !named.is_empty() {
            return named;
        }
        let providers: Vec<PackageId> = self.providers(name).collect();
        let names: BTreeSet<&str> = providers.iter().map(|id| self.name(*id)).collect();
        if names.len() == 1 { providers } else { Vec::new() }
    }

    /// The packages that meet any of these choices, each once, the most wanted first. `depender` has the dependency;
    /// none when the definition does.
    #[must_use]
    pub fn candidates(&self, depender: Option<PackageId>, any: &[Choice<'_>]) -> Vec<PackageId> {
        let mut candidates = match self.format {
            PackageFormat::Deb => deb::candidates(self, any),
            PackageFormat::Rpm => rpm::candidates(self, depender, any),
        };
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(*candidate));
        candidates
    }

    /// Whether the distribution's package manager leaves out a package that it had chosen once what it was chosen for is
    /// met by others: libsolv does, apt does not.
    #[must_use]
    pub fn drops_redundant(&self) -> bool {
        self.format == PackageFormat::Rpm
    }

    /// All packages that meet a choice, each once, in the order of the index.
    #[must_use]
    pub fn meeting(&self, choice: &Choice<'_>) -> BTreeSet<PackageId> {
        let mut packages: BTreeSet<PackageId> = self.real(&choice.relation).collect();
        packages.extend(self.providing(&choice.relation));
        packages.retain(|id| self.meets_rest(*id, choice));
        packages
    }

    /// All packages that one part of an objection speaks of.
    #[must_use]
    pub fn objected(&self, objection: &Objection<'_>, part: &Choice<'_>) -> BTreeSet<PackageId> {
        if objection.by_name { self.real(&part.relation).collect() } else { self.meeting(part) }
    }

    /// The packages of the relation's name, newest first.
    fn real<'a>(&'a self, relation: &'a Relation<'a>) -> impl Iterator<Item = PackageId> + 'a {
        self.named(relation.name).filter(|id| {
            let record = self.record(*id);
            relation.accepts(record.version) && self.fits(&record, relation.qualifier)
        })
    }

    /// The packages that provide the relation's name, in the order of the index.
    fn providing<'a>(&'a self, relation: &'a Relation<'a>) -> impl Iterator<Item = PackageId> + 'a {
        self.providers(relation.name).filter(|id| {
            let provided = |provision: Relation<'_>| relation.met_by(&provision);
            self.fits(&self.record(*id), relation.qualifier)
                && self.provisions(*id, relation.name).any(provided)
        })
    }

    /// Whether a package that meets the choice's relation meets all that it says beside that.
    fn meets_rest(&self, id: PackageId, choice: &Choice<'_>) -> bool {
        choice.with.iter().all(|relation| self.meets(id, relation))
            && !choice.without.iter().any(|relation| self.meets(id, relation))
    }

    fn meets(&self, id: PackageId, relation: &Relation<'_>) -> bool {
        let record = self.record(id);
        (record.name == relation.name && relation.accepts(record.version))
            || self.provisions(id, relation.name).any(|provision| relation.met_by(&provision))
    }

    /// Whether a package can meet a relation with this qualifier in an image of one architecture.
    fn fits(&self, record: &PackageRecord<'_>, qualifier: Option<&str>) -> bool {
        match qualifier {
            None | Some("native") => true,
            // Only packages that say so can stand in for those of another architecture, and `:any` asks for such.
            Some("any") => record.multi_arch == "allowed",
            Some(architecture) => architecture == self.architecture.deb(),
        }
    }
}
