//! Stage 3's heart: an index and a request in, the packages of an image out, each with who asked for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use calypte_universe::relation::dependencies;
use calypte_universe::{PackageId, PackageIndex, PackageRecord};
use resolvo::{ConditionalRequirement, Problem, Solver, UnsolvableOrCancelled};

use crate::candidates::{Met, meet};
use crate::error::ResolveError;
use crate::explain::explain;
use crate::provider::Provider;
use crate::request::Request;

/// How the asker is called when it is no package.
pub const DEFINITION: &str = "definition";

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution<'a> {
    /// The packages, by name.
    pub packages: Vec<Selected<'a>>,
}

/// A package of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<'a> {
    /// The package.
    pub record: PackageRecord<'a>,
    /// Who asks for it and is nearest to the definition: a package's name, or [`DEFINITION`]; one. Following it from
    /// package to package leads to the definition. Locks hold this and not [`Selected::askers`], since a library's
    /// line would otherwise change with each package that comes to use it.
    pub by: BTreeSet<&'a str>,
    /// Everyone who asks for it.
    pub askers: BTreeSet<&'a str>,
}

impl Resolution<'_> {
    /// The sum of the packages' files, in bytes.
    #[must_use]
    pub fn download_size(&self) -> u64 {
        self.packages.iter().map(|selected| selected.record.size).sum()
    }

    /// The way from a package to the definition: who asked for it, who asked for that, and so on. Empty when the
    /// package is not in the answer.
    #[must_use]
    pub fn why(&self, name: &str) -> Vec<&str> {
        let find = |name: &str| self.packages.iter().find(|selected| selected.record.name == name);
        let asker = |name: &str| find(name)?.by.first().copied();
        std::iter::successors(asker(name), |name| asker(name)).collect()
    }
}

/// Finds the packages that meet a request: newest versions, Recommends left out, Essential packages only where
/// something asks for them.
///
/// # Errors
/// When a package that is asked for is unknown, or no choice of packages meets all dependencies.
pub fn resolve<'a>(index: &'a PackageIndex, request: &Request<'_>) -> Result<Resolution<'a>, ResolveError> {
    check_names(index, request)?;
    let provider = Provider::new(index, request);
    let requirements = request
        .packages
        .iter()
        .map(|name| {
            let versions: Vec<PackageId> = index.named(name).collect();
            ConditionalRequirement { condition: None, requirement: provider.requirement(&versions, name) }
        })
        .collect();
    let mut solver = Solver::new(provider);
    match solver.solve(Problem::new().requirements(requirements)) {
        Ok(solvables) => {
            let chosen = solvables.iter().map(|solvable| solver.provider().id(*solvable)).collect();
            Ok(explained(index, request, &chosen))
        }
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            Err(no_solution(index, explain(&solver, &conflict)))
        }
        // The provider never cancels.
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(no_solution(index, Vec::new())),
    }
}

fn no_solution(index: &PackageIndex, problems: Vec<crate::error::Problem>) -> ResolveError {
    ResolveError::NoSolution {
        universe: index.universe().to_owned(),
        architecture: index.architecture(),
        problems,
    }
}

fn check_names(index: &PackageIndex, request: &Request<'_>) -> Result<(), ResolveError> {
    let unknown = |name: &str, by: String| ResolveError::UnknownPackage {
        universe: index.universe().to_owned(),
        architecture: index.architecture(),
        name: name.to_owned(),
        by,
        providers: index.providers(name).map(|id| index.name(id).to_owned()).take(8).collect(),
        near: index.near(name).into_iter().map(str::to_owned).collect(),
    };
    for name in &request.packages {
        if index.named(name).next().is_none() {
            return Err(unknown(name, "the definition asks for".to_owned()));
        }
    }
    for (name, package) in &request.prefer {
        if index.named(package).next().is_none() {
            return Err(unknown(package, format!("`prefer` takes for `{name}`")));
        }
        let candidates: BTreeSet<&str> = index.providers(name).map(|id| index.name(id)).collect();
        if name != package && !candidates.contains(package.as_str()) {
            return Err(ResolveError::UselessPreference {
                universe: index.universe().to_owned(),
                name: name.clone(),
                package: package.clone(),
                candidates: candidates.into_iter().take(8).map(str::to_owned).collect(),
            });
        }
    }
    Ok(())
}

/// Finds out who asks for each of the chosen packages, from the definition outwards. A package that nobody asks for
/// any more, since another one that came later meets the same dependency, is left out.
fn explained<'a>(
    index: &'a PackageIndex,
    request: &Request<'_>,
    chosen: &BTreeSet<PackageId>,
) -> Resolution<'a> {
    let mut asked: BTreeMap<PackageId, (BTreeSet<&str>, &str)> = BTreeMap::new();
    let mut queue = VecDeque::new();
    for id in chosen.iter().filter(|id| request.packages.contains(index.name(**id))) {
        asked.insert(*id, (BTreeSet::from([DEFINITION]), DEFINITION));
        queue.push_back(*id);
    }
    while let Some(asker) = queue.pop_front() {
        let record = index.record(asker);
        let fields = [record.pre_depends, record.depends];
        for alternatives in fields.into_iter().flat_map(dependencies).filter_map(Result::ok) {
            let Met::By(candidates) = meet(index, request, Some(record.name), &alternatives) else {
                continue;
            };
            let Some(id) = candidates.into_iter().find(|candidate| chosen.contains(candidate)) else {
                continue;
            };
            if id == asker {
                continue;
            }
            let (askers, _) = asked.entry(id).or_insert_with(|| {
                queue.push_back(id);
                (BTreeSet::new(), record.name)
            });
            askers.insert(record.name);
        }
    }
    let selected = |(id, (askers, nearest))| Selected {
        record: index.record(id),
        by: BTreeSet::from([nearest]),
        askers,
    };
    Resolution { packages: asked.into_iter().map(selected).collect() }
}
