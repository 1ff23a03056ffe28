//! apt's order: a dependency's alternatives count as they are written; of one alternative first the package of that
//! name, then those that provide it, by [`CandidateOrder`]; of one package the newest version first.

use std::cmp::Reverse;

use super::super::{PackageId, PackageIndex};
use crate::relation::Choice;

pub(super) fn candidates(index: &PackageIndex, any: &[Choice<'_>]) -> Vec<PackageId> {
    let mut candidates = Vec::new();
    for choice in any {
        candidates.extend(index.real(&choice.relation));
        let mut providers: Vec<PackageId> = index.providing(&choice.relation).collect();
        providers.sort_by_key(|id| CandidateOrder::of(index, *id));
        candidates.extend(providers);
    }
    candidates
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
