use std::collections::BTreeSet;

use calypte_base::Digest;
use calypte_sbom::write::Tool;
use serde_json::Value;

use super::*;
use crate::vex::apply::tests::bill;
use crate::vex::merge::tests::statement;
use crate::vex::model::{ImageId, Product, Status};
use crate::vex::{Scanned, for_image};

fn author() -> Author {
    Author {
        name: "Example".to_owned(),
        role: Some("Document Creator".to_owned()),
        namespace: "https://example.org/vex".to_owned(),
    }
}

fn tool() -> Tool {
    Tool { name: "calypte".to_owned(), version: "0.1.0".to_owned(), organization: "Example".to_owned() }
}

fn document() -> Vec<u8> {
    let bill = bill();
    let scanned = Scanned::new(&bill).in_repository("ghcr.io/x/nginx");
    let mut here = statement("CVE-2024-2", "pkg:deb/debian/a");
    here.products =
        BTreeSet::from([Product::image(ImageId::named("nginx"), Some("pkg:deb/debian/b".parse().unwrap()))]);
    here.status = Status::Affected;
    here.justification = None;
    here.impact = None;
    here.action = Some("Do without.".to_owned());
    let general = statement("CVE-2024-1", "pkg:deb/debian/a?arch=source");
    write(&for_image(&[here, general], &scanned), &author(), &tool())
}

#[test]
fn the_document_is_as_it_was() {
    let document: Value = serde_json::from_slice(&document()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn the_same_statements_give_the_same_bytes() {
    assert_eq!(document(), document());
}

/// How many products are unknown, and whether anything is said of the image `nginx`.
fn said_of(product: &str) -> (usize, bool) {
    let document = format!(
        r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "timestamp": "2024-01-01T00:00:00Z", "statements": [
          {{"vulnerability": {{"name": "CVE-2024-1"}}, "status": "fixed", "products": [{product}]}}]}}"#
    );
    let foreign = read("d", document.as_bytes()).unwrap();
    let bill = bill();
    (foreign.unknown_products, !for_image(&foreign.statements, &Scanned::new(&bill)).is_empty())
}

#[test]
fn what_has_a_hash_is_only_what_has_that_hash() {
    let image = Digest::of(b"image").hex();
    let other = Digest::of(b"other").hex();
    let of_image = format!("pkg:oci/nginx@sha256%3A{image}");
    for (id, hash, value, expected) in [
        ("pkg:oci/nginx", "sha-256", image.as_str(), (0, true)),
        ("pkg:oci/nginx", "sha-256", &other, (0, false)),
        ("pkg:oci/nginx", "sha-256", "unreadable", (1, false)),
        ("pkg:oci/nginx", "sha-512", "abc", (1, false)),
        (&of_image, "sha-256", &image, (0, true)),
        (&of_image, "sha-256", &other, (1, false)),
        ("nginx", "sha-256", &image, (0, true)),
        ("nginx", "sha-256", &other, (0, false)),
        ("nginx", "sha-512", "abc", (1, false)),
        (&format!("nginx@sha256:{image}"), "sha-256", &image, (0, true)),
        (&format!("nginx@sha256:{image}"), "sha-256", &other, (1, false)),
        (&format!("sha256:{image}"), "sha-256", &other, (1, false)),
        ("pkg:deb/debian/a", "sha-256", &other, (1, false)),
    ] {
        let product = format!(r#"{{"@id": "{id}", "hashes": {{"{hash}": "{value}"}}}}"#);
        assert_eq!(said_of(&product), expected, "{product}");
    }
    assert_eq!(said_of(r#"{"@id": "nginx", "hashes": {}}"#), (0, true));
    let part = |hashes: &str| {
        format!(r#"{{"@id": "nginx", "subcomponents": [{{"@id": "pkg:deb/debian/a", "hashes": {hashes}}}]}}"#)
    };
    assert_eq!(said_of(&part("{}")), (0, true));
    assert_eq!(said_of(&part(r#"{"sha-256": "abc"}"#)), (1, false));
}
