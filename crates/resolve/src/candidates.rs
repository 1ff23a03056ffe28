//! Which packages meet a relation, and in which order they are tried: apt's rules, so that images hold what a Debian
//! user expects.
//!
//! A dependency's alternatives count in the order in which they are written; of one alternative first the package of
//! that name, then those that provide it, by [`CandidateOrder`]; of one package the newest version first.

use std::cmp::Reverse;

use calypte_universe::{PackageId, PackageIndex, PackageRecord, Relation};

use crate::request::Request;

/// How a dependency is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Met {
    /// By what is assumed to be present.
    Assumed,
    /// By one of these packages, the most wanted first; by none when there is none.
    By(Vec<PackageId>),
}

/// Meets a dependency, given as its alternatives, of a package (none: of the definition).
pub(crate) fn meet(
    index: &PackageIndex,
    request: &Request<'_>,
    depender: Option<&str>,
    alternatives: &[Relation<'_>],
) -> Met {
    let mut candidates = Vec::new();
    for relation in alternatives {
        if request.assumed(depender, relation.name) {
            return Met::Assumed;
        }
        let providers = providers(index, relation);
        // What an assumed package provides is assumed as well.
        if providers.iter().any(|provider| request.assumed(None, index.name(*provider))) {
            return Met::Assumed;
        }
        candidates.extend(real(index, relation));
        candidates.extend(providers);
    }
    let mut seen = std::collections::BTreeSet::new();
    candidates.retain(|candidate| seen.insert(*candidate));
    for relation in alternatives {
        if let Some(preferred) = request.prefer.get(relation.name) {
            candidates.sort_by_key(|candidate| index.name(*candidate) != preferred);
        }
    }
    Met::By(candidates)
}

/// All packages that a relation of `Conflicts` or `Breaks` speaks of.
pub(crate) fn spoken_of(index: &PackageIndex, relation: &Relation<'_>) -> Vec<PackageId> {
    let mut packages: Vec<PackageId> = real(index, relation).collect();
    packages.extend(providers(index, relation));
    packages
}

/// The packages of the relation's name, newest first.
fn real<'a>(index: &'a PackageIndex, relation: &'a Relation<'a>) -> impl Iterator<Item = PackageId> + 'a {
    index.named(relation.name).filter(|id| {
        let record = index.record(*id);
        relation.accepts(record.version) && fits(index, &record, relation.qualifier)
    })
}

/// The packages that provide the relation's name, the most wanted first.
fn providers(index: &PackageIndex, relation: &Relation<'_>) -> Vec<PackageId> {
    let mut providers: Vec<PackageId> = index
        .providers(relation.name)
        .filter(|id| {
            let record = index.record(*id);
            let provided = |provision: Relation<'_>| match (relation.version, provision.version) {
                (None, _) => true,
                // A provision without a version meets no demand for one (policy 7.5).
                (Some(_), None) => false,
                (Some(_), Some((_, version))) => relation.accepts(version),
            };
            fits(index, &record, relation.qualifier) && index.provisions(*id, relation.name).any(provided)
        })
        .collect();
    providers.sort_by_key(|id| CandidateOrder::of(index, *id));
    providers
}

/// Whether a package can meet a relation with this qualifier in an image of one architecture.
fn fits(index: &PackageIndex, record: &PackageRecord<'_>, qualifier: Option<&str>) -> bool {
    match qualifier {
        None | Some("native") => true,
        // Only packages that say so can stand in for those of another architecture, and `:any` asks for such.
        Some("any") => record.multi_arch == "allowed",
        Some(architecture) => architecture == index.architecture().deb(),
    }
}

/// The order of packages that provide the same name, as apt has it (`CompareProviders` in its depcache): essential
/// ones, then by priority, then by name; then the newest version.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CandidateOrder<'a> {
    essential: Reverse<bool>,
    priority: usize,
    name: &'a str,
    newest_first: PackageId,
}

impl<'a> CandidateOrder<'a> {
    fn of(index: &'a PackageIndex, id: PackageId) -> Self {
        let record = index.record(id);
        let priorities = ["required", "important", "standard", "optional", "extra"];
        Self {
            essential: Reverse(record.essential),
            priority: priorities.iter().position(|name| *name == record.priority).unwrap_or(priorities.len()),
            name: record.name,
            newest_first: id,
        }
    }
}
