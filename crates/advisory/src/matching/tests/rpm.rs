//! RPM's rules, and Alpine's.

use super::*;

fn rhel9() -> Option<Distribution> {
    Some(os("rhel", Some("9.4"), None))
}

fn el(product: &str) -> Ecosystem {
    Ecosystem::RedHat(format!("cpe:/a:redhat:{product}"))
}

fn rpm(name: &str, version: &str, source: (&str, &str)) -> Component {
    Component { architecture: Some("x86_64".to_owned()), ..built(PackageKind::Rpm, name, version, source) }
}

fn said(package: &str, role: PackageRole, events: Vec<Event>) -> Affected {
    affected(el("enterprise_linux:9::appstream"), package, role, events)
}

fn case(component: Component, affected: Vec<Affected>) -> Case {
    Case::new(rhel9(), vec![component]).source(
        "redhat",
        &["redhat"],
        vec![advisory("CVE-2024-0001", &[], affected)],
    )
}

#[test]
fn a_missing_epoch_is_zero() {
    for (installed, fixed, is_found) in [
        ("1.0-1.el9", "0:1.0-2.el9", true),
        ("1.0-2.el9", "0:1.0-2.el9", false),
        ("9.0-1.el9", "1:1.0-2.el9", true),
        ("1:1.0-2.el9", "1.0-3.el9", false),
    ] {
        let case = case(
            rpm("a", installed, ("a", "1.0-1.el9")),
            vec![said("a", PackageRole::Binary, before(fixed))],
        );
        assert_eq!(!case.found().is_empty(), is_found, "{installed} {fixed}");
    }
}

#[test]
fn versions_of_source_packages_are_compared_without_epochs() {
    // perl-Errno has a version of its own; the source RPM of perl names no epoch, the advisory does.
    for (source, is_found) in [("5.32.1-480.el9", true), ("5.32.1-481.el9", false), ("5.34.0-1.el9", false)] {
        let errno = rpm("perl-Errno", "1.30-480.el9", ("perl", source));
        let case = case(errno, vec![said("perl", PackageRole::Source, before("4:5.32.1-481.el9"))]);
        assert_eq!(!case.found().is_empty(), is_found, "{source}");
    }
}

#[test]
fn what_is_said_of_the_installed_package_goes_before_what_is_said_of_its_source() {
    let said = |binary: &str, source: &str| {
        vec![
            said("a-libs", PackageRole::Binary, before(binary)),
            said("a", PackageRole::Source, before(source)),
        ]
    };
    let libs = || rpm("a-libs", "1:1.0-2.el9", ("a", "1.0-2.el9"));
    assert!(case(libs(), said("1:1.0-2.el9", "1:1.0-3.el9")).found().is_empty());
    assert_eq!(case(libs(), said("1:1.0-3.el9", "1:1.0-2.el9")).found().len(), 1);
}

#[test]
fn a_module_is_compared_with_its_own_stream_alone() {
    let node = |module: Option<&str>| Component {
        module: module.map(str::to_owned),
        ..rpm("nodejs", "1:18.1.0-1.el9", ("nodejs", "18.1.0-1.el9"))
    };
    let of = |module: Option<&str>| {
        let entry = said("nodejs", PackageRole::Binary, before("1:18.2.0-1.el9"));
        vec![Affected { module: module.map(str::to_owned), ..entry }]
    };
    for (installed, advisory, is_found) in [
        (Some("nodejs:18:9040020240101:rhel9"), Some("nodejs:18"), true),
        (Some("nodejs:18:9040020240101:rhel9"), Some("nodejs:20"), false),
        (None, Some("nodejs:18"), false),
        (None, None, true),
    ] {
        let case = case(node(installed), of(advisory));
        assert_eq!(!case.found().is_empty(), is_found, "{installed:?} {advisory:?}");
        if !is_found {
            assert_eq!(case.rules("CVE-2024-0001"), [Rule::Module]);
        }
    }
    // An advisory for no module is for no module's build where the feed tells modules apart, and may be for one where not.
    let plain = |others: Vec<Advisory>| {
        let mut advisories = vec![advisory("CVE-2024-0001", &[], of(None))];
        advisories.extend(others);
        Case::new(rhel9(), vec![node(Some("nodejs:18:1:2"))]).source("redhat", &["redhat"], advisories)
    };
    assert_eq!(plain(vec![]).found().len(), 1);
    assert!(plain(vec![advisory("CVE-2024-0002", &[], of(Some("nodejs:20")))]).found().is_empty());
}

#[test]
fn what_was_built_for_a_module_is_told_by_its_release_too() {
    for (installed, fixed, is_found) in [
        ("10.19.0-1.module_el8.3.0+6", "10.19.0-2.module_el8.3.0+7", true),
        ("10.19.0-1.el8", "10.19.0-2.module_el8.3.0+7", false),
        ("10.19.0-1.module_el8.3.0+6", "10.19.0-2.el8", false),
    ] {
        let case =
            case(rpm("n", installed, ("n", "1-1")), vec![said("n", PackageRole::Binary, before(fixed))]);
        assert_eq!(!case.found().is_empty(), is_found, "{installed} {fixed}");
    }
}

#[test]
fn other_architectures_are_not_meant() {
    let of = |architectures: &[&str], role| {
        let architectures = architectures.iter().map(|name| (*name).to_owned()).collect();
        vec![Affected { architectures, ..said("a", role, before("2-1")) }]
    };
    let component = || rpm("a", "1-1", ("a", "1-1"));
    for (architectures, role, is_found) in [
        (&["x86_64", "aarch64"][..], PackageRole::Binary, true),
        (&["aarch64"], PackageRole::Binary, false),
        (&["src"], PackageRole::Binary, false),
        (&["src"], PackageRole::Source, true),
        (&["src", "aarch64"], PackageRole::Source, false),
    ] {
        let case = case(component(), of(architectures, role));
        assert_eq!(!case.found().is_empty(), is_found, "{architectures:?} {role:?}");
    }
    assert_eq!(
        case(component(), of(&["s390x"], PackageRole::Binary)).rules("CVE-2024-0001"),
        [Rule::Architecture]
    );
}

#[test]
fn products_of_red_hat_are_told_apart_by_cpe() {
    for (product, is_found) in [
        ("enterprise_linux:9::appstream", true),
        ("enterprise_linux:9.4", true),
        ("enterprise_linux:8::appstream", false),
        ("rhel_eus:9.4::appstream", false),
        ("openshift:4.12::el9", false),
    ] {
        let entry = affected(el(product), "a", PackageRole::Binary, before("2-1"));
        let case = case(rpm("a", "1-1", ("a", "1-1")), vec![entry]);
        assert_eq!(!case.found().is_empty(), is_found, "{product}");
    }
}

#[test]
fn each_distribution_of_rpm_has_its_own_releases() {
    let some = |text: &str| Some(text.to_owned());
    let titled = |title: &str| Some(Distribution { title: some(title), ..os("fedora", Some("45"), None) });
    let with_cpe = |cpe: &str| Some(Distribution { cpe: some(cpe), ..os("fedora", Some("45"), None) });
    for (distribution, ecosystem, is_found) in [
        (Some(os("almalinux", Some("9.6"), None)), Ecosystem::AlmaLinux(some("9")), true),
        (Some(os("almalinux", Some("9.6"), None)), Ecosystem::AlmaLinux(some("8")), false),
        (Some(os("almalinux", Some("9.6"), None)), el("enterprise_linux:9"), false),
        (Some(os("fedora", Some("42"), None)), Ecosystem::Fedora(some("42")), true),
        (Some(os("fedora", Some("42"), None)), Ecosystem::Fedora(some("rawhide")), false),
        (titled("Fedora Linux 45 (Rawhide Prerelease)"), Ecosystem::Fedora(some("rawhide")), true),
        (titled("Fedora Linux 45 (Rawhide Prerelease)"), Ecosystem::Fedora(some("45")), true),
        (Some(os("fedora", None, Some("rawhide"))), Ecosystem::Fedora(some("rawhide")), true),
        (with_cpe("cpe:/a:redhat:hummingbird:1"), Ecosystem::Hummingbird, true),
        (with_cpe("cpe:/a:redhat:hummingbird:1"), Ecosystem::Fedora(some("45")), false),
        (with_cpe("cpe:/o:fedoraproject:fedora:45"), Ecosystem::Hummingbird, false),
    ] {
        let entry = affected(ecosystem.clone(), "a", PackageRole::Either, before("2-1"));
        let case = Case::new(distribution.clone(), vec![rpm("a", "1-1", ("a", "1-1"))]);
        let case = case.source("s", &[], vec![advisory("CVE-2024-0001", &[], vec![entry])]);
        assert_eq!(!case.found().is_empty(), is_found, "{distribution:?} {ecosystem:?}");
    }
}

#[test]
fn alpines_advisories_name_origins_of_a_branch() {
    let some = |text: &str| Some(text.to_owned());
    let edge = Some(Distribution {
        title: some("Alpine Linux edge"),
        ..os("alpine", Some("3.21_alpha20240923"), None)
    });
    for (distribution, ecosystem, is_found) in [
        (Some(os("alpine", Some("3.20.3"), None)), Ecosystem::Alpine(some("v3.20")), true),
        (Some(os("alpine", Some("3.20.3"), None)), Ecosystem::Alpine(some("v3.2")), false),
        (edge, Ecosystem::Alpine(some("edge")), true),
        (Some(os("wolfi", Some("20230201"), None)), Ecosystem::Wolfi, true),
        (Some(os("chainguard", Some("20230201"), None)), Ecosystem::Wolfi, true),
        (Some(os("wolfi", Some("20230201"), None)), Ecosystem::Alpine(some("v3.20")), false),
    ] {
        let entry = affected(ecosystem.clone(), "openssl", PackageRole::Source, before("3.3.1-r1"));
        let libssl = built(PackageKind::Apk, "libssl3", "3.3.1-r0", ("openssl", "3.3.1-r0"));
        let case = Case::new(distribution.clone(), vec![libssl]);
        let case = case.source("s", &[], vec![advisory("CVE-2024-0001", &[], vec![entry])]);
        assert_eq!(!case.found().is_empty(), is_found, "{distribution:?} {ecosystem:?}");
    }
}
