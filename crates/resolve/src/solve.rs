//! Stage 3's heart: an index and a request in, the packages of an image out, each with who asked for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    let (solver, outcome) = solve(Provider::new(index, request));
    match outcome {
        Ok(chosen) => Ok(explained(index, request, chosen)),
        // Resolvo cannot draw the graph of a conflict that conditions have part in.
        Err(_) if solver.provider().has_conditions() => {
            Err(no_solution(index, unconditionally(index, request)))
        }
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            Err(no_solution(index, explain(&solver, &conflict)))
        }
        // The provider never cancels.
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(no_solution(index, Vec::new())),
    }
}

/// The solver after its work, and the packages that it chose.
type Outcome<'a> = (Solver<Provider<'a>>, Result<BTreeSet<PackageId>, UnsolvableOrCancelled>);

fn solve<'a>(provider: Provider<'a>) -> Outcome<'a> {
    let asked = provider.request.packages.iter();
    let requirements = asked
        .map(|name| {
            let requirement = provider.requirement(&provider.index.asked(name), name);
            ConditionalRequirement { condition: None, requirement }
        })
        .collect();
    let mut solver = Solver::new(provider);
    let outcome = solver.solve(Problem::new().requirements(requirements));
    let chosen =
        |solvables: Vec<_>| solvables.into_iter().map(|solvable| solver.provider().id(solvable)).collect();
    let outcome = outcome.map(chosen);
    (solver, outcome)
}

/// Why there is no solution where conditions have part in it: what is wrong without them, else which of them no choice
/// meets.
fn unconditionally(index: &PackageIndex, request: &Request<'_>) -> Vec<crate::error::Problem> {
    let (solver, outcome) = solve(Provider::without_conditions(index, request));
    match outcome {
        Ok(chosen) => chosen.iter().flat_map(|id| solver.provider().unmet_conditions(*id, &chosen)).collect(),
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => explain(&solver, &conflict),
        Err(UnsolvableOrCancelled::Cancelled(_)) => Vec::new(),
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
        if index.asked(name).is_empty() {
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
/// any more, since another one that came later meets the same dependency, is left out; and with it what was only asked
/// for on the condition that it is there.
fn explained<'a>(
    index: &'a PackageIndex,
    request: &Request<'_>,
    mut chosen: BTreeSet<PackageId>,
) -> Resolution<'a> {
    loop {
        let needs = Needs::of(index, request, &chosen);
        if needs.asked.len() < chosen.len() {
            chosen = needs.asked.into_keys().collect();
        } else if let Some(fewer) = without_one(index, request, &needs) {
            chosen = fewer;
        } else {
            let selected = |(id, (askers, nearest))| Selected {
                record: index.record(id),
                by: BTreeSet::from([nearest]),
                askers,
            };
            return Resolution { packages: needs.asked.into_iter().map(selected).collect() };
        }
    }
}

/// The packages without the first one, by name, that is not needed: all that asks for it is met by others too. A package
/// manager that does so is imitated; another one keeps what it chose first.
fn without_one(
    index: &PackageIndex,
    request: &Request<'_>,
    needs: &Needs<'_>,
) -> Option<BTreeSet<PackageId>> {
    if !index.drops_redundant() {
        return None;
    }
    needs.asked.keys().filter(|id| !needs.indispensable.contains(id)).find_map(|id| {
        let rest: BTreeSet<PackageId> = needs.asked.keys().copied().filter(|other| other != id).collect();
        let needs = Needs::of(index, request, &rest);
        needs.all_met.then(|| needs.asked.into_keys().collect())
    })
}

/// Who asks for a package, and who does so first.
type Askers<'a> = (BTreeSet<&'a str>, &'a str);

/// What a choice of packages is needed for.
struct Needs<'a> {
    asked: BTreeMap<PackageId, Askers<'a>>,
    /// The packages that alone among the chosen ones meet something, or that the definition names.
    indispensable: BTreeSet<PackageId>,
    /// Whether the chosen ones meet all that those of them that are needed ask for.
    all_met: bool,
}

impl<'a> Needs<'a> {
    fn of(index: &'a PackageIndex, request: &Request<'_>, chosen: &BTreeSet<PackageId>) -> Self {
        let mut asked: BTreeMap<PackageId, Askers<'a>> = BTreeMap::new();
        let first = |name: &String| index.asked(name).into_iter().find(|id| chosen.contains(id));
        let roots: BTreeSet<PackageId> = request.packages.iter().filter_map(first).collect();
        let mut queue: VecDeque<PackageId> = roots.iter().copied().collect();
        asked.extend(queue.iter().map(|id| (*id, (BTreeSet::from([DEFINITION]), DEFINITION))));
        let (mut indispensable, mut all_met) = (roots, true);
        while let Some(asker) = queue.pop_front() {
            let record = index.record(asker);
            for clause in record.requirements().filter_map(|entry| entry.clauses.ok()).flatten() {
                let Met::By { candidates, when } = meet(index, request, Some(asker), &clause) else {
                    continue;
                };
                if !when.iter().all(|packages| packages.iter().any(|id| chosen.contains(id))) {
                    continue;
                }
                if candidates.contains(&asker) {
                    continue;
                }
                let mut met = candidates.into_iter().filter(|candidate| chosen.contains(candidate));
                let Some(id) = met.next() else {
                    all_met = false;
                    continue;
                };
                if met.next().is_none() {
                    indispensable.insert(id);
                }
                let (askers, _) = asked.entry(id).or_insert_with(|| {
                    queue.push_back(id);
                    (BTreeSet::new(), record.name)
                });
                askers.insert(record.name);
            }
        }
        Self { asked, indispensable, all_met }
    }
}
