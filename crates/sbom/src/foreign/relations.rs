//! What packages need and provide → which of them meet whose needs. A need that nothing there meets leaves a list
//! incomplete: the package was installed without it, or removed in a way that no record tells of.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::changelog::NamedFix;
use calypte_formats::rpm_dependency::{self, Expression};

use crate::model::{Completeness, Component, Dependencies};

/// Most nested conditions that are looked into.
const DEPTH: usize = 32;

/// Most packages that are taken for one need; of Debian's, `perlapi` and the like have some hundreds.
const MOST_PROVIDERS: usize = 1_000;

/// Most relations of a bill: a desktop with 5,000 packages has 50,000.
pub(super) const MOST_RELATIONS: usize = 5_000_000;

/// A package that a cataloguer found.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) component: Component,
    /// What it needs: each a list of alternatives.
    pub(super) needs: Vec<Vec<String>>,
    /// What it provides beside its name.
    pub(super) provides: Vec<String>,
    /// What its changelog names as fixed.
    pub(super) fixes: BTreeMap<String, NamedFix>,
}

/// Who provides what.
#[derive(Debug)]
pub(super) struct Providers<'a> {
    by_name: BTreeMap<&'a str, Vec<&'a Component>>,
    by_id: BTreeMap<&'a str, &'a Component>,
    owners: &'a BTreeMap<TreePath, String>,
}

/// How a need fares.
#[derive(Debug, Default)]
struct Met<'a> {
    by: BTreeSet<&'a str>,
    met: bool,
}

impl<'a> Providers<'a> {
    /// `owners` tells whose a file is, since files can be needed too.
    pub(super) fn new(packages: &'a [Package], owners: &'a BTreeMap<TreePath, String>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<&Component>> = BTreeMap::new();
        for package in packages {
            by_name.entry(&package.component.name).or_default().push(&package.component);
            for name in &package.provides {
                by_name.entry(name).or_default().push(&package.component);
            }
        }
        let by_id = packages.iter().map(|package| (package.component.id.as_str(), &package.component));
        Self { by_name, by_id: by_id.collect(), owners }
    }

    /// What meets the needs of a package.
    pub(super) fn dependencies(&self, package: &Package) -> Dependencies {
        let mut dependencies = Dependencies { on: BTreeSet::new(), completeness: Completeness::Complete };
        for need in &package.needs {
            let mut all = Met::default();
            for name in need {
                let one = self.one(&package.component, name);
                all.met |= one.met;
                all.by.extend(one.by);
            }
            if !all.met {
                dependencies.completeness = Completeness::Incomplete;
            }
            let others = all.by.into_iter().filter(|id| *id != package.component.id);
            dependencies.on.extend(others.map(str::to_owned));
        }
        dependencies
    }

    fn one(&self, of: &Component, name: &str) -> Met<'a> {
        if name.starts_with('(') {
            return rpm_dependency::parse(name).map(|rich| self.rich(of, &rich, DEPTH)).unwrap_or_default();
        }
        let mut by: Vec<&Component> =
            self.by_name.get(name).into_iter().flatten().take(MOST_PROVIDERS).copied().collect();
        // Where several architectures are installed, a package is served by its own.
        let fits = |other: &Component| {
            let independent = matches!(other.architecture.as_deref(), Some("all" | "noarch") | None);
            independent || other.architecture == of.architecture
        };
        if by.iter().any(|other| fits(other)) {
            by.retain(|other| fits(other));
        }
        if name.starts_with('/') {
            let owner = self.owners.get(name.trim_start_matches('/'));
            by.extend(owner.and_then(|id| self.by_id.get(id.as_str())));
        }
        Met { met: !by.is_empty(), by: by.into_iter().map(|component| component.id.as_str()).collect() }
    }

    /// A rich dependency of RPM; versions are not compared, since what is installed together was.
    fn rich(&self, of: &Component, expression: &Expression<'_>, depth: usize) -> Met<'a> {
        let Some(depth) = depth.checked_sub(1) else { return Met::default() };
        let each = |parts: &[Expression<'_>]| -> Vec<Met<'a>> {
            parts.iter().map(|part| self.rich(of, part, depth)).collect()
        };
        let join = |parts: Vec<Met<'a>>, met: bool| Met {
            by: parts.into_iter().filter(|part| part.met).flat_map(|part| part.by).collect(),
            met,
        };
        match expression {
            Expression::Simple(simple) => self.one(of, simple.name),
            Expression::And(parts) | Expression::With(parts) => {
                let parts = each(parts);
                let met = parts.iter().all(|part| part.met);
                join(parts, met)
            }
            Expression::Or(parts) => {
                let parts = each(parts);
                let met = parts.iter().any(|part| part.met);
                join(parts, met)
            }
            Expression::Without(one, _) => self.rich(of, one, depth),
            Expression::If(conditional) | Expression::Unless(conditional) => {
                let holds = self.rich(of, &conditional.condition, depth).met;
                let turned = matches!(expression, Expression::Unless(_));
                match (holds != turned, &conditional.otherwise) {
                    (true, _) => self.rich(of, &conditional.then, depth),
                    (false, Some(otherwise)) => self.rich(of, otherwise, depth),
                    (false, None) => Met { by: BTreeSet::new(), met: true },
                }
            }
        }
    }
}
