use std::collections::BTreeSet;

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
