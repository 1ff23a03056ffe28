//! A flaw → for each advisory about it and each component that has such a name: whether it matched, and why.

use std::collections::BTreeSet;

use calypte_sbom::{Component, Distribution, Sbom};
use serde::{Deserialize, Serialize};

use super::examine::{Examiner, Looking};
use super::target::{Target, worlds};
use super::weigh::Rule;
use crate::Fixes;
use crate::cve::is_cve;
use crate::database::{Database, DatabaseError, Told};
use crate::model::{Affected, Ecosystem, SourceName};

/// Why an advisory about a flaw matched a component, or did not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Explanation {
    /// The source.
    pub source: SourceName,
    /// Its advisory.
    pub advisory: String,
    /// The package that the advisory names; all of them where nothing in the image has such a name.
    pub package: String,
    /// The component, by its id; none where nothing in the image has such a name.
    pub component: Option<String>,
    /// The rule that decided.
    pub rule: Rule,
    /// That in words.
    pub why: String,
}

impl Explanation {
    /// Whether it makes a finding.
    #[must_use]
    pub fn matched(&self) -> bool {
        self.rule == Rule::InRange
    }
}

/// Names of packages that are listed before the rest is only counted.
const MOST_NAMES: usize = 8;

/// Explains a flaw, by its CVE number or any other name. Empty when no source knows it.
///
/// # Errors
/// When the database cannot be read.
pub fn explain(
    sbom: &Sbom,
    fixes: &Fixes,
    database: &Database,
    flaw: &str,
) -> Result<Vec<Explanation>, DatabaseError> {
    let mut asked = Asked {
        flaw,
        told: database.show(flaw)?.told,
        named: database.advisories_named(flaw)?,
        about: database.advisories_about(flaw)?,
        examiner: Examiner::new(database)?,
    };
    let mut explanations = BTreeSet::new();
    for component in sbom.components.values() {
        asked.explain(component, sbom.distribution.as_ref(), fixes, &mut explanations)?;
    }
    for told in &asked.told {
        explanations.extend(without_component(told, &explanations));
    }
    Ok(explanations.into_iter().collect())
}

/// A flaw that is asked about.
struct Asked<'a> {
    flaw: &'a str,
    told: Vec<Told>,
    /// The advisories that have this name.
    named: BTreeSet<i64>,
    /// Besides these, those that may take away what they say.
    about: BTreeSet<i64>,
    examiner: Examiner<'a>,
}

impl Asked<'_> {
    fn explain(
        &mut self,
        component: &Component,
        distribution: Option<&Distribution>,
        fixes: &Fixes,
        explanations: &mut BTreeSet<Explanation>,
    ) -> Result<(), DatabaseError> {
        let names: Vec<(&Told, &Affected)> =
            self.told.iter().filter_map(|told| named(told, component)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let target = Target::new(component);
        let worlds = match worlds_of(component, &target, distribution) {
            Ok(worlds) => worlds,
            Err((rule, why)) => {
                let each = names.into_iter();
                explanations.extend(
                    each.map(|(told, affected)| explanation(told, affected, component, rule, why.clone())),
                );
                return Ok(());
            }
        };
        let own = fixes.get(&component.id);
        let claims = self.examiner.examine(&target, &worlds, own, Looking::At(&self.about))?;
        let mut spoken = BTreeSet::new();
        for claim in claims.into_iter().filter(|claim| self.named.contains(&claim.advisory)) {
            let Some(source) = self.examiner.sources.get(&claim.source) else { continue };
            let source = SourceName(source.source.name.clone());
            spoken.insert((source.clone(), claim.header.id.clone()));
            // Of an advisory about several flaws, only what was asked for.
            if is_cve(self.flaw) && is_cve(&claim.flaw) && claim.flaw != self.flaw {
                continue;
            }
            explanations.insert(Explanation {
                source,
                advisory: claim.header.id.clone(),
                package: claim.weighed.package,
                component: Some(component.id.clone()),
                rule: claim.weighed.rule,
                why: claim.weighed.why,
            });
        }
        for (told, affected) in names {
            if !spoken.contains(&(told.source.clone(), told.advisory.id.clone())) {
                let why = other_releases(told, component, &worlds);
                explanations.insert(explanation(told, affected, component, Rule::OtherRelease, why));
            }
        }
        Ok(())
    }
}

/// The worlds of a component; why it is not looked up, where it is not.
fn worlds_of(
    component: &Component,
    target: &Target,
    distribution: Option<&Distribution>,
) -> Result<Vec<Ecosystem>, (Rule, String)> {
    if let Some(owner) = &component.part_of {
        return Err((Rule::PartOf, format!("it is part of {owner}, whose own advisories count")));
    }
    if let Some(why) = target.without_version() {
        return Err((Rule::Uncomparable, why));
    }
    worlds(component.kind, distribution).map_err(|why| (Rule::OtherRelease, why))
}

fn explanation(
    told: &Told,
    affected: &Affected,
    component: &Component,
    rule: Rule,
    why: String,
) -> Explanation {
    Explanation {
        source: told.source.clone(),
        advisory: told.advisory.id.clone(),
        package: affected.package.clone(),
        component: Some(component.id.clone()),
        rule,
        why,
    }
}

/// The first entry of an advisory that has a name of a component, in any release of its kind of distribution.
fn named<'t>(told: &'t Told, component: &Component) -> Option<(&'t Told, &'t Affected)> {
    let target = Target::new(component);
    let fits =
        |affected: &&Affected| is_of_kind(&affected.ecosystem, component) && target.by(affected).is_some();
    told.advisory.affected.iter().find(fits).map(|affected| (told, affected))
}

/// Whether packages of an ecosystem are of a component's kind.
fn is_of_kind(ecosystem: &Ecosystem, component: &Component) -> bool {
    use calypte_sbom::PackageKind as Kind;
    matches!(
        (ecosystem, component.kind),
        (Ecosystem::Debian(_) | Ecosystem::Ubuntu(_), Kind::Deb)
            | (
                Ecosystem::RedHat(_)
                    | Ecosystem::Hummingbird
                    | Ecosystem::AlmaLinux(_)
                    | Ecosystem::Fedora(_),
                Kind::Rpm
            )
            | (Ecosystem::Alpine(_) | Ecosystem::Wolfi, Kind::Apk)
            | (Ecosystem::PyPi, Kind::Python)
            | (Ecosystem::Npm, Kind::Npm)
            | (Ecosystem::Go, Kind::Go)
            | (Ecosystem::CratesIo, Kind::Cargo)
            | (Ecosystem::Maven, Kind::Maven)
    )
}

fn other_releases(told: &Told, component: &Component, worlds: &[Ecosystem]) -> String {
    let target = Target::new(component);
    let of_it = told
        .advisory
        .affected
        .iter()
        .filter(|affected| is_of_kind(&affected.ecosystem, component) && target.by(affected).is_some());
    let releases: BTreeSet<String> = of_it.map(|affected| affected.ecosystem.key()).collect();
    let releases: Vec<_> = releases.into_iter().collect();
    let own = worlds.first().map(Ecosystem::key).unwrap_or_default();
    format!("it speaks of {}, and the image is {own}", releases.join(", "))
}

/// That nothing in the image has a name that an advisory uses; none when something has.
fn without_component(told: &Told, explanations: &BTreeSet<Explanation>) -> Option<Explanation> {
    let is_its =
        |explained: &&Explanation| explained.source == told.source && explained.advisory == told.advisory.id;
    if explanations.iter().any(|explained| is_its(&explained)) {
        return None;
    }
    let names: BTreeSet<&str> =
        told.advisory.affected.iter().map(|affected| affected.package.as_str()).collect();
    let mut listed: Vec<_> = names.iter().take(MOST_NAMES).copied().collect();
    let more = format!("{} more", names.len().saturating_sub(MOST_NAMES));
    if names.len() > MOST_NAMES {
        listed.push(&more);
    }
    let package = listed.join(", ");
    Some(Explanation {
        source: told.source.clone(),
        advisory: told.advisory.id.clone(),
        why: if package.is_empty() {
            "the advisory names no package".to_owned()
        } else {
            format!("nothing in the image is called {package}")
        },
        package,
        component: None,
        rule: Rule::NoComponent,
    })
}
