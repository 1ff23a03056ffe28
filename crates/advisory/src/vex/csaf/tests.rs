use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use calypte_sbom::write::Tool;

use super::*;
use crate::vex::apply::tests::bill;
use crate::vex::merge::tests::statement;
use crate::vex::model::{ImageId, Product, Status};
use crate::vex::{Decided, Scanned, for_image};

fn publisher() -> Publisher {
    Publisher {
        name: "Example".to_owned(),
        namespace: "https://example.org".to_owned(),
        category: "vendor".to_owned(),
        contact: Some("security@example.org".to_owned()),
    }
}

fn decided(impact: &str) -> Vec<Decided> {
    let bill = bill();
    let mut general = statement("CVE-2024-1000", "pkg:deb/debian/a?arch=source");
    general.impact = Some(impact.to_owned());
    let mut here = statement("GHSA-x", "pkg:deb/debian/b");
    here.products =
        BTreeSet::from([Product::image(ImageId::named("nginx"), Some("pkg:deb/debian/b".parse().unwrap()))]);
    here.status = Status::Affected;
    (here.justification, here.impact) = (None, None);
    for_image(&[general, here], &Scanned::new(&bill).in_repository("ghcr.io/x/nginx"))
}

fn at(now: i64, version: &str, decided: &[Decided], previous: &Tree) -> Tree {
    let tool =
        Tool { name: "calypte".to_owned(), version: version.to_owned(), organization: "Example".to_owned() };
    let publisher = publisher();
    let publication =
        Publication { publisher: &publisher, tool: &tool, base: "https://example.org/csaf", now: Epoch(now) };
    publish(decided, &BTreeMap::new(), &publication, previous).unwrap()
}

fn text<'a>(tree: &'a Tree, path: &str) -> &'a str {
    std::str::from_utf8(&tree[path]).unwrap()
}

#[test]
fn only_what_changed_gets_a_revision_and_what_went_is_listed() {
    let day = 86_400;
    let first = at(day, "1", &decided("because"), &Tree::new());
    assert_eq!(text(&first, "index.txt"), "1970/cve-2024-1000.json\n1970/ghsa-x.json\n");
    assert_eq!(text(&first, "deletions.csv"), "");
    assert_eq!(at(day, "1", &decided("because"), &Tree::new()), first);
    // Later, and by a newer version of the program: not a byte changes.
    assert_eq!(at(2 * day, "2", &decided("because"), &first), first);
    let second = at(400 * day, "2", &decided("for another reason"), &first);
    assert_eq!(second["1970/ghsa-x.json"], first["1970/ghsa-x.json"]);
    let document = text(&second, "1970/cve-2024-1000.json");
    assert!(document.contains(r#""version":"2""#) && document.contains("for another reason"), "{document}");
    assert_eq!(
        text(&second, "changes.csv"),
        "\"1970/cve-2024-1000.json\",\"1971-02-05T00:00:00Z\"\n\"1970/ghsa-x.json\",\"1970-01-02T00:00:00Z\"\n"
    );
    let third = at(401 * day, "2", &[], &second);
    assert_eq!(
        text(&third, "deletions.csv"),
        "\"1970/cve-2024-1000.json\",\"1971-02-06T00:00:00Z\"\n\"1970/ghsa-x.json\",\"1971-02-06T00:00:00Z\"\n"
    );
    assert!(!third.keys().any(|path| path.starts_with("1970/")));
    let again = at(402 * day, "2", &decided("because"), &third);
    assert_eq!(
        text(&again, "deletions.csv"),
        "\"1970/cve-2024-1000.json\",\"1971-02-06T00:00:00Z\"\n\"1970/ghsa-x.json\",\"1971-02-06T00:00:00Z\"\n"
    );
}

#[test]
fn hashes_are_those_of_the_documents() {
    let tree = at(86_400, "1", &decided("because"), &Tree::new());
    let digest = calypte_base::Digest::of(&tree["1970/ghsa-x.json"]).hex();
    assert_eq!(text(&tree, "1970/ghsa-x.json.sha256"), format!("{digest}  ghsa-x.json\n"));
    assert_eq!(text(&tree, "1970/ghsa-x.json.sha512").split(' ').next().unwrap().len(), 128);
}

#[test]
fn what_is_written_is_read_again() {
    let tree = at(86_400, "1", &decided("because"), &Tree::new());
    let foreign = read("d", &tree["1970/cve-2024-1000.json"]).unwrap();
    assert_eq!(foreign.unknown_products, 0);
    assert_eq!(foreign.statements.len(), 1);
    let statement = &foreign.statements[0];
    assert_eq!((statement.status, statement.impact.as_deref()), (Status::NotAffected, Some("because")));
    assert_eq!(statement.products.len(), 4);
    let bill = bill();
    let scanned = Scanned::new(&bill).in_repository("ghcr.io/x/nginx");
    let decided_again = for_image(&foreign.statements, &scanned);
    let purls = |decided: &[Decided], flaw: &str| -> BTreeSet<_> {
        decided.iter().filter(|d| d.statement.flaw == flaw).filter_map(|d| d.package.clone()).collect()
    };
    assert_eq!(purls(&decided_again, "CVE-2024-1000"), purls(&decided("because"), "CVE-2024-1000"));
}

#[test]
fn a_previous_document_that_is_none_is_told() {
    let mut tree = at(86_400, "1", &decided("because"), &Tree::new());
    tree.insert("1970/ghsa-x.json".to_owned(), b"{\"document\": {}}".to_vec());
    let publisher = publisher();
    let tool = Tool { name: String::new(), version: String::new(), organization: String::new() };
    let publication = Publication { publisher: &publisher, tool: &tool, base: "b", now: Epoch(0) };
    let error = publish(&decided("because"), &BTreeMap::new(), &publication, &tree).unwrap_err().to_string();
    assert_eq!(error, "1970/ghsa-x.json: document.tracking.revision_history: it is no list");
}

#[test]
fn a_range_of_versions_takes_nothing_away() {
    let document = r#"{
      "document": {"csaf_version": "2.0", "tracking": {
        "initial_release_date": "2026-03-01T00:00:00Z", "current_release_date": "2026-03-01T00:00:00Z"}},
      "product_tree": {
        "branches": [{"category": "vendor", "name": "Debian", "branches": [
          {"category": "CATEGORY", "name": "vers:deb/>=9.0",
           "product": {"name": "a", "product_id": "a", "product_identification_helper": {"purl": "pkg:deb/debian/a"}},
           "branches": [{"category": "architecture", "name": "amd64", "product":
             {"name": "b", "product_id": "b", "product_identification_helper": {"purl": "pkg:deb/debian/b"}}}]},
          {"category": "product_name", "name": "nginx", "product":
            {"name": "nginx", "product_id": "n", "product_identification_helper": {"purl": "pkg:oci/nginx"}}}]}],
        "relationships": [
          {"category": "default_component_of", "full_product_name": {"name": "x", "product_id": "n:n:a"},
           "product_reference": "n:a", "relates_to_product_reference": "n"},
          {"category": "default_component_of", "full_product_name": {"name": "y", "product_id": "n:a"},
           "product_reference": "a", "relates_to_product_reference": "n"}]},
      "vulnerabilities": [{"cve": "CVE-2024-1", "product_status": {"fixed": ["a", "b", "n:a", "n:n:a"]}}]
    }"#;
    let bill = bill();
    for (category, packages, unknown) in [("product_version", 2, 0), ("product_version_range", 0, 4)] {
        let foreign = read("d", document.replace("CATEGORY", category).as_bytes()).unwrap();
        assert_eq!(foreign.unknown_products, unknown, "{category}");
        let decided = for_image(&foreign.statements, &Scanned::new(&bill));
        assert_eq!(decided.len(), packages, "{category}: {decided:#?}");
    }
}
