//! libsolv's order, as dnf uses it. The alternatives of a formula are one set of packages, and how they are written means
//! nothing. Their names are ordered by [`Rank`]; of one name the newest version comes first.
//!
//! Where libsolv looks at what else is chosen already (a package that another chosen one recommends), here only the
//! package with the dependency is asked: an answer must not depend on the order in which questions come up.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::version::RpmVersion;

use super::super::{PackageId, PackageIndex};
use crate::relation::{Choice, Operator, Relation, relations};
use crate::table::Column;

/// Who asks for an obsoleted package by its name means the one that took its place; a dependency does not.
pub(super) fn asked(index: &PackageIndex, name: &str) -> Vec<PackageId> {
    let named: Vec<PackageId> = index.named(name).collect();
    let takes_place = |id: &PackageId| named.iter().any(|old| obsoletes(index, *id, *old));
    let successors: Vec<PackageId> = index.obsoleters(name).filter(takes_place).collect();
    let mut asked = ordered(index, None, successors);
    asked.extend(named);
    asked
}

pub(super) fn candidates(
    index: &PackageIndex,
    depender: Option<PackageId>,
    any: &[Choice<'_>],
) -> Vec<PackageId> {
    let all: BTreeSet<PackageId> = any.iter().flat_map(|choice| index.meeting(choice)).collect();
    ordered(index, depender, all.into_iter().collect())
}

/// The less the better, from the first field on.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    /// Of an architecture that is not the image's.
    secondary: bool,
    /// Another candidate says that it takes its place.
    obsoleted: bool,
    /// The package with the dependency does not recommend it, nor does it supplement that.
    unrecommended: bool,
    /// The same with suggest and enhance.
    unsuggested: bool,
    /// How many newer versions the others provide of what several of them provide.
    behind: usize,
    name: &'a str,
}

/// Packages in the order in which they are wanted; given in the order of the index.
fn ordered(index: &PackageIndex, depender: Option<PackageId>, packages: Vec<PackageId>) -> Vec<PackageId> {
    let mut by_name: BTreeMap<&str, Vec<PackageId>> = BTreeMap::new();
    for id in packages {
        by_name.entry(index.name(id)).or_default().push(id);
    }
    if by_name.len() < 2 {
        return by_name.into_values().flatten().collect();
    }
    let best: Vec<PackageId> = by_name.values().filter_map(|versions| versions.first().copied()).collect();
    let behind = behind(index, &best);
    let wished = |column| -> BTreeSet<PackageId> {
        let field = depender.map_or("", |depender| index.column(depender, column));
        let clauses = crate::relation::requirements(index.format(), field);
        let choices = clauses.filter_map(|(_, clauses)| clauses.ok()).flatten().flat_map(|clause| clause.any);
        choices.flat_map(|choice| index.meeting(&choice)).collect()
    };
    let (recommended, suggested) = (wished(Column::Recommends), wished(Column::Suggests));
    let mut ranked: Vec<(Rank<'_>, Vec<PackageId>)> = by_name
        .into_iter()
        .zip(&best)
        .map(|((name, versions), id)| {
            let architecture = index.column(*id, Column::Architecture);
            let rank = Rank {
                secondary: architecture != "noarch" && architecture != index.architecture().rpm(),
                obsoleted: best.iter().any(|other| {
                    other != id && obsoletes(index, *other, *id) && !obsoletes(index, *id, *other)
                }),
                unrecommended: !recommended.contains(id)
                    && !goes_with(index, *id, Column::Supplements, depender),
                unsuggested: !suggested.contains(id) && !goes_with(index, *id, Column::Enhances, depender),
                behind: behind.get(id).copied().unwrap_or(0),
                name,
            };
            (rank, versions)
        })
        .collect();
    ranked.sort_by(|left, right| left.0.cmp(&right.0));
    ranked.into_iter().flat_map(|(_, versions)| versions).collect()
}

/// Whether a package says in this column that it goes with another.
fn goes_with(index: &PackageIndex, id: PackageId, column: Column, other: Option<PackageId>) -> bool {
    let Some(other) = other else { return false };
    let clauses = crate::relation::requirements(index.format(), index.column(id, column));
    clauses.filter_map(|(_, clauses)| clauses.ok()).any(|clauses| {
        !clauses.is_empty()
            && clauses.iter().all(|clause| {
                clause.when.is_empty()
                    && clause.any.iter().any(|choice| index.meeting(choice).contains(&other))
            })
    })
}

/// Whether one package says that it takes the place of another: by name and version, never by what that provides.
fn obsoletes(index: &PackageIndex, id: PackageId, other: PackageId) -> bool {
    let (name, version) = (index.name(other), index.version(other));
    relations(index.format(), index.column(id, Column::Obsoletes))
        .filter_map(Result::ok)
        .any(|relation| relation.name == name && relation.accepts(version))
}

/// For what two or more of the packages provide in a version: how many newer versions of it there are among them,
/// summed up for each package.
fn behind(index: &PackageIndex, packages: &[PackageId]) -> BTreeMap<PackageId, usize> {
    let mut provided: BTreeMap<&str, Vec<(RpmVersion<'_>, PackageId)>> = BTreeMap::new();
    for id in packages {
        let own = Some((index.name(*id), index.version(*id)));
        let others = relations(index.format(), index.column(*id, Column::Provides))
            .filter_map(Result::ok)
            .filter_map(|Relation { name, version, .. }| match version? {
                (Operator::Equal | Operator::EarlierOrEqual | Operator::Earlier, version) => {
                    Some((name, version))
                }
                _ => None,
            });
        // A package's own name may be among what it provides, or not.
        let said: BTreeSet<(&str, &str)> = own.into_iter().chain(others).collect();
        for (name, version) in said.into_iter().filter(|(_, version)| !is_hash(version)) {
            if let Ok(version) = RpmVersion::parse(version) {
                provided.entry(name).or_default().push((version, *id));
            }
        }
    }
    let mut behind = BTreeMap::new();
    for mut versions in provided.into_values().filter(|versions| versions.len() > 1) {
        versions.sort_by(|left, right| right.0.compare_in_relation(&left.0));
        let mut rank = 0;
        for pair in versions.windows(2) {
            rank += usize::from(pair[0].0.compare_in_relation(&pair[1].0).is_ne());
            *behind.entry(pair[1].1).or_insert(0) += rank;
        }
    }
    behind
}

/// A commit's digest stands for no order.
fn is_hash(version: &str) -> bool {
    version.len() >= 4 && version.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
