//! Locks as text: round trips, small diffs, and what cannot be used named with its line and field.

use proptest::prelude::*;

use super::*;

fn package(id: &str, version: &str, images: &[&str]) -> LockedPackage {
    LockedPackage {
        id: id.to_owned(),
        version: version.to_owned(),
        architecture: "all".to_owned(),
        source: id.to_owned(),
        source_version: version.to_owned(),
        repository: "sid".to_owned(),
        url: format!("pool/main/{id}_{version}.deb"),
        size: 1000,
        sha256: Digest::of(id.as_bytes()),
        date: Epoch(1_790_000_000),
        r#in: images.iter().map(|image| (*image).to_owned()).collect(),
        by: BTreeSet::from(["definition".to_owned()]),
    }
}

fn lock() -> Lock {
    let packages =
        vec![package("libc6", "2.43-7", &["default", "builder"]), package("zlib1g", "1:1.3", &["default"])];
    Lock {
        schema: SCHEMA,
        family: "nginx".to_owned(),
        universe: "debian-sid".to_owned(),
        repositories: vec![FrozenRepository {
            name: "sid".to_owned(),
            architecture: None,
            mirror: "debian".to_owned(),
            release: Digest::of(b"release"),
            date: Epoch(1_793_347_681),
            valid_until: Some(Epoch(1_793_952_481)),
            stale: true,
        }],
        images: [("builder", "b"), ("default", "d")]
            .map(|(name, of)| (name.to_owned(), Digest::of(of.as_bytes())))
            .into(),
        packages: Architecture::ALL.map(|architecture| (architecture, packages.clone())).into(),
    }
}

#[test]
fn the_text_of_a_lock() {
    insta::assert_snapshot!(lock().to_text());
    assert_eq!(Lock::parse(lock().to_text().as_bytes()).unwrap(), lock());
}

#[test]
fn a_package_more_is_a_line_more_for_each_architecture() {
    let mut more = lock();
    for packages in more.packages.values_mut() {
        packages.insert(1, package("libssl3t64", "3.6.5-1", &["default"]));
    }
    assert_eq!(changed_lines(&lock(), &more), (0, 2));
    let mut newer = lock();
    for packages in newer.packages.values_mut() {
        packages[0] = package("libc6", "2.43-8", &["default", "builder"]);
    }
    assert_eq!(changed_lines(&lock(), &newer), (2, 2));
}

/// How many lines are only in the one, and only in the other.
fn changed_lines(before: &Lock, after: &Lock) -> (usize, usize) {
    let (before, after) = (before.to_text(), after.to_text());
    let only = |text: &str, other: &str| {
        let mut others: Vec<&str> = other.lines().collect();
        text.lines()
            .filter(|line| {
                others.iter().position(|other| other == line).map(|at| others.remove(at)).is_none()
            })
            .count()
    };
    (only(&before, &after), only(&after, &before))
}

#[test]
fn what_cannot_be_used_is_named_with_its_line_and_field() {
    let text = lock().to_text();
    let mut shown = String::new();
    for (from, to) in [
        ("\"schema\": 1", "\"schema\": 9"),
        ("\"size\":1000", "\"size\":\"1000\""),
        ("\"size\":1000", "\"seize\":1000"),
        ("{\n", "{,\n"),
        ("\"id\":\"zlib1g\"", "\"id\":\"a/../b\""),
        ("\"id\":\"zlib1g\"", "\"id\":\"libc5\""),
        ("\"source_version\":\"1:1.3\"", "\"source_version\":\"1%41\""),
        ("pool/main/zlib1g", "../zlib1g"),
        ("pool/main/zlib1g", "/zlib1g"),
        ("pool/main/zlib1g", "http://evil/zlib1g"),
        ("\"repository\":\"sid\"", "\"repository\":\"other\""),
        ("\"in\":[\"default\"]", "\"in\":[]"),
        ("\"in\":[\"default\"]", "\"in\":[\"other\"]"),
        ("\"architecture\":\"all\"", "\"architecture\":\"arm64\""),
        (&Digest::of(b"zlib1g").to_string(), "sha256:12"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = Lock::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.hint().is_some());
        let _ = writeln!(shown, "{}: {error}", to.trim());
    }
    insta::assert_snapshot!(shown);
    assert!(Lock::parse(&text.as_bytes()[..text.len() / 2]).is_err());
}

#[test]
fn packages_of_an_image() {
    let lock = lock();
    let of = |image| {
        lock.packages_of(Architecture::Arm64, image).map(|package| package.id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("default"), ["libc6", "zlib1g"]);
    assert_eq!(of("builder"), ["libc6"]);
    assert!(of("none").is_empty());
}

proptest! {
    #[test]
    fn any_lock_survives_the_round(ids in proptest::collection::btree_set("[a-z][a-z0-9+.-]{1,12}", 0..20), size: u64, date: i64, note in "\\PC*") {
        let mut lock = lock();
        lock.family = note;
        let packages: Vec<LockedPackage> = ids
            .iter()
            .map(|id| LockedPackage { size, date: Epoch(date), ..package(id, "1:2~3-4", &["default"]) })
            .collect();
        lock.packages = Architecture::ALL.map(|architecture| (architecture, packages.clone())).into();
        prop_assert_eq!(Lock::parse(lock.to_text().as_bytes()).unwrap(), lock);
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(bytes: Vec<u8>, at: usize, byte: u8) {
        let _ = Lock::parse(&bytes);
        let mut text = lock().to_text().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        let _ = Lock::parse(&text);
    }
}
