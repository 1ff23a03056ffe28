//! Orders that each ecosystem's documents give, and what must hold for any text.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

const ALL: [Scheme; 7] =
    [Scheme::Deb, Scheme::Rpm, Scheme::Apk, Scheme::Pep440, Scheme::Semver, Scheme::Go, Scheme::Maven];

#[track_caller]
fn rising(scheme: Scheme, versions: &[&str]) {
    for (at, low) in versions.iter().enumerate() {
        for high in versions.iter().skip(at + 1) {
            assert_eq!(scheme.compare(low, high), Ok(Ordering::Less), "{low} < {high}");
            assert_eq!(scheme.compare(high, low), Ok(Ordering::Greater), "{high} > {low}");
        }
    }
}

#[track_caller]
fn equal(scheme: Scheme, pairs: &[(&str, &str)]) {
    for (left, right) in pairs {
        assert_eq!(scheme.compare(left, right), Ok(Ordering::Equal), "{left} = {right}");
    }
}

#[track_caller]
fn refused(scheme: Scheme, texts: &[&str]) {
    for text in texts {
        assert!(scheme.compare(text, text).is_err(), "{text:?}");
    }
}

#[test]
fn deb() {
    rising(Scheme::Deb, &["0~rc1", "0", "1.0~rc1-1", "1.0-1", "1.0-1+deb13u1", "1.0-2", "1:0.1"]);
    refused(Scheme::Deb, &["", "a", "1_0"]);
}

#[test]
fn rpm() {
    rising(Scheme::Rpm, &["1.0~rc1-1", "1.0-1.el9", "1.0-1.el9_4.1", "1.0^git1-1", "1.0.1-1", "1:0.1-1"]);
    equal(Scheme::Rpm, &[("1.0-1", "0:1.0-1")]);
    refused(Scheme::Rpm, &["", "x:1", "1 0"]);
}

#[test]
fn the_name_of_a_source_rpm_has_no_epoch() {
    let order = |left, right| Scheme::Rpm.compare_without_epoch(left, right);
    assert_eq!(order("1.30-452.el8", "4:1.30-453.el8"), Ok(Ordering::Less));
    assert_eq!(order("0:1.30-452.el8", "1.30-452.el8"), Ok(Ordering::Equal));
    assert_eq!(order("2:1.0-1", "1:1.1-1"), Ok(Ordering::Less));
    assert!(order("x:1.0-1", "1.0-1").is_err());
    // Debian's source packages keep theirs.
    assert_eq!(Scheme::Deb.compare_without_epoch("1:1.0", "2.0"), Ok(Ordering::Greater));
}

/// What apk-tools 3 says of these: see `compares_as_apk_does` for where it is installed.
#[test]
fn apk() {
    rising(
        Scheme::Apk,
        &[
            "0.9",
            "1.0_alpha",
            "1.0_alpha1",
            "1.0_alpha2",
            "1.0_beta",
            "1.0_pre3",
            "1.0_rc1_git20260101",
            "1.0_rc2",
            "1.0",
            "1.0-r0",
            "1.0-r2",
            "1.0-r10",
            "1.0~abc123",
            "1.0~abc123-r1",
            "1.0~b",
            "1.0_cvs",
            "1.0_git20260101-r0",
            "1.0_p1",
            "1.0_p1_p1",
            "1.0_p10",
            "1.0a",
            "1.0a-r1",
            "1.0b_rc1",
            "1.0b",
            "1.0.1",
            "1.00",
            "1.01",
            "1.010",
            "1.09",
            "1.1",
            "1.9",
            "1.10",
            "2",
        ],
    );
    equal(Scheme::Apk, &[("01.2", "1.2"), ("1_p0", "1_p00"), ("1-r1", "1-r01")]);
    let bad = [
        "",
        "a",
        ".1",
        "1.",
        "1..2",
        "1A",
        "1ab",
        "1a1",
        "1a.1",
        "1_",
        "1_foo",
        "1_alpha.1",
        "1~",
        "1~ABC",
        "1-1",
    ];
    refused(Scheme::Apk, &bad);
    refused(Scheme::Apk, &["1-r", "1-r1-r2", "1-r1_p1", "1-r1~ab", "1.0 ", "1:1.0", "v1", "1.0ä"]);
}

/// PEP 440, "Summary of permitted suffixes and relative ordering".
#[test]
fn pep440() {
    rising(
        Scheme::Pep440,
        &[
            "0.dev1",
            "0",
            "1.dev0",
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
            "1!0.1",
        ],
    );
    equal(
        Scheme::Pep440,
        &[
            ("1", "1.0.0"),
            ("1.0-ALPHA.1", "1.0a1"),
            ("1.0-1", "1.0.post1"),
            ("1.0rev", "1.0.post0"),
            ("1.0c2", "1.0rc2"),
            ("v1.0", " 1.0\n"),
            ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
            ("1.0dev", "1.0.dev0"),
        ],
    );
    refused(
        Scheme::Pep440,
        &["", "v", "1.0.x", "1.0+", "1.0+a..b", "1.0-", "!1", "2004d", "1.0 b1", "1.0+ä", "1.0prev1"],
    );
}

/// SemVer 2.0, section 11.
#[test]
fn semver() {
    rising(
        Scheme::Semver,
        &[
            "0.0.0-0",
            "0.0.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "2.0.0",
            "2.1.0",
            "2.1.1",
            "18446744073709551616.0.0",
        ],
    );
    equal(
        Scheme::Semver,
        &[
            ("1.0.0+a", "1.0.0+b"),
            ("1", "1.0.0"),
            ("1.2-rc.1", "v1.2.0-rc.1"),
            ("=1.2.3beta", "1.2.3-beta"),
            ("01.2.3", "1.2.3"),
        ],
    );
    refused(
        Scheme::Semver,
        &["", "v", "1.", "1..2", "1.2.x", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.2.3-ä", "latest", "-1"],
    );
}

#[test]
fn go() {
    rising(
        Scheme::Go,
        &[
            "v0.0.0-20191109021931-daa7c04131f5",
            "0.0.0-20220315160706-3147a52a75dd",
            "v1.0.0-pre",
            "v1.0.0+incompatible",
            "1.0.1-0.20200101000000-abcdefabcdef",
            "v1.0.1",
            "go1.9rc2",
            "go1.9",
            "go1.9.7",
            "1.20.0-rc.1",
            "go1.20",
            "1.20.10",
            "1.21.0-0",
            "go1.21rc2",
            "1.21.0-rc.3",
            "go1.21.0",
            "go1.21.3 X:boringcrypto",
            "go1.21.4-vendor1",
            "1.22rc1",
            "go1.22.0",
        ],
    );
    equal(
        Scheme::Go,
        &[
            ("go1.21rc2", "1.21.0-rc.2"),
            ("1.21rc2", "go1.21rc2"),
            ("go1.20", "1.20.0"),
            ("go1.21", "1.21.0-0"),
            ("v1.2.3", "1.2.3"),
        ],
    );
    refused(
        Scheme::Go,
        &["", "(devel)", "devel go1.22-abcdef", "go", "gox", "go1.2.3.4", "go1.x", "go1.2rc1x", "v1.2.3-"],
    );
}

#[test]
fn maven() {
    rising(
        Scheme::Maven,
        &[
            "1-alpha-1",
            "1-a2",
            "1-beta",
            "1.0.b2",
            "1-milestone-1",
            "1.0-RC1",
            "1-cr2",
            "1.0-SNAPSHOT",
            "1.0.0.Final",
            "1-sp",
            "1-jre",
            "1-1",
            "1.0.1",
            "1.2",
            "1.10",
            "20260101",
            "99999999999999999999",
        ],
    );
    equal(
        Scheme::Maven,
        &[
            ("1", "1.0-0"),
            ("1.0", "1-ga"),
            ("1.0.RELEASE", "1-final"),
            ("1x", "1.0-X"),
            ("1-a1", "1-alpha-1"),
            ("", "0"),
        ],
    );
    // As deep as a text can be, and nothing happens.
    let deep = "-1".repeat(LONGEST / 2);
    assert_eq!(Scheme::Maven.compare(&deep, &deep), Ok(Ordering::Equal));
    assert_eq!(Scheme::Maven.compare(&deep, "1"), Ok(Ordering::Less));
}

#[test]
fn zero_is_before_every_version() {
    for (scheme, version) in [
        (Scheme::Deb, "0~rc1"),
        (Scheme::Rpm, "0~rc1-1"),
        (Scheme::Apk, "0_alpha"),
        (Scheme::Pep440, "0.dev1"),
        (Scheme::Semver, "0.0.0-alpha"),
        (Scheme::Go, "v0.0.0-20191109021931-daa7c04131f5"),
        (Scheme::Maven, "0-alpha"),
    ] {
        assert_eq!(scheme.compare(BEFORE_ALL, version), Ok(Ordering::Greater), "{version}");
        assert_eq!(scheme.compare_introduced(BEFORE_ALL, version), Ok(Ordering::Less), "{version}");
    }
    assert_eq!(Scheme::Semver.compare_introduced("1.0.0", "1.0.0"), Ok(Ordering::Equal));
    assert!(Scheme::Semver.compare_introduced(BEFORE_ALL, "latest").is_err());
}

#[test]
fn what_is_too_long_is_refused() {
    for scheme in ALL {
        assert!(scheme.compare(&"1".repeat(LONGEST), "1").is_ok());
        let error = scheme.compare("1", &"1".repeat(LONGEST + 1)).unwrap_err();
        assert_eq!(error.text.len(), 100);
        assert!(error.to_string().ends_with("it is longer than 4096 bytes"), "{error}");
    }
}

#[test]
fn sorts_even_what_contradicts_itself() {
    let sorted = |versions: &[&'static str]| Scheme::Semver.sort(versions.to_vec(), |text| text).unwrap();
    assert_eq!(
        sorted(&["2.0.0", "1.0.0+b", "1.0.0-rc.1", "1.0.0+a"]),
        ["1.0.0-rc.1", "1.0.0+b", "1.0.0+a", "2.0.0"]
    );
    assert!(Scheme::Semver.sort(vec!["latest"], |text| text).is_err());
    let cycle = ["1.0.alpha.1", "1", "1-sp"];
    for at in 0..3 {
        assert_eq!(Scheme::Maven.compare(cycle[at], cycle[(at + 1) % 3]), Ok(Ordering::Less));
    }
    let many: Vec<_> = cycle.iter().cycle().take(3000).copied().collect();
    assert_eq!(Scheme::Maven.sort(many, |text| text).unwrap().len(), 3000);
}

/// Texts that are often versions: of any scheme, close to each other.
fn near_version() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "0", "1", "2", "10", "01", ".", ".", ".0", ".1", "-", "-1", "~", "^", "_", "+", ":", "1:", "1!", "v",
        "go", "a", "b1", "rc", "rc1", "-rc.1", "alpha", "-alpha", "_alpha1", "_p1", "_git", ".dev1",
        ".post1", "-r1", "~a1", "+x", "-sp", "-ga", "-x", "x",
    ]);
    (
        prop::sample::select(vec!["", "0", "1", "1.0", "1.2.3", "v1.0", "go1.21"]),
        prop::collection::vec(pieces, 0..6),
    )
        .prop_map(|(begin, pieces)| format!("{begin}{}", pieces.concat()))
}

/// Three that share a beginning, so that often all of them are versions and differ late.
fn three() -> impl Strategy<Value = [String; 3]> {
    (near_version(), near_version(), near_version(), near_version(), 0_usize..4).prop_map(
        |(begin, a, b, c, shared)| {
            [a, b, c].map(|text| {
                if shared > 0 {
                    format!("{begin}{}", text.trim_start_matches(char::is_alphanumeric))
                } else {
                    text
                }
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_compared_or_refused(left in ".{0,40}", right in ".{0,40}") {
        for scheme in ALL {
            let order = scheme.compare(&left, &right);
            prop_assert_eq!(order.is_ok(), scheme.compare(&right, &left).is_ok());
            let _ = scheme.compare_without_epoch(&left, &right);
            let _ = scheme.compare_introduced(&left, &right);
        }
    }

    #[test]
    fn turned_round_the_order_turns(left in near_version(), right in near_version()) {
        for scheme in ALL {
            if let Ok(order) = scheme.compare(&left, &right) {
                prop_assert_eq!(scheme.compare(&right, &left), Ok(order.reverse()), "{:?}", scheme);
                prop_assert_eq!(scheme.compare(&left, &left), Ok(Ordering::Equal), "{:?}", scheme);
            }
        }
    }

    /// Maven is left out: see `sorts_even_what_contradicts_itself`.
    #[test]
    fn no_order_contradicts_itself(versions in three()) {
        for scheme in ALL.into_iter().filter(|scheme| *scheme != Scheme::Maven) {
            let Ok(sorted) = scheme.sort(versions.to_vec(), String::as_str) else { continue };
            let [low, middle, high] = &sorted[..] else { unreachable!() };
            let order = |left: &str, right: &str| scheme.compare(left, right).unwrap();
            prop_assert!(order(low, middle).is_le() && order(middle, high).is_le(), "{:?}", scheme);
            let whole = order(low, middle).then(order(middle, high));
            prop_assert_eq!(order(low, high), whole, "{:?}: {} {} {}", scheme, low, middle, high);
        }
    }

    /// Releases of Maven as they mostly are: numbers, then one qualifier, and perhaps its number. These have an order.
    #[test]
    fn common_versions_of_maven_have_an_order(
        versions in prop::array::uniform3("[0-2](\\.[0-2]){0,3}(-(alpha|beta|rc|SNAPSHOT|sp|jre|x)(-?[0-9])?)?"),
    ) {
        let sorted = Scheme::Maven.sort(versions.to_vec(), String::as_str).unwrap();
        let [low, middle, high] = &sorted[..] else { unreachable!() };
        let order = |left: &str, right: &str| Scheme::Maven.compare(left, right).unwrap();
        prop_assert_eq!(order(low, high), order(low, middle).then(order(middle, high)), "{} {} {}", low, middle, high);
    }
}
