//! Debian's rules.

use super::*;

fn libssl(version: &str, source: &str) -> Component {
    built(PackageKind::Deb, "libssl3", version, ("openssl", source))
}

#[test]
fn advisories_of_a_source_package_are_about_what_was_built_from_it() {
    let case =
        Case::new(trixie(), vec![libssl("3.0-1", "3.0-1"), component(PackageKind::Deb, "zlib1g", "1")]);
    let case = case.source(
        "tracker",
        &["debian"],
        vec![tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-2"))],
    );
    let finding = case.findings().remove(0);
    assert_eq!((finding.name.as_str(), finding.matched.as_str()), ("libssl3", "openssl"));
    assert_eq!((finding.range.as_str(), &finding.state), ("< 3.0-2", &fixed_in("3.0-2")));
    assert_eq!((finding.source.0.as_str(), finding.advisory.as_str()), ("tracker", "CVE-2024-0001"));
    assert_eq!(case.found(), ["libssl3: CVE-2024-0001"]);
}

#[test]
fn the_name_of_a_source_package_is_not_that_of_an_installed_one() {
    // Installed `openssl`, built from something else; the advisory is about the source package `openssl`.
    let other = built(PackageKind::Deb, "openssl", "1.0-1", ("openssl-defaults", "1.0-1"));
    let case = |role| {
        let advisory = advisory(
            "CVE-2024-0001",
            &[],
            vec![affected(debian("trixie"), "openssl", role, before("3.0-2"))],
        );
        Case::new(trixie(), vec![other.clone()]).source("one", &["debian"], vec![advisory]).found()
    };
    assert!(case(PackageRole::Source).is_empty());
    assert_eq!(case(PackageRole::Binary), ["openssl: CVE-2024-0001"]);
    assert_eq!(case(PackageRole::Either), ["openssl: CVE-2024-0001"]);
}

#[test]
fn the_version_of_the_source_package_counts_and_not_that_of_the_binary_one() {
    // A binary-only rebuild, and a package that counts its own way.
    for (version, source, is_found) in [
        ("3.0-1+b2", "3.0-1", true),
        ("3.0-2+b1", "3.0-2", false),
        ("2:1.0+3.0-2", "3.0-2", false),
        ("9:9.9-9", "3.0-1", true),
    ] {
        let case = Case::new(trixie(), vec![libssl(version, source)]);
        let case = case.source(
            "tracker",
            &["debian"],
            vec![tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-2"))],
        );
        assert_eq!(!case.found().is_empty(), is_found, "{version}");
    }
}

#[test]
fn other_releases_are_not_meant() {
    let say = |release: &str| {
        let case = Case::new(trixie(), vec![libssl("3.0-1", "3.0-1")]);
        case.source("tracker", &["debian"], vec![tracked("CVE-2024-0001", release, "openssl", vec![])])
    };
    assert!(say("bookworm").found().is_empty());
    assert_eq!(say("bookworm").rules("CVE-2024-0001"), [Rule::OtherRelease]);
    assert_eq!(say("trixie").found().len(), 1);
    assert_eq!(say("13").found().len(), 1);
    let all = advisory(
        "CVE-2024-0001",
        &[],
        vec![affected(Ecosystem::Debian(None), "openssl", PackageRole::Source, vec![])],
    );
    let case = Case::new(trixie(), vec![libssl("3.0-1", "3.0-1")]).source("one", &["debian"], vec![all]);
    assert_eq!(case.found().len(), 1);
}

#[test]
fn what_unstable_says_decides_before_what_testing_does() {
    let sid = Distribution {
        title: Some("Debian GNU/Linux forky/sid".to_owned()),
        ..os("debian", None, Some("forky"))
    };
    let case = |sid_says: Option<Vec<Event>>| {
        let entry = |release: &str, events| affected(debian(release), "openssl", PackageRole::Source, events);
        let mut entries = vec![entry("forky", vec![])];
        entries.extend(sid_says.map(|events| entry("sid", events)));
        let components = vec![libssl("3.0-2", "3.0-2")];
        Case::new(Some(sid.clone()), components).source(
            "t",
            &["debian:sid"],
            vec![advisory("CVE-2024-0001", &[], entries)],
        )
    };
    assert!(case(Some(before("3.0-2"))).found().is_empty());
    assert_eq!(case(Some(before("3.0-3"))).found().len(), 1);
    assert_eq!(case(None).found().len(), 1);
    assert_eq!(case(None).scan().unknown, [""; 0]);
    for (name, is_found) in [("unstable", true), ("sid", true), ("trixie", false)] {
        let components = vec![libssl("3.0-2", "3.0-2")];
        let case = Case::new(Some(os("debian", None, Some("sid"))), components);
        let case = case.source("t", &["debian"], vec![tracked("CVE-2024-0001", name, "openssl", vec![])]);
        assert_eq!(!case.found().is_empty(), is_found, "{name}");
    }
}

#[test]
fn what_the_own_changelog_names_is_fixed_whatever_versions_say() {
    // expat 2.9.0-1~deb13u1 sorts before 2.9.0-1, of which it is the rebuild.
    let expat = built(PackageKind::Deb, "libexpat1", "2.9.0-1~deb13u1", ("expat", "2.9.0-1~deb13u1"));
    let id = expat.id.clone();
    let case = || {
        let advisories = vec![tracked("CVE-2026-77214", "trixie", "expat", before("2.9.0-1"))];
        Case::new(trixie(), vec![expat.clone()]).source("tracker", &["debian"], advisories)
    };
    assert_eq!(case().found(), ["libexpat1: CVE-2026-77214"]);
    let with = case().fixed_by_changelog(&id, "CVE-2026-77214", "2.9.0-1");
    assert!(with.found().is_empty());
    assert_eq!(with.rules("CVE-2026-77214"), [Rule::Changelog]);
    assert_eq!(case().fixed_by_changelog(&id, "CVE-2026-99999", "2.9.0-1").found().len(), 1);
}

#[test]
fn a_newer_changelog_names_a_fix_that_has_landed_and_that_the_image_lacks() {
    let case = |version: &str| {
        let advisories = vec![tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-3"))];
        let components = vec![libssl(version, version)];
        Case::new(trixie(), components).source("changelog-debian-stable", &["debian:trixie"], advisories)
    };
    let finding = case("3.0-2").findings().remove(0);
    assert_eq!((&finding.state, finding.source.0.as_str()), (&fixed_in("3.0-3"), "changelog-debian-stable"));
    assert!(case("3.0-3").found().is_empty());
    assert!(
        case("3.0-2").fixed_by_changelog("deb/libssl3@3.0-2", "CVE-2024-0001", "3.0-2").found().is_empty()
    );
}

#[test]
fn a_rebuild_of_the_fixed_version_for_an_older_release_has_the_fix() {
    let case = |version: &str, source: &str| {
        let advisories = vec![tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-3"))];
        Case::new(trixie(), vec![libssl(version, version)]).source(source, &["debian"], advisories)
    };
    for (version, is_found) in
        [("3.0-3~deb13u1", false), ("3.0-3~bpo13+1", false), ("3.0-3~rc1", true), ("3.0-2~deb13u1", true)]
    {
        assert_eq!(!case(version, "changelog-x").found().is_empty(), is_found, "{version}");
    }
    // A tracker names the version of each release itself.
    assert_eq!(case("3.0-3~deb13u1", "tracker").found().len(), 1);
}

#[test]
fn a_tracker_that_knows_a_version_as_fixed_goes_before_a_changelog() {
    let case = |tracker: &str| {
        Case::new(trixie(), vec![libssl("3.0-2", "3.0-2")])
            .source(
                "changelog-x",
                &["debian"],
                vec![tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-3"))],
            )
            .source(
                "tracker",
                &["debian"],
                vec![tracked("CVE-2024-0001", "trixie", "openssl", before(tracker))],
            )
    };
    assert!(case("3.0-1").found().is_empty());
    assert!(case("3.0-1").rules("CVE-2024-0001").contains(&Rule::DistributionSaysFixed));
    assert_eq!(case("3.0-4").found().len(), 1);
}

#[test]
fn the_archives_changelog_goes_before_a_tracker_that_does_not_know_the_fix_yet() {
    let case = |named: &str| {
        Case::new(trixie(), vec![libssl("3.0-2", "3.0-2")])
            .source(
                "changelog-x",
                &["debian"],
                vec![tracked("CVE-2024-0001", "trixie", "openssl", before(named))],
            )
            .source("tracker", &["debian"], vec![tracked("CVE-2024-0001", "trixie", "openssl", vec![])])
    };
    assert!(case("3.0-2").found().is_empty());
    assert!(case("3.0-2").rules("CVE-2024-0001").contains(&Rule::Changelog));
    // It has landed after the image's version: the two are one finding, and the fix is known.
    let findings = case("3.0-3").findings();
    let said: Vec<_> =
        findings.iter().map(|finding| (finding.source.0.as_str(), finding.state.clone())).collect();
    assert_eq!(said, [("tracker", fixed_in("3.0-3"))]);
}

#[test]
fn what_the_distribution_says_not_to_be_affected_is_not_whoever_else_says_so() {
    let mut not = tracked("CVE-2024-0001", "trixie", "openssl", vec![]);
    not.affected[0].status = Status::NotAffected;
    let case = |not: Advisory| {
        Case::new(trixie(), vec![libssl("3.0-2", "3.0-2")])
            .source(
                "changelog-x",
                &["debian"],
                vec![tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-3"))],
            )
            .source(
                "osv",
                &["debian"],
                vec![advisory(
                    "DSA-1",
                    &["CVE-2024-0001", "CVE-2024-0002"],
                    vec![affected(debian("trixie"), "openssl", PackageRole::Source, before("3.0-3"))],
                )],
            )
            .source("tracker", &["debian"], vec![not])
    };
    // The other flaw of the same advisory stays.
    assert_eq!(case(not.clone()).found(), ["libssl3: CVE-2024-0002"]);
    let mut withdrawn = not.clone();
    withdrawn.withdrawn = Some(Epoch(1));
    assert_eq!(case(withdrawn).found(), ["libssl3: CVE-2024-0001", "libssl3: CVE-2024-0002"]);
    not.affected[0].ecosystem = debian("bookworm");
    assert_eq!(case(not).found().len(), 2);
}

#[test]
fn each_state_of_a_fix_is_told() {
    for (status, events, state) in [
        (Status::Affected, before("3.0-3"), fixed_in("3.0-3")),
        (Status::Affected, vec![], FixState::NotFixed),
        (Status::Affected, vec![introduced("0")], FixState::NotFixed),
        (Status::WontFix, vec![], FixState::WontFix),
        (Status::Deferred, vec![], FixState::Deferred),
        (Status::EndOfLife, vec![], FixState::EndOfLife),
        (Status::UnderInvestigation, vec![], FixState::Unknown),
    ] {
        let mut said = tracked("CVE-2024-0001", "trixie", "openssl", events);
        said.affected[0].status = status;
        let case = Case::new(trixie(), vec![libssl("3.0-2", "3.0-2")]).source("t", &["debian"], vec![said]);
        assert_eq!(case.findings().remove(0).state, state, "{status:?}");
    }
}

#[test]
fn ubuntus_releases_are_its_own() {
    let said = |release: &str| {
        let ecosystem = Ecosystem::Ubuntu(Some(release.to_owned()));
        advisory("CVE-2024-0001", &[], vec![affected(ecosystem, "openssl", PackageRole::Source, vec![])])
    };
    let ubuntu =
        Some(Distribution { like: vec!["debian".to_owned()], ..os("ubuntu", Some("24.04"), Some("noble")) });
    for (release, is_found) in [("24.04", true), ("22.04", false)] {
        let case = Case::new(ubuntu.clone(), vec![libssl("3.0-2", "3.0-2")]);
        let case = case.source(
            "u",
            &["ubuntu"],
            vec![said(release), tracked("CVE-2024-0002", "trixie", "openssl", vec![])],
        );
        assert_eq!(!case.found().is_empty(), is_found);
    }
}
