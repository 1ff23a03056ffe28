//! The inventory says of stored bills what a scan says of each.

use std::collections::BTreeSet;

use super::*;
use crate::Fixes;
use crate::matching::tests::{
    Case, advisory, affected, before, built, component, debian, fixed_in, os, tracked, trixie,
};
use crate::model::{PackageRole, Status};
use calypte_base::{Digest, Epoch};
use calypte_sbom::{Component, PackageKind, Sbom};

fn libssl(version: &str) -> Component {
    built(PackageKind::Deb, "libssl3", version, ("openssl", version))
}

fn bill(components: Vec<Component>) -> Sbom {
    Case::new(trixie(), components).sbom
}

fn named(found: &AffectedImages) -> Vec<&str> {
    found.images.iter().map(|image| image.name.as_str()).collect()
}

#[test]
fn an_advisory_finds_the_images_that_a_scan_would_find_it_in() {
    let mut inventory = Inventory::in_memory().unwrap();
    let zlib = || component(PackageKind::Deb, "zlib1g", "1");
    let old = bill(vec![libssl("3.0-1"), zlib()]);
    let digest = Digest::of(b"a");
    assert!(!inventory.add("a", Some(digest), &old, &Fixes::new()).unwrap().shared);
    inventory.add("b", None, &bill(vec![libssl("3.0-2")]), &Fixes::new()).unwrap();
    assert!(inventory.add("c", None, &old, &Fixes::new()).unwrap().shared);
    let mut bookworm = bill(vec![libssl("3.0-1")]);
    bookworm.distribution = Some(os("debian", Some("12"), Some("bookworm")));
    inventory.add("d", None, &bookworm, &Fixes::new()).unwrap();
    let said = tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-2"));
    let found = inventory.affected(&said, false).unwrap();
    assert_eq!(named(&found), ["a", "c"]);
    assert_eq!((found.images[0].digest, found.images[1].digest), (Some(digest), None));
    assert_eq!(found.packages.len(), 1);
    assert_eq!((found.packages[0].name.as_str(), &found.packages[0].state), ("libssl3", &fixed_in("3.0-2")));
    let mut withdrawn = said;
    withdrawn.withdrawn = Some(Epoch(1));
    assert_eq!(inventory.affected(&withdrawn, false).unwrap(), AffectedImages::default());
}

#[test]
fn a_bill_that_is_added_again_takes_the_place_of_the_earlier() {
    let mut inventory = Inventory::in_memory().unwrap();
    let said = tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-2"));
    for (version, expected) in [("3.0-1", vec!["a"]), ("3.0-2", vec![]), ("3.0-1", vec!["a"])] {
        inventory.add("a", None, &bill(vec![libssl(version)]), &Fixes::new()).unwrap();
        assert_eq!(named(&inventory.affected(&said, false).unwrap()), expected);
    }
    assert!(inventory.remove("a").unwrap());
    assert!(!inventory.remove("a").unwrap());
    assert!(named(&inventory.affected(&said, false).unwrap()).is_empty());
}

#[test]
fn the_own_changelog_and_what_other_sources_say_count_as_in_a_scan() {
    let mut inventory = Inventory::in_memory().unwrap();
    let case = Case::new(trixie(), vec![libssl("3.0-1")]).fixed_by_changelog(
        "deb/libssl3@3.0-1",
        "CVE-2024-0001",
        "3",
    );
    inventory.add("a", None, &case.sbom, &case.fixes).unwrap();
    inventory.add("b", None, &bill(vec![libssl("3.0-0")]), &Fixes::new()).unwrap();
    let both = |id: &str, aliases: &[&str]| {
        advisory(
            id,
            aliases,
            vec![affected(debian("trixie"), "openssl", PackageRole::Source, before("3.0-2"))],
        )
    };
    assert_eq!(named(&inventory.affected(&both("CVE-2024-0001", &[]), false).unwrap()), ["b"]);
    assert_eq!(
        named(&inventory.affected(&both("DSA-1", &["CVE-2024-0001", "CVE-2024-0002"]), false).unwrap()),
        ["a", "b"]
    );
    let mut not = both("CVE-2024-0002", &[]);
    not.affected[0].status = Status::NotAffected;
    let case = case
        .source("one", &["debian"], vec![both("DSA-1", &["CVE-2024-0001", "CVE-2024-0002"])])
        .source("two", &["debian"], vec![not]);
    let database = case.database();
    assert_eq!(named(&inventory.affected_by("CVE-2024-0001", &database).unwrap()), ["b"]);
    assert!(named(&inventory.affected_by("CVE-2024-0002", &database).unwrap()).is_empty());
    assert_eq!(named(&inventory.affected_by("DSA-1", &database).unwrap()), ["b"]);
}

#[test]
fn what_cannot_be_looked_up_is_counted() {
    let mut inventory = Inventory::in_memory().unwrap();
    let mut sbom = bill(vec![libssl("3.0-1"), component(PackageKind::Go, "m", "(devel)")]);
    assert_eq!(inventory.add("a", None, &sbom, &Fixes::new()).unwrap().left_out, 1);
    sbom.distribution = None;
    let added = inventory.add("a", None, &sbom, &Fixes::new()).unwrap();
    assert_eq!((added.packages, added.left_out), (0, 2));
}

#[test]
fn many_bills_in_several_goes_are_all_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inventory.sqlite");
    let versions = ["3.0-1", "3.0-2", "3.0-3"];
    let mut expected = BTreeSet::new();
    for go in 0..4 {
        let mut inventory = Inventory::open(&path).unwrap();
        let mut adding = inventory.adding().unwrap();
        for number in 0..3_000_usize {
            let name = format!("image-{go}-{number}");
            let other = component(PackageKind::Deb, &format!("only-{go}-{number}"), "1");
            let version = versions[(go + number) % 3];
            adding.add(&name, None, &bill(vec![libssl(version), other]), &Fixes::new()).unwrap();
            if version != "3.0-3" {
                expected.insert(name);
            }
        }
        adding.finish().unwrap();
        // What is not finished is not there.
        let mut adding = inventory.adding().unwrap();
        adding.add("never", None, &bill(vec![libssl("3.0-1")]), &Fixes::new()).unwrap();
    }
    let inventory = Inventory::open(&path).unwrap();
    let said = tracked("CVE-2024-0001", "trixie", "openssl", before("3.0-3"));
    let found = inventory.affected(&said, false).unwrap();
    assert_eq!(found.images.len(), expected.len());
    assert_eq!(found.images.into_iter().map(|image| image.name).collect::<BTreeSet<_>>(), expected);
    let said = tracked("CVE-2024-0002", "trixie", "only-3-2999", vec![]);
    assert_eq!(named(&inventory.affected(&said, false).unwrap()), ["image-3-2999"]);
}

#[test]
fn other_files_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.sqlite");
    drop(crate::database::Database::open(&path).unwrap());
    let error = Inventory::open(&path).unwrap_err().to_string();
    assert!(error.contains("other.sqlite") && error.contains("no inventory"), "{error}");
}
