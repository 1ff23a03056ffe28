use super::*;
use crate::vex::model::{Justification, Status};

fn read_text(text: &str) -> Result<Foreign, String> {
    read("doc.json", &mut text.as_bytes()).map_err(|error| error.to_string())
}

const OPENVEX: &str = r#"{
  "@context": "https://openvex.dev/ns/v0.2.0",
  "@id": "x", "author": "a", "version": 1,
  "timestamp": "2024-07-10T12:17:44.60495+04:00",
  "statements": [
    {
      "vulnerability": {"name": "CVE-2023-1", "aliases": ["GHSA-a"]},
      "products": [
        {"@id": "pkg:oci/trivy?repository_url=ghcr.io/a/trivy",
         "subcomponents": [{"@id": "pkg:apk/alpine/busybox"}, {"@id": "some file"}]},
        {"@id": "pkg:deb/debian/zlib1g@1.3-1?epoch=1"},
        {"@id": "pkg:oci/nginx@latest"}
      ],
      "status": "not_affected",
      "justification": "vulnerable_code_cannot_be_controlled_by_adversary",
      "impact_statement": "awk is not used"
    },
    {"vulnerability": "CVE-2023-2", "products": ["pkg:oci/x"], "status": "fixed",
     "timestamp": "2024-08-01T00:00:00Z"}
  ]
}"#;

#[test]
fn openvex_is_read() {
    let read = read_text(OPENVEX).unwrap();
    assert_eq!(read.unknown_products, 2);
    let [first, second] = read.statements.as_slice() else { panic!("{read:#?}") };
    assert_eq!(first.products.len(), 2);
    let products: Vec<_> = first.products.iter().collect();
    assert_eq!(products[0].part.as_ref().unwrap().name, "busybox");
    assert_eq!(products[1].whole, Whole::Package("pkg:deb/debian/zlib1g@1%3A1.3-1".parse().unwrap()));
    assert_eq!(first.issued.to_string(), "2024-07-10T08:17:44Z");
    assert_eq!(first.origin.to_string(), "doc.json");
    assert_eq!((second.status, second.updated.to_string().as_str()), (Status::Fixed, "2024-08-01T00:00:00Z"));
}

const CSAF: &str = r#"{
  "document": {"csaf_version": "2.0", "tracking": {
    "initial_release_date": "2026-03-01T00:00:00+00:00", "current_release_date": "2026-03-20T12:00:00+00:00"}},
  "product_tree": {
    "branches": [{"category": "vendor", "name": "R", "branches": [
      {"product": {"name": "H", "product_id": "h", "product_identification_helper": {"cpe": "cpe:/a:r:h:1"}}},
      {"product": {"name": "p", "product_id": "p", "product_identification_helper": {"purl": "pkg:rpm/redhat/p@1-1"}}},
      {"product": {"name": "q", "product_id": "q"}}]}],
    "product_groups": [{"group_id": "g", "product_ids": ["h:p"]}],
    "relationships": [
      {"category": "default_component_of", "full_product_name": {"name": "a", "product_id": "h:p"},
       "product_reference": "p", "relates_to_product_reference": "h"},
      {"category": "default_component_of", "full_product_name": {"name": "b", "product_id": "h:q"},
       "product_reference": "q", "relates_to_product_reference": "h"}]},
  "vulnerabilities": [{"cve": "CVE-2026-1", "ids": [{"system_name": "Bugzilla", "text": "123"}],
    "product_status": {"known_not_affected": ["h:p", "h:q"], "known_affected": ["p"], "recommended": ["p"]},
    "flags": [{"label": "component_not_present", "group_ids": ["g"]}],
    "threats": [{"category": "impact", "details": "Moderate", "product_ids": ["h:p"]}],
    "remediations": [{"category": "workaround", "details": "Do without.", "product_ids": ["p", "h:p"]}]}]
}"#;

#[test]
fn csaf_is_read() {
    let read = read_text(CSAF).unwrap();
    assert_eq!(read.unknown_products, 1);
    let [not_affected, affected] = read.statements.as_slice() else { panic!("{read:#?}") };
    assert_eq!(not_affected.status, Status::NotAffected);
    assert_eq!(not_affected.justification, Some(Justification::ComponentNotPresent));
    assert_eq!((&not_affected.impact, &not_affected.action), (&None, &None));
    let product = not_affected.products.first().unwrap();
    assert_eq!(product.whole, Whole::Cpe("cpe:/a:r:h:1".to_owned()));
    assert_eq!(product.part.as_ref().unwrap().to_string(), "pkg:rpm/redhat/p@1-1");
    assert_eq!(affected.action.as_deref(), Some("Do without."));
    assert!(affected.aliases.is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let deep = format!("{{\"document\": {}", "[".repeat(100_000));
    let many = format!(
        "{{\"@context\": \"https://openvex.dev/ns/v0.2.0\", \"timestamp\": \"2024-01-01T00:00:00Z\", \"statements\": [{{\
         \"vulnerability\": \"CVE-1\", \"status\": \"fixed\", \"products\": [{}\"x\"]}}]}}",
        "\"x\",".repeat(MOST_PRODUCTS)
    );
    let mut told = String::new();
    let changed = |base: &str, from: &str, to: &str| {
        assert!(base.contains(from), "{from}");
        base.replace(from, to)
    };
    for text in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        OPENVEX[..400].to_owned(),
        deep,
        many,
        changed(OPENVEX, "openvex.dev/ns", "example.org"),
        changed(OPENVEX, "\"status\": \"fixed\"", "\"status\": \"fine\""),
        changed(
            OPENVEX,
            "\"status\": \"fixed\"",
            "\"status\": \"fixed\", \"justification\": \"component_not_present\"",
        ),
        changed(OPENVEX, "2024-08-01T", "1722470400"),
        changed(OPENVEX, "  \"timestamp\": \"2024-07-10T12:17:44.60495+04:00\",\n", ""),
        changed(OPENVEX, "\"CVE-2023-2\"", "\"\""),
        changed(
            CSAF,
            "\"relates_to_product_reference\": \"h\"}]",
            "\"relates_to_product_reference\": \"h:q\"}]",
        ),
        changed(CSAF, "\"product_id\": \"h:q\"", "\"product_id\": \"h:p\""),
        changed(
            CSAF,
            "\"cve\": \"CVE-2026-1\", \"ids\": [{\"system_name\": \"Bugzilla\", \"text\": \"123\"}],",
            "",
        ),
        changed(CSAF, "\"2.0\"", "\"1.2\""),
        changed(CSAF, "component_not_present", "because"),
    ] {
        told += &(read_text(&text).unwrap_err() + "\n");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_document_without_end_is_refused() {
    let error = read("big.json", &mut std::io::repeat(b' ')).unwrap_err().to_string();
    assert_eq!(error, format!("big.json is larger than {LARGEST} bytes, which no document of this form is"));
}

#[test]
fn a_document_of_nothing_but_objects_is_refused() {
    let text = CSAF.replace(
        "\"branches\": [{\"category\"",
        &format!("\"branches\": [{}{{\"category\"", "{},".repeat(2 << 20)),
    );
    assert!(text.len() > 6_000_000);
    let error = read_text(&text).unwrap_err();
    assert!(error.contains("objects and lists"), "{error}");
}
