//! The resolver's rules on small made-up indexes: what is chosen, who asked for it, and what is said when nothing can be.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use calypte_base::{Architecture, PackageFormat};
use calypte_resolve::{Request, ResolveError, resolve};
use calypte_universe::PackageIndex;
use calypte_universe::rules::Assumed;
use calypte_universe::table::deb::read_packages;

/// An index of packages, one a line: name, version, then fields separated by `;`.
fn index(packages: &str) -> PackageIndex {
    let mut text = String::new();
    for line in packages.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = line.split(';').map(str::trim);
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        let fields: Vec<&str> = parts.collect();
        let architecture = if fields.iter().any(|field| field.starts_with("Architecture")) {
            ""
        } else {
            "Architecture: amd64\n"
        };
        writeln!(
            text,
            "Package: {name}\nVersion: {version}\n{architecture}Filename: pool/{name}_{version}.deb\nSize: 1\nSHA256: {:064}\n{}\n",
            0,
            fields.iter().map(|field| format!("{field}\n")).collect::<String>()
        )
        .unwrap();
    }
    let table = read_packages(text.as_bytes(), "amd64").unwrap();
    PackageIndex::new("debian-sid", PackageFormat::Deb, Architecture::Amd64, vec![("sid".to_owned(), table)])
        .unwrap()
}

fn request<'a>(packages: &str, assumed: &'a Assumed) -> Request<'a> {
    let packages = packages.split(' ').map(str::to_owned).collect();
    Request { packages, prefer: BTreeMap::new(), assumed, blocked: BTreeMap::new() }
}

/// The chosen packages, `name version`, or the error.
fn chosen(index: &PackageIndex, request: &Request<'_>) -> String {
    match resolve(index, request) {
        Ok(resolution) => {
            let shown = resolution
                .packages
                .iter()
                .map(|selected| format!("{} {}", selected.record.name, selected.record.version));
            shown.collect::<Vec<_>>().join(", ")
        }
        Err(error) => shown(&error),
    }
}

fn shown(error: &ResolveError) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap_or_default())
}

#[test]
fn what_is_chosen() {
    let none = Assumed::default();
    for (rule, packages, asked, expected) in [
        ("the newest version", "a 1\n a 2\n a 1.10", "a", "a 2"),
        ("an older version where only it can be", "a 2; Depends: b (>= 3)\n a 1\n b 2", "a", "a 1"),
        ("the first alternative", "a 1; Depends: c | b\n b 1\n c 1", "a", "a 1, c 1"),
        ("the second where the first cannot be", "a 1; Depends: b (>= 2) | c\n b 1\n c 1", "a", "a 1, c 1"),
        (
            "the second where the first conflicts",
            "a 1; Depends: b | c\n b 1; Conflicts: d\n c 1\n d 1",
            "a d",
            "a 1, c 1, d 1",
        ),
        ("what is chosen already", "a 1; Depends: b | c\n b 1\n c 1", "a c", "a 1, c 1"),
        ("Pre-Depends as Depends", "a 1; Pre-Depends: b\n b 1", "a", "a 1, b 1"),
        ("neither Recommends nor Essential", "a 1; Recommends: b\n b 1\n c 1; Essential: yes", "a", "a 1"),
        ("cycles", "a 1; Depends: b\n b 1; Depends: a", "b", "a 1, b 1"),
        (
            "the real package before those that provide it",
            "a 1; Depends: v\n b 1; Provides: v\n v 1",
            "a",
            "a 1, v 1",
        ),
        (
            "providers by priority",
            "a 1; Depends: v\n b 1; Provides: v; Priority: optional\n c 1; Provides: v; Priority: important",
            "a",
            "a 1, c 1",
        ),
        ("providers by name", "a 1; Depends: v\n c 1; Provides: v\n b 1; Provides: v", "a", "a 1, b 1"),
        (
            "essential providers first",
            "a 1; Depends: v\n b 1; Provides: v\n c 1; Provides: v; Essential: yes",
            "a",
            "a 1, c 1",
        ),
        (
            "versioned provisions",
            "a 1; Depends: v (>= 2)\n b 1; Provides: v\n c 1; Provides: v (= 1)\n d 1; Provides: v (= 2)",
            "a",
            "a 1, d 1",
        ),
        ("a provision of its own name", "a 1; Depends: b (>= 5)\n b 1; Provides: b (= 5)", "a", "a 1, b 1"),
        ("what meets itself", "a 1; Depends: v; Provides: v\n b 1; Provides: v", "a", "a 1"),
        (":any of packages that allow it", "a 1; Depends: p:any\n p 1; Multi-Arch: allowed", "a", "a 1, p 1"),
        (
            ":native as here",
            "a 1; Depends: p:native, q:amd64\n p 1\n q 1; Architecture: all",
            "a",
            "a 1, p 1, q 1",
        ),
        ("conflicts with what one provides oneself", "a 1; Provides: v; Conflicts: v", "a", "a 1"),
        ("an older version that does not break", "a 1\n b 2; Breaks: a\n b 1", "a b", "a 1, b 1"),
        ("breaks of some versions only", "a 1\n b 1; Breaks: a (<< 1)", "a b", "a 1, b 1"),
        (
            "backtracking",
            "a 1; Depends: b, c\n b 2; Depends: d (= 2)\n b 1; Depends: d (= 1)\n c 1; Depends: d (= 1)\n d 1\n d 2",
            "a",
            "a 1, b 1, c 1, d 1",
        ),
    ] {
        assert_eq!(chosen(&index(packages), &request(asked, &none)), expected, "{rule}");
    }
}

#[test]
fn preferences_settle_what_several_provide() {
    let index = index("a 1; Depends: d | v\n b 1; Provides: v\n c 1; Provides: v\n d 1; Provides: v");
    let none = Assumed::default();
    let mut request = request("a", &none);
    assert_eq!(chosen(&index, &request), "a 1, d 1");
    request.prefer.insert("v".to_owned(), "c".to_owned());
    assert_eq!(chosen(&index, &request), "a 1, c 1");
    request.prefer.insert("v".to_owned(), "a".to_owned());
    insta::assert_snapshot!(chosen(&index, &request), @"
    `prefer` takes `a` for `v`, but a is not v and does not provide it in debian-sid
    hint: the candidates are `b`, `c`, `d`
    ");
    request.prefer.insert("v".to_owned(), "e".to_owned());
    insta::assert_snapshot!(chosen(&index, &request), @"
    debian-sid (amd64) has no package `e`, which `prefer` takes for `v`
    hint: did you mean `a`?
    ");
}

/// As apt takes it: the one package that provides a name that none bears.
#[test]
fn a_name_stands_for_the_one_package_that_provides_it() {
    let assumed = Assumed::default();
    let index = index(
        "linux-image-amd64 2; Provides: linux-image-generic; Depends: kmod\n kmod 1\n linux-image-amd64 1",
    );
    let asked = request("linux-image-generic", &assumed);
    assert_eq!(chosen(&index, &asked), "kmod 1, linux-image-amd64 2");
    let resolution = resolve(&index, &asked).unwrap();
    assert_eq!(resolution.why("linux-image-amd64"), ["definition"]);
    assert!(resolve(&index, &request("linux-image", &assumed)).is_err());
}

#[test]
fn what_is_assumed_is_left_out_unless_it_is_asked_for() {
    let index = index(
        "a 1; Depends: dpkg (>= 99), debconf | debconf-2.0, v, systemd | standalone, libc\n dpkg 1; Depends: libc\n debconf 1; Depends: perl\n\
         perl 1\n standalone 1\n systemd 1\n w 1; Provides: v\n b 1; Depends: perl\n c 1; Depends: perl\n libc 1",
    );
    let reasons = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), "reason".to_owned())).collect::<BTreeMap<_, _>>()
    };
    let assumed = Assumed {
        everywhere: reasons(&["dpkg", "debconf", "w", "standalone", "not-there"]),
        only_for: [("b".to_owned(), reasons(&["perl"]))].into(),
        ..Assumed::default()
    };
    for (asked, expected) in [
        ("a", "a 1, libc 1"),
        ("b", "b 1"),
        ("b c", "b 1, c 1, perl 1"),
        ("debconf", "debconf 1, perl 1"),
        ("a systemd", "a 1, libc 1, systemd 1"),
    ] {
        assert_eq!(chosen(&index, &request(asked, &assumed)), expected, "{asked}");
    }
    // Asked for by name it is a package like any other, and its version counts.
    insta::assert_snapshot!(chosen(&index, &request("a dpkg", &assumed)), @"
    the packages that are asked for cannot be together in debian-sid (amd64):
      a 1 needs dpkg (>= 99), but the newest dpkg in debian-sid is 1
        a is asked for by the definition
    hint: if the definition has not changed, debian-sid may be in the middle of a transition: the locks that there are still build, and trying again in some hours often helps
    ");
}

#[test]
fn who_asked_for_what() {
    let index = index(
        "a 1; Depends: b, libc\n b 1; Depends: c, libc\n c 1; Depends: libc\n d 1; Depends: c\n libc 1",
    );
    let none = Assumed::default();
    let resolution = resolve(&index, &request("a d", &none)).unwrap();
    let shown: Vec<String> = resolution
        .packages
        .iter()
        .map(|selected| format!("{}: {:?} of {:?}", selected.record.name, selected.by, selected.askers))
        .collect();
    assert_eq!(
        shown,
        [
            r#"a: {"definition"} of {"definition"}"#,
            r#"b: {"a"} of {"a"}"#,
            r#"c: {"d"} of {"b", "d"}"#,
            r#"d: {"definition"} of {"definition"}"#,
            r#"libc: {"a"} of {"a", "b", "c"}"#,
        ]
    );
    assert_eq!(resolution.why("c"), ["d", "definition"]);
    assert!(resolution.why("x").is_empty());
    assert_eq!(resolution.download_size(), 5);
}

#[test]
fn what_is_said_when_nothing_can_be_chosen() {
    let none = Assumed::default();
    let mut all = Vec::new();
    for (what, packages, asked) in [
        ("unknown", "nginx 1\n nginx-common 1", "ngnix"),
        ("renamed", "libssl3t64 1\n libssl3t64-dbg 1", "libssl3"),
        ("virtual", "exim4 1; Provides: mta\n postfix 1; Provides: mta", "mta"),
        ("too old", "nginx 1.30; Depends: libfoo1 (>= 2)\n libfoo1 1.9-1", "nginx"),
        ("gone", "nginx 1.30; Depends: libfoo1 (>= 2) | libbar", "nginx"),
        (
            "deep",
            "app 1; Depends: lib\n lib 1; Depends: sub\n sub 1; Depends: base (<< 1) | gone\n base 2",
            "app",
        ),
        (
            "provided in other versions",
            "a 1; Depends: v (>= 2)\n b 1; Provides: v\n c 1; Provides: v (= 1)",
            "a",
        ),
        ("conflict", "a 1; Depends: lib\n lib 1\n b 1; Depends: other\n other 1; Conflicts: lib", "a b"),
        ("breaks a version", "a 1\n b 2; Breaks: a (<< 2)", "a b"),
        ("two versions", "a 1; Depends: lib (= 1)\n b 1; Depends: lib (= 2)\n lib 1\n lib 2", "a b"),
        ("unreadable", "a 1; Depends: lib (1)", "a"),
        ("another architecture", "a 1; Depends: tool:any\n tool 1", "a"),
        ("all alternatives", "a 1; Depends: b | c\n b 1; Depends: gone\n c 1; Conflicts: d\n d 1", "a d"),
    ] {
        all.push(format!("## {what}\n{}", chosen(&index(packages), &request(asked, &none))));
    }
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn the_same_answer_each_time() {
    // Many choices at once; resolvo hashes with a seed of its own, which must not show.
    let mut packages = String::new();
    for number in 0..40 {
        let next = (number + 7) % 40;
        writeln!(packages, "p{number} 1; Depends: v{next} | p{next}\n q{number} 1; Provides: v{number}; Conflicts: p{next}\n r{number} 1; Provides: v{number}").unwrap();
    }
    let (index, none) = (index(&packages), Assumed::default());
    let first = chosen(&index, &request("p0 p7 p14", &none));
    assert!(first.contains("p0 1"), "{first}");
    for _ in 0..20 {
        assert_eq!(chosen(&index, &request("p0 p7 p14", &none)), first);
    }
}

#[test]
fn what_is_blocked_is_not_chosen_and_the_reason_is_told() {
    let none = Assumed::default();
    let blocked = |versions: &[&str]| {
        let reason = |version: &&str| ((*version).to_owned(), "breaks the start".to_owned());
        BTreeMap::from([("b".to_owned(), versions.iter().map(reason).collect())])
    };
    let with = |versions| Request { blocked: blocked(versions), ..request("a", &none) };
    let index = index("a 1; Depends: b\n b 1\n b 2\n c 1; Provides: b");
    assert_eq!(chosen(&index, &with(&[])), "a 1, b 2");
    assert_eq!(chosen(&index, &with(&["2"])), "a 1, b 1");
    // Another package that does as well is as good.
    assert_eq!(chosen(&index, &with(&["1", "2"])), "a 1, c 1");
    let asked = Request { blocked: blocked(&["1", "2"]), ..request("b", &none) };
    let error = resolve(&index, &asked).unwrap_err();
    assert!(error.is_for_a_block());
    let text = shown(&error);
    assert!(text.contains("b 2 cannot be used: it is blocked: breaks the start"), "{text}");
    assert!(text.contains("hint: policy/blocked.yaml in the catalog says what is blocked"), "{text}");
    // Other trouble is not taken for it.
    let other = Request { blocked: blocked(&["2"]), ..request("a d", &none) };
    assert!(!resolve(&index, &other).unwrap_err().is_for_a_block());
}
