//! The index as resolvo asks for it: names, versions and dependencies become its numbered sets on demand, so that a
//! solve touches the few thousand packages that it reaches and none of the others.
//!
//! A dependency becomes a union of sets, one for each run of candidates of one name, in the order of preference; a
//! condition on it becomes a tree of sets. A conflict becomes a constraint on each name that it speaks of: any version
//! but these; one of several packages at once becomes a requirement that nothing meets, on the condition that they are
//! there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use calypte_universe::{Objection, PackageId, PackageIndex};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider, Interner,
    KnownDependencies, LogicalOperator, NameId, Requirement, SolvableId, SolverCache, StringId, VersionSetId,
    VersionSetUnionId,
};

use crate::candidates::{Met, meet};
use crate::error::Problem;
use crate::request::Request;

/// A set of versions of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct VersionSet {
    name: u32,
    members: Vec<PackageId>,
    /// Whether it is all versions but the members.
    inverse: bool,
}

/// What a conflict says: in which field, of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) field: &'static str,
    pub(crate) relation: String,
}

/// Something that a package demands of the choice.
#[derive(Debug)]
struct Demand {
    field: &'static str,
    /// The entry of the field.
    text: String,
    /// What would meet it; what is forbidden, where it is an objection.
    candidates: Vec<PackageId>,
    /// What it is conditional on: one package of each of these lists.
    when: Vec<Vec<PackageId>>,
    objection: Option<Said>,
}

/// What has been numbered so far.
#[derive(Debug, Default)]
struct Numbered {
    sets: Vec<VersionSet>,
    set_numbers: BTreeMap<VersionSet, u32>,
    unions: Vec<Vec<VersionSetId>>,
    strings: Vec<String>,
    conditions: Vec<Condition>,
    /// The text of each requirement as it was written, by requirement.
    written: BTreeMap<Requirement, String>,
    /// What stands behind a constraint, by the package that has it and the set.
    objections: BTreeMap<(PackageId, VersionSetId), Said>,
}

/// The view of an index that resolvo solves over.
pub(crate) struct Provider<'a> {
    pub(crate) index: &'a PackageIndex,
    pub(crate) request: &'a Request<'a>,
    numbered: RefCell<Numbered>,
    /// Leaves out what is demanded on a condition.
    unconditional: bool,
}

impl<'a> Provider<'a> {
    pub(crate) fn new(index: &'a PackageIndex, request: &'a Request<'a>) -> Self {
        Self { index, request, numbered: RefCell::default(), unconditional: false }
    }

    /// The same without the demands that are made on a condition.
    pub(crate) fn without_conditions(index: &'a PackageIndex, request: &'a Request<'a>) -> Self {
        Self { unconditional: true, ..Self::new(index, request) }
    }

    /// Whether anything that the solver has looked at is demanded on a condition.
    pub(crate) fn has_conditions(&self) -> bool {
        !self.numbered.borrow().conditions.is_empty()
    }

    /// The conditional demands of a package that this choice does not meet.
    pub(crate) fn unmet_conditions(&self, id: PackageId, chosen: &BTreeSet<PackageId>) -> Vec<Problem> {
        let holds = |packages: &Vec<PackageId>| packages.iter().any(|id| chosen.contains(id));
        let conditional = Self::new(self.index, self.request);
        let Ok(demands) = conditional.demands_of(id) else { return Vec::new() };
        let unmet = demands.into_iter().filter(|demand| {
            !demand.when.is_empty()
                && demand.when.iter().all(holds)
                && !demand.candidates.iter().any(|id| chosen.contains(id))
        });
        let (name, version) = (self.index.name(id), self.index.version(id));
        unmet
            .map(|Demand { field, text, candidates, .. }| {
                let blocked = candidates.iter().find_map(|id| Some((*id, self.blocked(*id)?)));
                let why = blocked.map_or_else(String::new, |(id, reason)| {
                    format!(", and {} {} is blocked: {reason}", self.index.name(id), self.index.version(id))
                });
                Problem {
                    text: format!("{name} {version} cannot be here: its {field} says `{text}`{why}"),
                    because: Vec::new(),
                    is_block: blocked.is_some(),
                }
            })
            .collect()
    }

    /// The package of a number that this provider has given out.
    pub(crate) fn id(&self, solvable: SolvableId) -> PackageId {
        // Numbers come from the index itself, so there is always one.
        self.index.id(solvable.into_raw()).unwrap_or_default()
    }

    /// Why a package must not be chosen.
    pub(crate) fn blocked(&self, id: PackageId) -> Option<&str> {
        self.request.blocked(self.index.name(id), self.index.version(id))
    }

    /// The number of a package's name: that of its newest version.
    fn name_number(&self, id: PackageId) -> u32 {
        self.index.named(self.index.name(id)).next().unwrap_or(id).number()
    }

    /// The number of a name that no package has: behind all packages.
    fn nothing(&self) -> u32 {
        u32::try_from(self.index.len()).unwrap_or(u32::MAX)
    }

    fn set(&self, set: VersionSet) -> VersionSetId {
        let mut numbered = self.numbered.borrow_mut();
        let next = u32::try_from(numbered.sets.len()).unwrap_or(u32::MAX);
        if let Some(known) = numbered.set_numbers.get(&set) {
            return VersionSetId(*known);
        }
        numbered.sets.push(set.clone());
        numbered.set_numbers.insert(set, next);
        VersionSetId(next)
    }

    /// A requirement that any of these packages meets, the first before the others.
    pub(crate) fn requirement(&self, candidates: &[PackageId], written: &str) -> Requirement {
        let runs = candidates.chunk_by(|left, right| self.name_number(*left) == self.name_number(*right));
        let mut sets: Vec<VersionSetId> = runs
            .filter_map(|run| {
                let name = self.name_number(*run.first()?);
                Some(self.set(VersionSet { name, members: run.to_vec(), inverse: false }))
            })
            .collect();
        if sets.is_empty() {
            // Each unmet dependency has a set of its own, so that a report can tell them apart.
            let mut numbered = self.numbered.borrow_mut();
            let set = VersionSet { name: self.nothing(), members: Vec::new(), inverse: false };
            sets.push(VersionSetId(u32::try_from(numbered.sets.len()).unwrap_or(u32::MAX)));
            numbered.sets.push(set);
        }
        let mut numbered = self.numbered.borrow_mut();
        let requirement = if let [single] = sets[..] {
            Requirement::Single(single)
        } else {
            numbered.unions.push(sets);
            Requirement::Union(VersionSetUnionId(
                u32::try_from(numbered.unions.len() - 1).unwrap_or(u32::MAX),
            ))
        };
        numbered.written.entry(requirement).or_insert_with(|| written.to_owned());
        requirement
    }

    /// How a requirement was first written.
    pub(crate) fn written(&self, requirement: Requirement) -> String {
        self.numbered.borrow().written.get(&requirement).cloned().unwrap_or_default()
    }

    /// What a package's constraint says.
    pub(crate) fn objection(&self, id: PackageId, set: VersionSetId) -> Option<Said> {
        self.numbered.borrow().objections.get(&(id, set)).cloned()
    }

    /// The text behind a number.
    pub(crate) fn string(&self, string: StringId) -> String {
        self.numbered.borrow().strings.get(string.0 as usize).cloned().unwrap_or_default()
    }

    /// The condition that one package of each of these lists is there.
    fn condition(&self, when: &[Vec<PackageId>]) -> Option<ConditionId> {
        let mut all = None;
        for packages in when {
            let mut any = None;
            for run in packages.chunk_by(|left, right| self.name_number(*left) == self.name_number(*right)) {
                let present = self.present(run);
                any = Some(self.joined(LogicalOperator::Or, any, present));
            }
            all = any.map(|any| self.joined(LogicalOperator::And, all, any));
        }
        all
    }

    /// The condition that one of these versions of one name is there. Resolvo takes a set for fulfilled unless another
    /// version is there, so that the name has a version at all is asked for as well.
    fn present(&self, versions: &[PackageId]) -> ConditionId {
        let Some(first) = versions.first() else {
            return self.numbered_condition(Condition::Requirement(VersionSetId(0)));
        };
        let name = self.name_number(*first);
        let set = |members: Vec<PackageId>| {
            let set = self.set(VersionSet { name, members, inverse: false });
            self.numbered_condition(Condition::Requirement(set))
        };
        let all: Vec<PackageId> = self.index.named(self.index.name(*first)).collect();
        if all.len() == versions.len() {
            return set(all);
        }
        let (any, these) = (set(all), set(versions.to_vec()));
        self.joined(LogicalOperator::And, Some(any), these)
    }

    fn joined(
        &self,
        operator: LogicalOperator,
        left: Option<ConditionId>,
        right: ConditionId,
    ) -> ConditionId {
        match left {
            None => right,
            Some(left) => self.numbered_condition(Condition::Binary(operator, left, right)),
        }
    }

    fn numbered_condition(&self, condition: Condition) -> ConditionId {
        let mut numbered = self.numbered.borrow_mut();
        numbered.conditions.push(condition);
        ConditionId::new(u32::try_from(numbered.conditions.len() - 1).unwrap_or(u32::MAX))
    }

    fn dependencies_of(&self, id: PackageId) -> Result<KnownDependencies, String> {
        let mut known = KnownDependencies::default();
        for demand in self.demands_of(id)? {
            let Demand { candidates, when, text, objection, .. } = demand;
            if let Some(said) = objection {
                known.constrains.extend(self.constraints(id, &candidates, &said));
            } else if when.is_empty() || !self.unconditional {
                let requirement = self.requirement(&candidates, &text);
                let condition = self.condition(&when);
                known.requirements.push(ConditionalRequirement { condition, requirement });
            }
        }
        Ok(known)
    }

    /// All that a package demands of the choice.
    fn demands_of(&self, id: PackageId) -> Result<Vec<Demand>, String> {
        let record = self.index.record(id);
        let mut demands = Vec::new();
        for entry in record.requirements() {
            let clauses =
                entry.clauses.map_err(|error| format!("its {} cannot be read: {error}", entry.field))?;
            for clause in clauses {
                match meet(self.index, self.request, Some(id), &clause) {
                    Met::Assumed => {}
                    // A package that meets its own dependency by what it provides has it met once it is there.
                    Met::By { candidates, .. } if candidates.contains(&id) => {}
                    Met::By { candidates, when } => {
                        let (field, text) = (entry.field, entry.text.to_owned());
                        demands.push(Demand { field, text, candidates, when, objection: None });
                    }
                }
            }
        }
        for (field, objections) in record.objections() {
            let objections = objections.map_err(|error| format!("its {field} cannot be read: {error}"))?;
            demands.extend(objections.iter().filter_map(|objection| self.object(id, objection)));
        }
        Ok(demands)
    }

    /// What an objection comes to; nothing when what it speaks of cannot all be there.
    fn object(&self, id: PackageId, objection: &Objection<'_>) -> Option<Demand> {
        let Objection { field, clause, .. } = objection;
        let parts = || clause.when.iter().map(|part| self.index.objected(objection, part));
        if let ([part], true) = (clause.when.as_slice(), clause.any.is_empty()) {
            let said = Said { field, relation: part.relation.to_string() };
            let candidates = parts().flatten().collect();
            return Some(Demand {
                field,
                text: String::new(),
                candidates,
                when: Vec::new(),
                objection: Some(said),
            });
        }
        // A package is there for itself.
        let when: Vec<Vec<PackageId>> = parts()
            .filter(|packages| !packages.contains(&id))
            .map(|part| part.into_iter().collect())
            .collect();
        if when.iter().any(Vec::is_empty) || (when.is_empty() && clause.any.is_empty()) {
            return None;
        }
        let conditions = clause.when.iter().map(|part| part.relation.to_string()).collect::<Vec<_>>();
        let text = format!("({})", conditions.join(" and "));
        let candidates = self.index.candidates(Some(id), &clause.any);
        Some(Demand { field, text, candidates, when, objection: None })
    }

    /// One constraint for each name of which an objection speaks; a package's own name is never meant (policy 7.4).
    fn constraints(&self, id: PackageId, packages: &[PackageId], said: &Said) -> Vec<VersionSetId> {
        let own = self.name_number(id);
        let mut names: BTreeMap<u32, Vec<PackageId>> = BTreeMap::new();
        for package in packages {
            names.entry(self.name_number(*package)).or_default().push(*package);
        }
        names.remove(&own);
        names
            .into_iter()
            .map(|(name, members)| {
                let set = self.set(VersionSet { name, members, inverse: true });
                self.numbered.borrow_mut().objections.insert((id, set), said.clone());
                set
            })
            .collect()
    }
}

impl Interner for Provider<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        let id = self.id(solvable);
        format!("{} {}", self.index.name(id), self.index.version(id))
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.index.id(name.into_raw()).map_or("nothing", |id| self.index.name(id))
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        let written = self.numbered.borrow().written.get(&Requirement::Single(version_set)).cloned();
        written.unwrap_or_else(|| format!("set {}", version_set.0))
    }

    fn display_string(&self, string: StringId) -> impl Display + '_ {
        self.string(string)
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        let name = self.numbered.borrow().sets.get(version_set.0 as usize).map(|set| set.name);
        NameId::from_raw(name.unwrap_or_else(|| self.nothing()))
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(self.name_number(self.id(solvable)))
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.numbered.borrow().unions.get(union.0 as usize).cloned().unwrap_or_default().into_iter()
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        let known = self.numbered.borrow().conditions.get(condition.as_u32() as usize).cloned();
        // Numbers come from here, so there is always one.
        known.unwrap_or(Condition::Requirement(VersionSetId(0)))
    }
}

impl DependencyProvider for Provider<'_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let numbered = self.numbered.borrow();
        let Some(set) = numbered.sets.get(version_set.0 as usize) else { return Vec::new() };
        let inside = |candidate: &SolvableId| set.members.contains(&self.id(*candidate)) != set.inverse;
        candidates.iter().copied().filter(|candidate| inside(candidate) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let id = self.index.id(name.into_raw())?;
        let versions = self.index.named(self.index.name(id));
        let candidates = versions.map(|version| SolvableId::from_raw(version.number())).collect();
        Some(Candidates { candidates, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        // Numbers rise by name, then newest version first.
        solvables.sort_unstable();
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let id = self.id(solvable);
        let known = match self.blocked(id) {
            Some(reason) => Err(format!("it is blocked: {reason}")),
            None => self.dependencies_of(id),
        };
        match known {
            Ok(known) => Dependencies::Known(known),
            Err(reason) => {
                let mut numbered = self.numbered.borrow_mut();
                numbered.strings.push(reason);
                Dependencies::Unknown(StringId(u32::try_from(numbered.strings.len() - 1).unwrap_or(u32::MAX)))
            }
        }
    }
}
