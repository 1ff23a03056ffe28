//! Requirements that a version without the flaw meets → the ranges of versions with it.
//!
//! Each requirement is a stretch of the line of all versions; what no stretch covers is affected. The line is ordered as
//! SemVer orders versions, pre-releases among them: `^1.2.3` ends before `2.0.0-0`, the first of all that lead to 2.0.0.

use semver::{BuildMetadata, Comparator, Op, Prerelease, Version, VersionReq};

use crate::model::Event;

/// A place between two neighbouring versions: before a version, or right behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    version: Version,
    behind: bool,
}

/// From a cut to a cut, or without end.
type Stretch = (Option<Cut>, Option<Cut>);

/// The ranges that none of the requirements covers.
pub(super) fn affected<'a>(clean: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<Event>>, String> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for text in clean {
        let requirement = VersionReq::parse(text.trim()).map_err(|error| {
            format!("`{}` is no requirement: {error}", super::super::whole::shortened(text))
        })?;
        stretches.extend(stretch(&requirement).ok_or_else(|| format!("`{text}` is out of range"))?);
    }
    // Without a start comes first.
    stretches.sort();
    let mut ranges = Vec::new();
    // Where what is not covered yet begins; none at the start of the line.
    let mut from: Option<Cut> = None;
    for (start, end) in stretches {
        if start > from {
            ranges.push(events(from.as_ref(), start.as_ref())?);
        }
        match end {
            None => return Ok(ranges),
            end if end > from => from = end,
            _ => {}
        }
    }
    ranges.push(events(from.as_ref(), None)?);
    Ok(ranges)
}

fn events(from: Option<&Cut>, to: Option<&Cut>) -> Result<Vec<Event>, String> {
    let introduced = match from {
        None => "0".to_owned(),
        Some(cut) if cut.behind => next(&cut.version)?.to_string(),
        Some(cut) => cut.version.to_string(),
    };
    let mut events = vec![Event::Introduced(introduced)];
    events.extend(to.map(|cut| match cut.behind {
        true => Event::LastAffected(cut.version.to_string()),
        false => Event::Fixed(cut.version.to_string()),
    }));
    Ok(events)
}

/// The least version behind one: nothing lies between `1.2.3` and `1.2.4-0`, or between `1.0.0-rc` and `1.0.0-rc.0`.
fn next(version: &Version) -> Result<Version, String> {
    let text = match version.pre.is_empty() {
        false => format!("{}.0", version.pre),
        true => "0".to_owned(),
    };
    let pre = Prerelease::new(&text).map_err(|error| format!("`{version}` is out of range: {error}"))?;
    let patch = match version.pre.is_empty() {
        false => version.patch,
        true => version.patch.checked_add(1).ok_or_else(|| format!("`{version}` is out of range"))?,
    };
    Ok(Version { pre, patch, ..version.clone() })
}

/// The stretch that meets all comparators of a requirement; an empty one where they exclude each other. None when a
/// number leaves its range.
fn stretch(requirement: &VersionReq) -> Option<Option<Stretch>> {
    let (mut start, mut end): Stretch = (None, None);
    for comparator in &requirement.comparators {
        let (from, to) = bounds(comparator)?;
        start = start.max(from);
        end = match (end, to) {
            (Some(end), Some(to)) => Some(end.min(to)),
            (end, to) => end.or(to),
        };
    }
    let empty = end.as_ref().is_some_and(|end| start.as_ref().is_some_and(|start| start >= end));
    Some((!empty).then_some((start, end)))
}

/// The stretch that meets a comparator.
fn bounds(comparator: &Comparator) -> Option<Stretch> {
    let Comparator { major, minor, patch, .. } = *comparator;
    let least = Version {
        major,
        minor: minor.unwrap_or(0),
        patch: patch.unwrap_or(0),
        pre: comparator.pre.clone(),
        build: BuildMetadata::EMPTY,
    };
    let before = |version: Version| Some(Cut { version, behind: false });
    let whole = minor.is_some() && patch.is_some();
    // The first of what no longer begins with the numbers that are given.
    let series_end = || -> Option<Option<Cut>> {
        Some(match (minor, patch) {
            (Some(_), Some(_)) => Some(Cut { version: least.clone(), behind: true }),
            (Some(minor), None) => before(first_before(major, minor.checked_add(1)?, 0)),
            (None, _) => before(first_before(major.checked_add(1)?, 0, 0)),
        })
    };
    Some(match comparator.op {
        Op::Exact | Op::Wildcard => (before(least.clone()), series_end()?),
        Op::Greater if whole => (Some(Cut { version: least, behind: true }), None),
        Op::Greater => (series_end()?, None),
        Op::GreaterEq => (before(least), None),
        Op::Less => (None, before(least)),
        Op::LessEq => (None, series_end()?),
        Op::Tilde => {
            let end = match minor {
                Some(minor) => first_before(major, minor.checked_add(1)?, 0),
                None => first_before(major.checked_add(1)?, 0, 0),
            };
            (before(least), before(end))
        }
        Op::Caret => {
            let end = match (major, minor, patch) {
                (0, Some(0), Some(patch)) => first_before(0, 0, patch.checked_add(1)?),
                (0, Some(minor), _) => first_before(0, minor.checked_add(1)?, 0),
                _ => first_before(major.checked_add(1)?, 0, 0),
            };
            (before(least), before(end))
        }
        _ => return None,
    })
}

/// The first of all pre-releases of a version.
fn first_before(major: u64, minor: u64, patch: u64) -> Version {
    let pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
    Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ranges in short: `0..1.2.3`, `1.2.4-0..=2.0.0`, `3.0.0..`.
    fn short(clean: &[&str]) -> Vec<String> {
        let ranges = affected(clean.iter().copied()).unwrap();
        let text = |event: &Event| match event {
            Event::Introduced(version) => format!("{version}.."),
            Event::Fixed(version) => version.clone(),
            Event::LastAffected(version) => format!("={version}"),
        };
        ranges.iter().map(|events| events.iter().map(text).collect()).collect()
    }

    #[test]
    fn what_no_requirement_covers_is_affected() {
        for (clean, expected) in [
            (&[][..], &["0.."][..]),
            (&[">= 1.2.3"], &["0..1.2.3"]),
            (&[">= 1.2.3", "< 0.9"], &["0.9.0..1.2.3"]),
            (&["^1.2.3", ">= 2.1.0"], &["0..1.2.3", "2.0.0-0..2.1.0"]),
            (&["^0.2.3", "^0.0.4"], &["0..0.0.4", "0.0.5-0..0.2.3", "0.3.0-0.."]),
            (&["> 1.2.3"], &["0..=1.2.3"]),
            (&["<= 1.2.3"], &["1.2.4-0.."]),
            (&["<= 1.2.3-rc.1"], &["1.2.3-rc.1.0.."]),
            (&["> 1"], &["0..2.0.0-0"]),
            (&["= 1.2.3"], &["0..1.2.3", "1.2.4-0.."]),
            (&["~1.2.3", "1.4.*"], &["0..1.2.3", "1.3.0-0..1.4.0", "1.5.0-0.."]),
            (&[">= 1.0.0, < 1.1.0", ">= 1.1.0"], &["0..1.0.0"]),
            (&[">= 2.0.0, < 1.0.0"], &["0.."]),
            (&["*"], &[]),
            (&["< 1.0.0", ">= 1.0.0"], &[]),
        ] {
            assert_eq!(short(clean), expected, "{clean:?}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        for (text, expected) in [
            ("newest", "is no requirement"),
            (">= 1.2.3.4", "is no requirement"),
            ("= 18446744073709551616.0.0", "is no requirement"),
            ("^18446744073709551615.0.0", "is out of range"),
            ("<= 1.2.18446744073709551615", "is out of range"),
        ] {
            let error = affected([text].into_iter()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// Whether a version is in one of the ranges, by the rules of OSV.
    fn within(ranges: &[Vec<Event>], version: &Version) -> bool {
        let parse = |text: &str| Version::parse(if text == "0" { "0.0.0-0" } else { text }).unwrap();
        ranges.iter().any(|events| {
            events.iter().all(|event| match event {
                Event::Introduced(from) => *version >= parse(from),
                Event::Fixed(to) => *version < parse(to),
                Event::LastAffected(last) => *version <= parse(last),
            })
        })
    }

    proptest! {
        /// Cargo's own matching is the oracle, for releases: it keeps pre-releases out of requirements without one.
        #[test]
        fn a_release_is_affected_where_it_meets_no_requirement(
            clean in prop::collection::vec(
                (prop::sample::select(vec!["<", "<=", ">", ">=", "=", "^", "~"]), 0_u64..3, 0_u64..3, 0_u64..4, 1_usize..4),
                0..4,
            ),
            (major, minor, patch) in (0_u64..4, 0_u64..4, 0_u64..5),
        ) {
            let texts: Vec<String> = clean
                .iter()
                .map(|(op, a, b, c, parts)| format!("{op}{}", [a, b, c].map(u64::to_string)[..*parts].join(".")))
                .collect();
            let ranges = affected(texts.iter().map(String::as_str)).unwrap();
            let version = Version::new(major, minor, patch);
            let met = texts.iter().any(|text| VersionReq::parse(text).unwrap().matches(&version));
            prop_assert_eq!(within(&ranges, &version), !met, "{:?} {} {:?}", texts, version, ranges);
        }
    }
}
