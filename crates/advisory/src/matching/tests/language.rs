//! Rules of packages of languages.

use super::*;

fn case(component: Component, affected: Vec<Affected>) -> Case {
    Case::new(None, vec![component]).source("osv", &["pypi"], vec![advisory("CVE-2024-0001", &[], affected)])
}

#[test]
fn each_kind_has_its_ecosystem_and_its_spelling_of_names() {
    for (kind, name, ecosystem, said, is_found) in [
        (PackageKind::Python, "Zope_Interface", Ecosystem::PyPi, "zope.interface", true),
        (PackageKind::Npm, "lodash", Ecosystem::Npm, "lodash", true),
        (PackageKind::Npm, "JSONStream", Ecosystem::Npm, "jsonstream", false),
        (PackageKind::Cargo, "serde_json", Ecosystem::CratesIo, "Serde-JSON", true),
        (PackageKind::Go, "github.com/a/b", Ecosystem::Go, "github.com/a/b", true),
        (PackageKind::Go, "stdlib", Ecosystem::Go, "stdlib", true),
        (PackageKind::Go, "github.com/A/b", Ecosystem::Go, "github.com/a/b", false),
        (PackageKind::Maven, "org.a:b", Ecosystem::Maven, "org.a:b", true),
        (PackageKind::Npm, "requests", Ecosystem::PyPi, "requests", false),
    ] {
        let entry = affected(ecosystem, said, PackageRole::Either, before("2.0.0"));
        let case = case(component(kind, name, "1.0.0"), vec![entry]);
        assert_eq!(!case.found().is_empty(), is_found, "{name} {said}");
    }
}

#[test]
fn gos_library_is_compared_by_gos_spelling() {
    for (version, is_found) in [("go1.21.3", true), ("go1.21.5", false), ("1.21.3", true)] {
        let entry = affected(Ecosystem::Go, "stdlib", PackageRole::Either, before("1.21.5"));
        let entry =
            Affected { ranges: vec![Range { kind: RangeKind::Semver, ..entry.ranges[0].clone() }], ..entry };
        let case = case(component(PackageKind::Go, "stdlib", version), vec![entry]);
        assert_eq!(!case.found().is_empty(), is_found, "{version}");
    }
}

#[test]
fn what_was_built_without_a_version_is_a_gap() {
    for version in ["(devel)", "", "v0.0.0", "devel go1.25-abcdef"] {
        let entry = affected(Ecosystem::Go, "m", PackageRole::Either, vec![]);
        let case = case(component(PackageKind::Go, "m", version), vec![entry]);
        let scan = case.scan();
        assert!(scan.findings.is_empty());
        assert_eq!(scan.gaps.len(), 1, "{version}");
        // The main module of a program is built so, and no feed is about it; one that says nothing may be anything.
        assert_eq!(scan.unknown.iter().any(|why| why.contains("could not be compared")), version.is_empty());
        assert_eq!(scan.gaps[0].component, format!("golang/m@{version}"));
        assert_eq!(case.rules("CVE-2024-0001"), [Rule::Uncomparable]);
    }
}

#[test]
fn versions_that_cannot_be_compared_are_gaps_and_not_dropped() {
    let entry = affected(Ecosystem::PyPi, "m", PackageRole::Either, before("no version!"));
    let case = case(component(PackageKind::Python, "m", "1.0"), vec![entry]);
    let scan = case.scan();
    assert!(scan.findings.is_empty());
    let gaps: Vec<_> =
        scan.gaps.iter().map(|gap| (gap.component.as_str(), gap.advisory.as_deref())).collect();
    assert_eq!(gaps, [("pypi/m@1.0", Some("CVE-2024-0001"))]);
    assert!(scan.gaps[0].reason.contains("no version!"), "{}", scan.gaps[0].reason);
    assert_eq!(scan.verdict(), Verdict::Unknown);
    assert!(scan.unknown.iter().any(|why| why == "pypi/m@1.0 could not be compared"), "{:?}", scan.unknown);
}

#[test]
fn an_archive_whose_group_nobody_tells_is_a_gap() {
    let entry = affected(Ecosystem::Maven, "g:m", PackageRole::Either, before("2"));
    let scan = case(component(PackageKind::Maven, "m", "1.0"), vec![entry]).scan();
    assert_eq!((scan.findings.len(), scan.gaps.len(), scan.verdict()), (0, 1, Verdict::Unknown));
    assert!(scan.gaps[0].reason.contains("its group"), "{}", scan.gaps[0].reason);
}

#[test]
fn what_is_part_of_a_distributions_package_is_not_matched_twice() {
    let entry = affected(Ecosystem::PyPi, "requests", PackageRole::Either, vec![]);
    let requests = || component(PackageKind::Python, "requests", "1.0");
    assert_eq!(case(requests(), vec![entry.clone()]).found().len(), 1);
    let part = Component { part_of: Some("deb/python3-requests@1".to_owned()), ..requests() };
    let case = case(part, vec![entry]);
    assert!(case.found().is_empty());
    assert_eq!(case.rules("CVE-2024-0001"), [Rule::PartOf]);
}

#[test]
fn a_source_takes_away_its_own_claims_alone() {
    let entry = || affected(Ecosystem::PyPi, "m", PackageRole::Either, vec![]);
    let not = Affected { status: Status::NotAffected, ..entry() };
    let case = Case::new(None, vec![component(PackageKind::Python, "m", "1.0")])
        .source(
            "one",
            &["pypi"],
            vec![
                advisory("CVE-2024-0001", &[], vec![entry()]),
                advisory("PYSEC-1", &["CVE-2024-0001"], vec![not]),
            ],
        )
        .source("other", &["pypi"], vec![advisory("GHSA-1", &["CVE-2024-0001"], vec![entry()])]);
    let findings = case.findings();
    let said: Vec<_> = findings.iter().map(|finding| finding.source.0.as_str()).collect();
    assert_eq!(said, ["other"]);
}

#[test]
fn nothing_is_guessed_from_cpes() {
    let deb =
        Component { cpes: vec!["cpe:2.3:a:x:m:1.0".to_owned()], ..component(PackageKind::Deb, "m", "1.0") };
    let entry = affected(Ecosystem::Other("cpe".to_owned()), "m", PackageRole::Either, vec![]);
    assert!(case(deb.clone(), vec![entry]).found().is_empty());
    let entry = affected(Ecosystem::PyPi, "m", PackageRole::Either, vec![]);
    assert!(case(deb, vec![entry]).found().is_empty());
}
