//! Ranges as the OSV schema evaluates them.

use super::*;

fn is_in(version: &str, events: Vec<Event>) -> Option<(String, FixState)> {
    let entry = affected(Ecosystem::Npm, "m", PackageRole::Either, events);
    let case = Case::new(None, vec![component(PackageKind::Npm, "m", version)]);
    let case = case.source("osv", &["npm"], vec![advisory("CVE-2024-0001", &[], vec![entry])]);
    case.findings().pop().map(|finding| (finding.range, finding.state))
}

#[test]
fn the_last_event_that_is_not_later_decides() {
    let two = || vec![introduced("1.0.0"), fixed("1.2.0"), introduced("2.0.0"), fixed("2.1.0")];
    for (version, expected) in [
        ("0.9.0", None),
        ("1.0.0", Some((">= 1.0.0, < 1.2.0", "1.2.0"))),
        ("1.10.0", None),
        ("1.2.0", None),
        ("2.0.5", Some((">= 2.0.0, < 2.1.0", "2.1.0"))),
        ("2.1.0", None),
        ("10.0.0", None),
    ] {
        let expected = expected.map(|(range, fix)| (range.to_owned(), fixed_in(fix)));
        assert_eq!(is_in(version, two()), expected, "{version}");
        let mut turned = two();
        turned.reverse();
        assert_eq!(is_in(version, turned), expected, "{version}, in another order");
    }
}

#[test]
fn the_last_affected_version_is_affected() {
    for (version, is_found) in [("1.0.0", true), ("1.0.1", false), ("0.1.0", true)] {
        assert_eq!(is_in(version, vec![introduced("0"), last("1.0.0")]).is_some(), is_found, "{version}");
    }
    let one = || vec![introduced("1.0.0"), last("1.0.0")];
    for (version, is_found) in [("0.9.0", false), ("1.0.0", true), ("1.0.1", false)] {
        assert_eq!(is_in(version, one()).is_some(), is_found, "{version}");
    }
    assert_eq!(is_in("0.1.0", vec![last("1.0.0")]), Some(("<= 1.0.0".to_owned(), FixState::NotFixed)));
}

#[test]
fn without_a_beginning_or_an_end_a_range_has_none() {
    assert_eq!(is_in("5.0.0", vec![]), Some(("every version".to_owned(), FixState::NotFixed)));
    assert_eq!(is_in("5.0.0", vec![introduced("0")]), Some(("every version".to_owned(), FixState::NotFixed)));
    assert_eq!(is_in("5.0.0", vec![introduced("2.0.0")]), Some((">= 2.0.0".to_owned(), FixState::NotFixed)));
    assert_eq!(is_in("1.0.0", vec![introduced("2.0.0")]), None);
    assert_eq!(is_in("1.0.0", vec![fixed("2.0.0")]), Some(("< 2.0.0".to_owned(), fixed_in("2.0.0"))));
    assert_eq!(is_in("1.0.0", vec![fixed("0")]), None);
}

#[test]
fn an_impossible_range_is_what_its_events_say() {
    let impossible = || vec![introduced("2.0.0"), fixed("1.0.0")];
    assert_eq!(is_in("1.5.0", impossible()), None);
    assert_eq!(is_in("3.0.0", impossible()), Some((">= 2.0.0".to_owned(), FixState::NotFixed)));
}

#[test]
fn versions_that_are_listed_are_affected_whatever_the_ranges_say() {
    let listed = |version: &str, ranges: Vec<Event>| {
        let mut entry = affected(Ecosystem::PyPi, "m", PackageRole::Either, ranges);
        entry.versions = ["1.0", "1.1"].map(str::to_owned).into();
        let case = Case::new(None, vec![component(PackageKind::Python, "m", version)]);
        !case.source("osv", &["pypi"], vec![advisory("CVE-2024-0001", &[], vec![entry])]).found().is_empty()
    };
    assert!(listed("1.0", vec![]));
    assert!(listed("1.0.0", vec![]), "PEP 440 writes one version in many ways");
    assert!(!listed("1.2", vec![]));
    assert!(listed("1.1", before("1.0.5")));
    assert!(listed("0.1", before("1.0.5")));
    assert!(!listed("2.0", before("1.0.5")));
}
