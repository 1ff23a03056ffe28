//! A component and all that one advisory says of its package → whether that advisory says it has the flaw, and why.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::range::{Place, Rules};
use super::target::{By, Target, stream};
use crate::finding::FixState;
use crate::model::{Affected, Event, Severity, Status};

/// Why an advisory about a flaw makes a finding, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The version is in range.
    InRange,
    /// The version is in no range.
    NotInRange,
    /// The advisory says that these versions do not have it.
    NotAffected,
    /// The distribution says that it does not have it.
    DistributionSaysNot,
    /// The distribution says that it is fixed in an earlier version than a changelog names.
    DistributionSaysFixed,
    /// The component's own changelog names it as fixed.
    Changelog,
    /// A rebuild of the fixed version for an older release.
    Rebuild,
    /// The advisory was withdrawn.
    Withdrawn,
    /// The component is part of a distribution's package.
    PartOf,
    /// The advisory is for other architectures.
    Architecture,
    /// The advisory is for another stream of the module, or for none.
    Module,
    /// The advisory is for other releases.
    OtherRelease,
    /// The versions cannot be compared.
    Uncomparable,
    /// Nothing in the image has such a name.
    NoComponent,
}

/// What matters of a source for how its advisories are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// It tells module streams apart.
    pub modular: bool,
    /// It was made out of changelogs.
    pub changelog: bool,
}

/// What an advisory says of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// By which rule.
    pub rule: Rule,
    /// That in words.
    pub why: String,
    /// By which name it was found.
    pub by: By,
    /// The name that the advisory uses.
    pub package: String,
    /// The version that was compared.
    pub version: String,
    /// The range in words.
    pub range: String,
    /// What can be done.
    pub state: FixState,
    /// How bad the advisory says it is here.
    pub severities: Vec<Severity>,
    /// How specific the release is that it speaks of; 0 is most.
    pub rank: usize,
}

/// Weighs all that an advisory says of the packages that a component may be; each with the rank of its release. None when
/// it says nothing of it.
pub fn weigh<'a>(
    target: &Target,
    entries: impl IntoIterator<Item = (usize, &'a Affected)>,
    traits: Traits,
) -> Option<Weighed> {
    let mut weighed: Vec<Weighed> = Vec::new();
    for (rank, affected) in entries {
        weighed.extend(entry(target, affected, traits, rank));
    }
    let applies = |weighed: &Weighed| !matches!(weighed.rule, Rule::Architecture | Rule::Module);
    if !weighed.iter().any(applies) {
        return weighed.into_iter().next();
    }
    weighed.retain(applies);
    // The image's own release before all releases, the package's own name before its source's.
    let first = weighed.iter().map(|weighed| (weighed.rank, weighed.by)).min()?;
    weighed.retain(|weighed| (weighed.rank, weighed.by) == first);
    let order = |rule| match rule {
        Rule::NotAffected => 0,
        Rule::InRange => 1,
        Rule::Uncomparable => 2,
        _ => 3,
    };
    weighed.sort_by(|left, right| {
        (order(left.rule), &left.range, &left.state).cmp(&(order(right.rule), &right.range, &right.state))
    });
    let mut weighed = weighed.into_iter();
    let mut decides = weighed.next()?;
    let rule = decides.rule;
    for other in weighed.filter(|other| other.rule == rule) {
        join(&mut decides, other);
    }
    Some(decides)
}

/// What else the same advisory says of the same package.
fn join(first: &mut Weighed, other: Weighed) {
    if first.range != other.range {
        first.range = format!("{} or {}", first.range, other.range);
    }
    match (&mut first.state, other.state) {
        (FixState::Fixed(versions), FixState::Fixed(more)) => versions.extend(more),
        (state, fixed @ FixState::Fixed(_)) => *state = fixed,
        _ => {}
    }
    for severity in other.severities {
        if !first.severities.contains(&severity) {
            first.severities.push(severity);
        }
    }
}

/// What one entry says; none when it is about another package.
fn entry(target: &Target, affected: &Affected, traits: Traits, rank: usize) -> Option<Weighed> {
    let by = target.by(affected)?;
    let version = target.version(by);
    let what = match by {
        By::Own => format!("version {version}"),
        By::Source => format!("version {version} of its source {}", target.source),
    };
    let said = |rule, why, range, state| Weighed {
        rule,
        why,
        by,
        package: affected.package.clone(),
        version: version.to_owned(),
        range,
        state,
        severities: affected.severities.clone(),
        rank,
    };
    if let Some((rule, why)) = not_for(target, affected, by, traits) {
        return Some(said(rule, why, super::range::words(affected), FixState::Unknown));
    }
    let is_source_rpm = by == By::Source && target.kind == calypte_sbom::PackageKind::Rpm;
    let rules = Rules::new(&affected.ecosystem, !is_source_rpm)?;
    let (range, fixed) = match rules.place(version, affected) {
        Err(error) => {
            return Some(said(
                Rule::Uncomparable,
                error.to_string(),
                super::range::words(affected),
                FixState::Unknown,
            ));
        }
        Ok(Place::Out { range }) => {
            let why = format!("{what} is not in {range}");
            return Some(said(Rule::NotInRange, why, range, FixState::Unknown));
        }
        Ok(Place::In { range, fixed }) => (range, fixed),
    };
    if affected.status == Status::NotAffected {
        let why = format!("{what} is said not to have it ({range})");
        return Some(said(Rule::NotAffected, why, range, FixState::Unknown));
    }
    if let Some(fixed) = fixed.as_deref().filter(|fixed| traits.changelog && is_rebuild(version, fixed)) {
        let why = format!("{what} is a rebuild of {fixed}, which has the fix, for an older release");
        return Some(said(Rule::Rebuild, why, range, FixState::Unknown));
    }
    let why = format!("{what} is in {range}");
    Some(said(Rule::InRange, why, range, state(affected.status, fixed)))
}

/// What can be done about what is in range.
fn state(status: Status, fixed: Option<String>) -> FixState {
    match (status, fixed) {
        (Status::Affected, Some(fixed)) => FixState::Fixed(BTreeSet::from([fixed])),
        (Status::Affected, None) => FixState::NotFixed,
        (Status::WontFix, _) => FixState::WontFix,
        (Status::Deferred, _) => FixState::Deferred,
        (Status::EndOfLife, _) => FixState::EndOfLife,
        (Status::UnderInvestigation | Status::NotAffected, _) => FixState::Unknown,
    }
}

/// Why an entry does not apply, whatever the versions are.
fn not_for(target: &Target, affected: &Affected, by: By, traits: Traits) -> Option<(Rule, String)> {
    // A source package is of all architectures.
    let wanted: Vec<_> =
        affected.architectures.iter().filter(|name| by == By::Own || *name != "src").collect();
    let own = target.architecture.as_deref().unwrap_or_default();
    if !wanted.is_empty() && !own.is_empty() && !wanted.iter().any(|wanted| *wanted == own) {
        let wanted: Vec<_> = wanted.into_iter().map(String::as_str).collect();
        return Some((Rule::Architecture, format!("it is of {own}, and this is for {}", wanted.join(", "))));
    }
    if target.kind != calypte_sbom::PackageKind::Rpm {
        return None;
    }
    let wanted = affected.module.as_deref().map(stream);
    let why = match (target.module.as_deref(), wanted) {
        (Some(own), Some(wanted)) if own != wanted => {
            format!("it is of the module {own}, and this is for {wanted}")
        }
        (None, Some(wanted)) => format!("it is of no module, and this is for {wanted}"),
        (Some(own), None) if traits.modular => format!("it is of the module {own}, and this is for none"),
        (_, None) => return modular_release(target, affected, by),
        _ => return None,
    };
    Some((Rule::Module, why))
}

/// Where a feed does not name modules, releases still tell what was built for one (`.module_el8`, `.module+el9`): builds
/// of the two kinds are never compared.
fn modular_release(target: &Target, affected: &Affected, by: By) -> Option<(Rule, String)> {
    let is_modular = |version: &str| version.contains(".module_") || version.contains(".module+");
    let events = affected.ranges.iter().flat_map(|range| &range.events);
    let mut fixed = events.filter_map(|event| match event {
        Event::Fixed(version) if version != "0" => Some(version),
        _ => None,
    });
    let first = fixed.next()?;
    let version = target.version(by);
    if is_modular(first) == is_modular(version) {
        return None;
    }
    let why = if is_modular(version) {
        "it was built for a module, and"
    } else {
        "it was built for no module, and"
    };
    Some((Rule::Module, format!("{why} {first} {}", if is_modular(first) { "was" } else { "was not" })))
}

/// Whether a version is the very fixed one, rebuilt for an older release: such a rebuild sorts before what it rebuilds.
fn is_rebuild(version: &str, fixed: &str) -> bool {
    version.strip_prefix(fixed).is_some_and(|rest| rest.starts_with("~deb") || rest.starts_with("~bpo"))
}
