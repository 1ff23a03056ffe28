//! How a dependency is met: by what the index has, or by what the universe assumes to be present.

use calypte_universe::{Clause, PackageId, PackageIndex};

use crate::request::Request;

/// How a dependency is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Met {
    /// Nothing is demanded: it is assumed to be present, or what it is conditional on cannot be there.
    Assumed,
    /// By one of these packages, the most wanted first; by none when there is none.
    By {
        /// The packages.
        candidates: Vec<PackageId>,
        /// What it is conditional on: one package of each of these lists must be there; mostly empty.
        when: Vec<Vec<PackageId>>,
    },
}

/// Meets a clause of a package (none: of the definition).
pub(crate) fn meet(
    index: &PackageIndex,
    request: &Request<'_>,
    depender: Option<PackageId>,
    clause: &Clause<'_>,
) -> Met {
    let Some(when) = conditions(index, depender, clause) else { return Met::Assumed };
    let name = depender.map(|depender| index.name(depender));
    for choice in &clause.any {
        let relation = choice.relation.name;
        if request.assumed(name, relation) || (clause.for_scripts && request.assumed_for_scripts(relation)) {
            return Met::Assumed;
        }
    }
    let mut candidates = index.candidates(depender, &clause.any);
    // What an assumed package provides is assumed as well.
    let other = |id: &PackageId| clause.any.iter().all(|choice| choice.relation.name != index.name(*id));
    if candidates.iter().filter(|id| other(id)).any(|id| request.assumed(None, index.name(*id))) {
        return Met::Assumed;
    }
    for choice in &clause.any {
        if let Some(preferred) = request.prefer.get(choice.relation.name) {
            candidates.sort_by_key(|candidate| index.name(*candidate) != preferred);
        }
    }
    Met::By { candidates, when }
}

/// The packages of each condition of a clause; none when one of them can never be there. A package is there for itself.
/// One that is only assumed is not there: what would be wanted beside it is not.
fn conditions(
    index: &PackageIndex,
    depender: Option<PackageId>,
    clause: &Clause<'_>,
) -> Option<Vec<Vec<PackageId>>> {
    let mut when = Vec::new();
    for choice in &clause.when {
        let packages: Vec<PackageId> = index.meeting(choice).into_iter().collect();
        if depender.is_some_and(|depender| packages.contains(&depender)) {
            continue;
        }
        if packages.is_empty() {
            return None;
        }
        when.push(packages);
    }
    Some(when)
}
