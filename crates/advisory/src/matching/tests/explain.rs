//! What is said of why something matched, or did not.

use super::*;

fn explained(case: &Case, flaw: &str) -> Vec<String> {
    let explained = explain(&case.sbom, &case.fixes, &case.database(), flaw).unwrap();
    let text = |explained: Explanation| {
        let component = explained.component.unwrap_or_else(|| "-".to_owned());
        format!(
            "{} {} {component} {:?}: {}",
            explained.source, explained.advisory, explained.rule, explained.why
        )
    };
    explained.into_iter().map(text).collect()
}

#[test]
fn each_advisory_and_component_is_explained() {
    let components = vec![
        built(PackageKind::Deb, "libssl3", "3.0-1", ("openssl", "3.0-1")),
        built(PackageKind::Deb, "openssl", "3.0-2", ("openssl", "3.0-2")),
    ];
    let case = Case::new(trixie(), components)
        .source(
            "tracker",
            &["debian"],
            vec![
                tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-2")),
                tracked("CVE-2024-0002", "bookworm", "openssl", before("3.0-2")),
                tracked("CVE-2024-0003", "trixie", "expat", before("3.0-2")),
            ],
        )
        .fixed_by_changelog("deb/libssl3@3.0-1", "CVE-2024-0009", "1");
    insta::assert_debug_snapshot!(["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004"].map(|flaw| explained(&case, flaw)), @r#"
    [
        [
            "tracker CVE-2024-0001 deb/libssl3@3.0-1 InRange: version 3.0-1 of its source openssl is in < 3.0-2",
            "tracker CVE-2024-0001 deb/openssl@3.0-2 NotInRange: version 3.0-2 of its source openssl is not in < 3.0-2",
        ],
        [
            "tracker CVE-2024-0002 deb/libssl3@3.0-1 OtherRelease: it speaks of debian:bookworm, and the image is debian:trixie",
            "tracker CVE-2024-0002 deb/openssl@3.0-2 OtherRelease: it speaks of debian:bookworm, and the image is debian:trixie",
        ],
        [
            "tracker CVE-2024-0003 - NoComponent: nothing in the image is called expat",
        ],
        [],
    ]
    "#);
}

#[test]
fn of_an_advisory_about_several_flaws_only_the_one_asked_for_is_explained() {
    let entry = affected(debian("trixie"), "m", PackageRole::Source, before("2.0"));
    let case = Case::new(trixie(), vec![component(PackageKind::Deb, "m", "1.0")])
        .source("osv", &["debian"], vec![advisory("DSA-1", &["CVE-2024-0001", "CVE-2024-0002"], vec![entry])])
        .fixed_by_changelog("deb/m@1.0", "CVE-2024-0001", "1.0");
    assert_eq!(case.rules("CVE-2024-0001"), [Rule::Changelog]);
    assert_eq!(case.rules("CVE-2024-0002"), [Rule::InRange]);
    assert_eq!(case.rules("DSA-1"), [Rule::InRange, Rule::Changelog]);
}
