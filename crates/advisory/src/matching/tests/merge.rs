//! One finding for each flaw of a component.

use super::*;
use crate::model::Severity;

fn entry(ecosystem: Ecosystem) -> Affected {
    affected(ecosystem, "m", PackageRole::Either, before("2.0"))
}

fn python(advisories: Vec<(&str, Vec<Advisory>)>) -> Case {
    let case = Case::new(None, vec![component(PackageKind::Python, "m", "1.0")]);
    advisories.into_iter().fold(case, |case, (name, advisories)| case.source(name, &["pypi"], advisories))
}

#[test]
fn several_sources_that_say_the_same_are_one_finding() {
    let case = python(vec![
        ("ghsa", vec![advisory("GHSA-1", &["CVE-2024-0001"], vec![entry(Ecosystem::PyPi)])]),
        ("pypa", vec![advisory("PYSEC-1", &["CVE-2024-0001", "GHSA-1"], vec![entry(Ecosystem::PyPi)])]),
    ]);
    let findings = case.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].vulnerability, "CVE-2024-0001");
    assert_eq!(findings[0].aliases, BTreeSet::from(["GHSA-1".to_owned(), "PYSEC-1".to_owned()]));
}

#[test]
fn names_that_go_round_in_circles_are_one_flaw() {
    let say = |id: &str, alias: &str| advisory(id, &[alias], vec![entry(Ecosystem::PyPi)]);
    let case = python(vec![
        ("a", vec![say("A-1", "B-1"), say("D-1", "C-1")]),
        ("b", vec![say("B-1", "C-1"), say("C-1", "A-1")]),
    ]);
    assert_eq!(case.found(), ["m: A-1"]);
    let with_number = python(vec![(
        "a",
        vec![say("A-1", "B-1"), advisory("B-1", &["CVE-2024-0009"], vec![entry(Ecosystem::PyPi)])],
    )]);
    assert_eq!(with_number.found(), ["m: CVE-2024-0009"]);
}

#[test]
fn an_advisory_about_several_flaws_is_several_findings() {
    let case = python(vec![
        ("a", vec![advisory("ALSA-1", &["CVE-2024-0001", "CVE-2024-0002"], vec![entry(Ecosystem::PyPi)])]),
        ("b", vec![advisory("CVE-2024-0002", &[], vec![entry(Ecosystem::PyPi)])]),
    ]);
    assert_eq!(case.found(), ["m: CVE-2024-0001", "m: CVE-2024-0002"]);
    assert!(case.findings().iter().all(|finding| finding.aliases == BTreeSet::from(["ALSA-1".to_owned()])
        || finding.vulnerability == "CVE-2024-0002"));
}

#[test]
fn the_distributions_word_of_this_release_comes_first() {
    let say = |release: Option<&str>, word: &str| {
        let entry =
            affected(Ecosystem::Debian(release.map(str::to_owned)), "m", PackageRole::Source, before("2.0"));
        Advisory {
            severities: vec![Severity::Word(word.to_owned())],
            ..advisory("CVE-2024-0001", &[], vec![entry])
        }
    };
    let case = Case::new(trixie(), vec![component(PackageKind::Deb, "m", "1.0")])
        .source("a-of-all", &["debian"], vec![say(None, "low")])
        .source("changelog-a", &["debian"], vec![say(Some("trixie"), "")])
        .source("z-tracker", &["debian"], vec![say(Some("trixie"), "high")]);
    let finding = case.findings().remove(0);
    assert_eq!((finding.source.0.as_str(), finding.severity.as_str()), ("z-tracker", "high"));
}

#[test]
fn withdrawn_advisories_match_nothing() {
    let mut withdrawn = advisory("CVE-2024-0001", &[], vec![entry(Ecosystem::PyPi)]);
    withdrawn.withdrawn = Some(Epoch(1));
    let case = python(vec![("a", vec![withdrawn])]);
    assert!(case.found().is_empty());
    assert_eq!(case.rules("CVE-2024-0001"), [Rule::Withdrawn]);
}

#[test]
fn disclosure_and_fix_have_clocks_of_their_own() {
    let at = |id: &str, seconds: i64| {
        let entry = affected(debian("trixie"), "m", PackageRole::Source, before("2.0"));
        Advisory { published: Some(Epoch(seconds)), ..advisory(id, &["CVE-2024-0001"], vec![entry]) }
    };
    let case = Case::new(trixie(), vec![component(PackageKind::Deb, "m", "1.0")])
        .source("changelog-a", &["debian"], vec![at("CVE-2024-0001", 30)])
        .source("osv", &["debian"], vec![at("DSA-1", 20)])
        .source("tracker", &["debian"], vec![at("CVE-2024-0001", 10)]);
    let finding = case.findings().remove(0);
    assert_eq!((finding.published, finding.fix_since), (Some(Epoch(10)), Some(Epoch(20))));
}

#[test]
fn findings_name_files_and_layers() {
    let mut case = python(vec![("a", vec![advisory("CVE-2024-0001", &[], vec![entry(Ecosystem::PyPi)])])]);
    for number in 0..30 {
        case.sbom.files.insert(format!("/usr/{number:02}"), file("pypi/m@1.0", b"one"));
    }
    case.sbom.files.insert("/zz".to_owned(), file("pypi/m@1.0", b"two"));
    case.sbom.files.insert("/other".to_owned(), file("pypi/other@1.0", b"three"));
    let finding = case.findings().remove(0);
    assert_eq!((finding.files.len(), finding.files[0].as_str()), (20, "/usr/00"));
    assert_eq!(finding.layers, BTreeSet::from([Digest::of(b"one"), Digest::of(b"two")]));
}

#[test]
fn advisories_of_one_id_in_one_feed_are_told_apart_by_a_number_that_is_no_name() {
    let case = python(vec![(
        "a",
        vec![
            advisory("CVE-2024-0001 #2", &[], vec![entry(Ecosystem::PyPi)]),
            advisory("GHSA-1 #3", &[], vec![entry(Ecosystem::PyPi)]),
            advisory("GHSA-1", &[], vec![entry(Ecosystem::Npm)]),
        ],
    )]);
    assert_eq!(case.found(), ["m: CVE-2024-0001", "m: GHSA-1"]);
    assert_eq!(case.rules("GHSA-1"), [Rule::NoComponent, Rule::InRange]);
    assert_eq!(case.database().show("CVE-2024-0001").unwrap().told.len(), 1);
}
