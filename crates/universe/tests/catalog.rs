//! The reviewed tables of the catalog are read as a program reads them, and say what they must.

use std::collections::{BTreeMap, BTreeSet};

use calypte_universe::{Rules, UniverseDefinition};

const TABLES: [(&str, &str); 4] = [
    ("debian/accounts.yaml", include_str!("../../../catalog/universes/debian/accounts.yaml")),
    ("debian/assumed.yaml", include_str!("../../../catalog/universes/debian/assumed.yaml")),
    ("debian/scripts.yaml", include_str!("../../../catalog/universes/debian/scripts.yaml")),
    ("debian/slices.yaml", include_str!("../../../catalog/universes/debian/slices.yaml")),
];

const UNIVERSES: [(&str, &str); 2] = [
    ("debian-sid", include_str!("../../../catalog/universes/debian-sid.yaml")),
    ("debian-stable", include_str!("../../../catalog/universes/debian-stable.yaml")),
];

fn rules() -> Rules {
    let files: BTreeMap<String, String> =
        TABLES.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    Rules::load("debian", &files).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    })
}

#[test]
fn the_tables_of_debian_hold_together() {
    let rules = rules();
    assert!(!rules.slices.0.is_empty() && !rules.scripts.0.is_empty() && !rules.accounts.users.is_empty());
    let reasons: Vec<(&str, &str)> = rules
        .assumed
        .everywhere
        .iter()
        .chain(rules.assumed.only_for.values().flatten())
        .map(|(package, reason)| (package.as_str(), reason.as_str()))
        .collect();
    for (package, reason) in reasons {
        assert!(
            reason.ends_with('.') && reason.len() > 20,
            "{package}: `{reason}` is no reason that can be reviewed"
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
    let assumed = rules().assumed.everywhere;
    let found: Vec<&String> = assumed.keys().filter(|name| interpreters.contains(name.as_str())).collect();
    assert!(found.is_empty(), "programs do need {found:?}: assume it for single packages");
}

#[test]
fn universes_are_called_as_their_files_and_share_these_tables() {
    for (name, text) in UNIVERSES {
        let universe = UniverseDefinition::parse(&format!("{name}.yaml"), text).unwrap();
        assert_eq!((universe.universe.as_str(), universe.rules.as_str()), (name, "debian"));
    }
}
