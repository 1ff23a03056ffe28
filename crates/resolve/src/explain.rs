//! Why there is no solution: resolvo's graph of a conflict in, sentences out.
//!
//! The graph's leaves are what cannot be: dependencies without candidates, and packages that exclude each other. Each
//! leaf becomes one problem; the shortest chains to the definition say why its packages are wanted at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use calypte_universe::relation::{requirements, shown};
use calypte_universe::{Operator, PackageId, Relation};
use resolvo::conflict::{Conflict, ConflictCause, ConflictEdge, ConflictNode};
use resolvo::{Requirement, Solver, VersionSetId};

use crate::error::Problem;
use crate::provider::Provider;

/// What is wanted, by whom, in the words of the conflict.
struct Explainer<'a, 'b> {
    provider: &'b Provider<'a>,
    /// How each package is reached from the definition on the shortest way: who wants it, and in which words.
    wanted: BTreeMap<PackageId, (Option<PackageId>, String)>,
}

/// The problems behind a conflict, those nearest to the definition first.
pub(crate) fn explain(solver: &Solver<Provider<'_>>, conflict: &Conflict) -> Vec<Problem> {
    let provider = solver.provider();
    let graph = conflict.graph(solver).graph;
    let node = |place: usize| graph.raw_nodes().get(place).map(|node| node.weight);
    let package = |place: usize| match node(place) {
        Some(ConflictNode::Solvable(solvable)) => Some(provider.id(solvable)),
        _ => None,
    };
    let edges: Vec<(usize, usize, ConflictEdge)> = graph
        .raw_edges()
        .iter()
        .map(|edge| (edge.source().index(), edge.target().index(), edge.weight))
        .collect();
    let explainer = Explainer { provider, wanted: wanted(provider, &edges, package) };

    let mut problems = Vec::new();
    let mut instances: BTreeMap<&str, BTreeSet<PackageId>> = BTreeMap::new();
    for (source, target, edge) in &edges {
        match (edge, node(*target)) {
            (ConflictEdge::Requires(requirement), Some(ConflictNode::UnresolvedDependency)) => {
                problems.push(explainer.unmet(package(*source), *requirement));
            }
            (ConflictEdge::Conflict(ConflictCause::Constrains(set)), _) => {
                if let (Some(objector), Some(other)) = (package(*source), package(*target)) {
                    problems.push(explainer.excluded(objector, other, *set));
                }
            }
            (ConflictEdge::Conflict(ConflictCause::ForbidMultipleInstances), _) => {
                for id in [package(*source), package(*target)].into_iter().flatten() {
                    instances.entry(provider.index.name(id)).or_default().insert(id);
                }
            }
            (_, Some(ConflictNode::Excluded(reason))) => {
                if let Some(id) = package(*source) {
                    let text = format!("{} cannot be used: {}", explainer.shown(id), provider.string(reason));
                    let is_block = provider.blocked(id).is_some();
                    problems.push(Problem { is_block, ..explainer.problem(text, &[id]) });
                }
            }
            _ => {}
        }
    }
    for (name, ids) in instances {
        let ids: Vec<PackageId> = ids.into_iter().collect();
        let versions: Vec<&str> = ids.iter().map(|id| provider.index.version(*id)).collect();
        let text =
            format!("{name} would be needed in {} versions at once: {}", ids.len(), versions.join(" and "));
        problems.push(explainer.problem(text, &ids));
    }
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    problems
}

/// Walks from the definition along what is required, nearest first.
fn wanted(
    provider: &Provider<'_>,
    edges: &[(usize, usize, ConflictEdge)],
    package: impl Fn(usize) -> Option<PackageId>,
) -> BTreeMap<PackageId, (Option<PackageId>, String)> {
    let mut wanted = BTreeMap::new();
    // The root is the only node without a package from which something is required.
    let mut queue: VecDeque<(Option<PackageId>, usize)> = edges
        .iter()
        .filter(|(source, _, edge)| package(*source).is_none() && matches!(edge, ConflictEdge::Requires(_)))
        .map(|(source, ..)| (None, *source))
        .take(1)
        .collect();
    while let Some((by, place)) = queue.pop_front() {
        for (source, target, edge) in edges {
            let (ConflictEdge::Requires(requirement), true) = (edge, *source == place) else { continue };
            let Some(id) = package(*target) else { continue };
            if let std::collections::btree_map::Entry::Vacant(entry) = wanted.entry(id) {
                entry.insert((by, provider.written(*requirement)));
                queue.push_back((Some(id), *target));
            }
        }
    }
    wanted
}

impl Explainer<'_, '_> {
    fn shown(&self, id: PackageId) -> String {
        format!("{} {}", self.provider.index.name(id), self.provider.index.version(id))
    }

    fn problem(&self, text: String, about: &[PackageId]) -> Problem {
        let because = about.iter().map(|id| self.chain(*id)).collect::<BTreeSet<_>>().into_iter().collect();
        Problem { text, because, is_block: false }
    }

    /// `libfoo1 is needed by nginx (`libfoo1 (>= 2)`), which the definition asks for`.
    fn chain(&self, id: PackageId) -> String {
        let mut text = self.provider.index.name(id).to_owned();
        let mut current = id;
        let mut joint = "";
        // A shortest way meets no package twice, so it ends.
        while let Some((by, relation)) = self.wanted.get(&current) {
            let Some(by) = by else { break };
            text.push_str(&format!("{joint} is needed by {} (`{relation}`)", self.provider.index.name(*by)));
            joint = ", which";
            current = *by;
        }
        let end = if joint.is_empty() {
            " is asked for by the definition"
        } else {
            ", which the definition asks for"
        };
        text.push_str(end);
        text
    }

    fn excluded(&self, objector: PackageId, other: PackageId, set: VersionSetId) -> Problem {
        let says = self.provider.objection(objector, set).map_or_else(String::new, |objection| {
            format!(": its {} says `{}`", objection.field, objection.relation)
        });
        let (first, second) = (self.shown(objector), self.shown(other));
        self.problem(format!("{first} cannot be together with {second}{says}"), &[objector, other])
    }

    fn unmet(&self, by: Option<PackageId>, requirement: Requirement) -> Problem {
        let written = self.provider.written(requirement);
        let index = self.provider.index;
        let choices = requirements(index.format(), &written)
            .filter_map(|(_, clauses)| clauses.ok())
            .flatten()
            .flat_map(|clause| clause.any)
            .filter(|choice| index.meeting(choice).is_empty());
        let reasons = choices.map(|choice| self.missing(&choice.relation)).collect::<Vec<_>>().join(", and ");
        let written = shown(&written);
        match by {
            Some(by) => self.problem(format!("{} needs {written}, but {reasons}", self.shown(by)), &[by]),
            None => Problem {
                text: format!("the definition asks for {written}, but {reasons}"),
                because: Vec::new(),
                is_block: false,
            },
        }
    }

    /// Why no package meets a relation.
    fn missing(&self, relation: &Relation<'_>) -> String {
        let index = self.provider.index;
        let (name, universe) = (relation.name, index.universe());
        if let Some(newest) = index.named(name).next() {
            let version = index.version(newest);
            return match relation.version {
                Some((Operator::LaterOrEqual | Operator::Later, _)) if !relation.accepts(version) => {
                    format!("the newest {name} in {universe} is {version}")
                }
                Some(_) if !relation.accepts(version) => format!("{universe} has {name} {version}"),
                _ => format!("{name} {version} is not for use by other architectures (`{relation}`)"),
            };
        }
        let providers: BTreeSet<&str> = index.providers(name).map(|id| index.name(id)).collect();
        if providers.is_empty() {
            return format!("{universe} has no {name}, and nothing that provides it");
        }
        let providers = providers.into_iter().take(4).collect::<Vec<_>>().join(", ");
        format!("what provides {name} in {universe} ({providers}) does not do so in such a version")
    }
}
