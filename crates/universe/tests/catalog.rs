//! The reviewed tables of the catalog are read as a program reads them, and say what they must.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use calypte_trust::KeyRing;
use calypte_universe::{Rules, UniverseDefinition};

/// The tables of one distribution, each as its file's name and text.
macro_rules! tables {
    ($rules:literal) => {
        [
            tables!($rules, "accounts.yaml"),
            tables!($rules, "alternatives.yaml"),
            tables!($rules, "assumed.yaml"),
            tables!($rules, "effects.yaml"),
            tables!($rules, "scripts.yaml"),
            tables!($rules, "slices.yaml"),
        ]
    };
    ($rules:literal, $name:literal) => {
        (
            concat!($rules, "/", $name),
            include_str!(concat!("../../../catalog/universes/", $rules, "/", $name)),
        )
    };
}

const TABLES: [(&str, [(&str, &str); 6]); 2] = [("debian", tables!("debian")), ("fedora", tables!("fedora"))];

const CATALOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog");

/// Every universe of the catalog, by the name of its file.
fn universes() -> Vec<(String, UniverseDefinition)> {
    let files = fs_err::read_dir(Path::new(CATALOG).join("universes")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut universes: Vec<(String, UniverseDefinition)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs_err::read_to_string(&path).unwrap();
            let universe =
                UniverseDefinition::parse(&format!("{name}.yaml"), &text).unwrap_or_else(|errors| {
                    panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
                });
            (name, universe)
        })
        .collect();
    universes.sort_by(|one, other| one.0.cmp(&other.0));
    universes
}

fn rules() -> Vec<Rules> {
    let load = |(name, tables): (&str, [(&str, &str); 6])| {
        let files: BTreeMap<String, String> =
            tables.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        Rules::load(name, &files).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        })
    };
    TABLES.into_iter().map(load).collect()
}

#[test]
fn the_tables_hold_together() {
    for rules in rules() {
        assert!(
            !rules.slices.0.is_empty() && !rules.scripts.0.is_empty() && !rules.accounts.users.is_empty()
        );
        let assumed = &rules.assumed;
        let reasons = assumed
            .everywhere
            .iter()
            .chain(&assumed.only_for_scripts)
            .chain(assumed.only_for.values().flatten());
        for (package, reason) in reasons {
            assert!(
                reason.ends_with('.') && reason.len() > 20,
                "{package}: `{reason}` is no reason that can be reviewed"
            );
        }
    }
}

#[test]
fn what_one_distribution_calls_a_slice_the_other_has_too() {
    let names: Vec<BTreeSet<String>> =
        rules().into_iter().map(|rules| rules.slices.0.into_keys().collect()).collect();
    assert_eq!(names[0], names[1], "a definition drops slices by name, whatever its packages are");
}

#[test]
fn an_account_of_both_has_one_number_where_the_distributions_leave_it_open() {
    let [debian, fedora] = &rules()[..] else { panic!() };
    for user in debian.accounts.users.iter().filter(|user| (400..500).contains(&user.uid)) {
        let other = fedora.accounts.user(&user.name).map(|other| other.uid);
        assert!(
            other.is_none_or(|uid| uid == user.uid || uid < 200),
            "{}: {} and {other:?}",
            user.name,
            user.uid
        );
    }
}

#[test]
fn no_interpreter_is_assumed_for_all() {
    let interpreters: BTreeSet<&str> = [
        "perl",
        "perl-base",
        "perl:any",
        "python3",
        "python3-minimal",
        "dash",
        "bash",
        "mawk",
        "awk",
        "ruby",
        "tcl",
    ]
    .into();
    for rules in rules() {
        let assumed = rules.assumed.everywhere;
        let found: Vec<&String> =
            assumed.keys().filter(|name| interpreters.contains(name.as_str())).collect();
        assert!(found.is_empty(), "programs do need {found:?}: assume it for single packages");
    }
}

#[test]
fn universes_are_called_as_their_files_and_have_tables() {
    let universes = universes();
    let names: Vec<(&str, &str)> =
        universes.iter().map(|(name, universe)| (name.as_str(), universe.rules.as_str())).collect();
    assert_eq!(
        names,
        [("debian-sid", "debian"), ("debian-stable", "debian"), ("fedora-rawhide", "fedora")],
        "each universe of the catalog, with the tables that it shares"
    );
    for (name, universe) in &universes {
        assert_eq!(*name, universe.universe);
        assert!(TABLES.iter().any(|(rules, _)| *rules == universe.rules), "{name} has no tables");
    }
}

#[test]
fn every_key_that_a_universe_names_is_read_and_is_the_one_that_the_readme_lists() {
    let keys = Path::new(CATALOG).join("keys");
    let readme = fs_err::read_to_string(keys.join("README.md")).unwrap();
    let rows: BTreeMap<&str, String> = readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`'));
            Some((cells.next()?, cells.next()?.replace(' ', "")))
        })
        .collect();
    for (name, universe) in universes() {
        assert!(universe.keys().next().is_some(), "{name} trusts no key");
        for key in universe.keys() {
            let ring = KeyRing::from_armored(key, &fs_err::read(keys.join(key)).unwrap())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let fingerprints: Vec<String> =
                ring.names().iter().map(|name| name.fingerprint.to_string()).collect();
            assert_eq!(Some(&fingerprints.join(", ")), rows.get(key), "{key}");
        }
    }
}
