//! The bill of a small image: whose each file is, what each package needs, and that it is made once.

use std::collections::BTreeSet;

use calypte_base::Architecture;
use calypte_sbom::write::{Tool, cyclonedx16, spdx23, spdx301};
use calypte_sbom::{Completeness, FileOwner};

use super::Bill;
use crate::fixture::{Fixture, UNIVERSE, package};

fn bill(fixture: &Fixture, image: &str) -> Bill {
    let factory = fixture.factory();
    let image = factory.image_id(image, UNIVERSE).unwrap();
    factory.bill(&image, UNIVERSE, Architecture::Amd64).unwrap()
}

fn locked() -> Fixture {
    let fixture = Fixture::new();
    fixture.lock("alpha", &[package("common", "1"), package("alpha", "1:2+b-3")]);
    fixture
}

#[test]
fn every_file_has_its_owner_and_every_hash() {
    let Bill { sbom, .. } = bill(&locked(), "alpha");
    let ids: BTreeSet<&str> = sbom.components.keys().map(String::as_str).collect();
    assert_eq!(ids, BTreeSet::from(["deb/alpha@1:2+b-3.amd64", "deb/common@1.amd64"]));
    let owners: BTreeSet<&FileOwner> = sbom.files.values().map(|file| &file.owner).collect();
    assert!(owners.contains(&FileOwner::Component("deb/alpha@1:2+b-3.amd64".to_owned())), "{owners:?}");
    assert!(!owners.contains(&FileOwner::Nobody), "{owners:?}");
    for (path, file) in &sbom.files {
        assert!(file.sha1.as_ref().is_some_and(|hash| hash.len() == 40), "{path}");
        assert!(file.sha512.as_ref().is_some_and(|hash| hash.len() == 128), "{path}");
        assert!(file.layer.is_some(), "{path} lies in no layer");
    }
    let record = &sbom.files["/var/lib/dpkg/status.d/alpha"].owner;
    let of = Some("deb/alpha@1:2+b-3.amd64".to_owned());
    assert_eq!(*record, FileOwner::Generated { by: "records".to_owned(), of });
}

#[test]
fn packages_tell_their_licence_source_needs_and_fixes() {
    let Bill { sbom, fixes, gaps } = bill(&locked(), "alpha");
    assert_eq!(gaps, Vec::<String>::new());
    let alpha = &sbom.components["deb/alpha@1:2+b-3.amd64"];
    assert_eq!(alpha.licences.declared.as_deref(), Some("MIT"));
    assert_eq!(alpha.copyright, ["2026 Somebody"]);
    assert_eq!(alpha.purl, "pkg:deb/alpha@1%3A2%2Bb-3?arch=amd64");
    let needs = &sbom.dependencies[&alpha.id];
    assert_eq!(needs.on, BTreeSet::from(["deb/common@1.amd64".to_owned()]));
    assert_eq!(needs.completeness, Completeness::Incomplete, "nothing in the image is `absent` or `gone`");
    assert_eq!(sbom.dependencies["deb/common@1.amd64"].completeness, Completeness::Complete);
    assert_eq!(fixes[&alpha.id]["CVE-2026-0001"].version, "1:2+b-3");
    assert!(!serde_json::to_string(&sbom).unwrap().contains("CVE-"), "no vulnerability data in a bill");
}

#[test]
fn documents_are_the_same_bytes_wherever_they_are_made() {
    let tool = Tool { name: "t".to_owned(), version: "1".to_owned(), organization: "O".to_owned() };
    let (one, other) = (bill(&locked(), "alpha").sbom, bill(&locked(), "alpha").sbom);
    for write in [spdx23, spdx301, cyclonedx16] {
        assert_eq!(write(&one, &tool), write(&other, &tool));
        let document: serde_json::Value = serde_json::from_slice(&write(&one, &tool)).unwrap();
        assert!(document.to_string().contains("/usr/share/alpha/same"));
    }
    let builder = bill(&locked(), "alpha-builder").sbom;
    assert_ne!(spdx23(&one, &tool), spdx23(&builder, &tool));
}

#[test]
fn what_was_found_out_is_kept() {
    let fixture = locked();
    let first = bill(&fixture, "alpha");
    assert_eq!((fixture.cached("evidence"), fixture.cached("bill")), (2, 1));
    assert_eq!(bill(&fixture, "alpha"), first);
    // Another image of the same packages finds out nothing anew.
    bill(&fixture, "alpha-builder");
    assert_eq!((fixture.cached("evidence"), fixture.cached("bill")), (2, 2));
}
