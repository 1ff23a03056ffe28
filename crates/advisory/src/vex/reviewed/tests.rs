use super::*;

const GOOD: &str = r#"
statements:
  - flaw: CVE-2024-1
    aliases: [GHSA-a]
    products:
      - package: pkg:deb/debian/perl-base
      - package: pkg:deb/debian/perl?arch=source
        images: [nginx, "pkg:oci/x?repository_url=ghcr.io%2Fa%2Fx"]
      - images: ["python:3.14-builder"]
    status: not_affected
    justification: vulnerable_code_not_in_execute_path
    reason: Nothing in the image opens archives.
    evidence: https://example.org/1
    date: 2026-10-01
    updated: "2026-10-02T08:00:00Z"
  - flaw: CVE-2024-2
    products: [{package: pkg:deb/debian/perl-base}]
    status: affected
    reason: The module is there.
    action: Do not open archives.
    evidence: vex/evidence/perl.txt
    paths: [/usr/share/perl/*/Archive/**]
    date: 2026-10-01
"#;

#[test]
fn a_good_file_is_read() {
    let statements = read("vex/perl.yaml", GOOD).unwrap();
    assert_eq!(statements.len(), 2);
    assert_eq!(statements[0].products.len(), 4);
    assert_eq!(statements[0].impact.as_deref(), Some("Nothing in the image opens archives."));
    assert_eq!(statements[0].issued.to_string(), "2026-10-01T00:00:00Z");
    assert_eq!(statements[0].updated.to_string(), "2026-10-02T08:00:00Z");
    assert_eq!(statements[0].origin, Origin::Reviewed("vex/perl.yaml".to_owned()));
    assert_eq!(statements[1].notes.as_deref(), Some("The module is there."));
    assert_eq!(statements[1].paths.len(), 1);
}

/// What is wrong with the good file after a change, on one line a mistake.
fn wrong(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let mistakes = read("vex/perl.yaml", &GOOD.replacen(from, to, 1)).unwrap_err();
    mistakes
        .iter()
        .map(|mistake| format!("{}:{}: {}\n", mistake.line, mistake.column, mistake.message))
        .collect()
}

#[test]
fn mistakes_are_told_with_their_place() {
    let mut told = String::new();
    for (from, to) in [
        ("    justification: vulnerable_code_not_in_execute_path\n", ""),
        ("status: not_affected", "status: fixed"),
        ("status: not_affected", "status: fine"),
        ("    reason: Nothing in the image opens archives.\n", ""),
        ("reason: Nothing in the image opens archives.", "reason: \" \""),
        ("    evidence: https://example.org/1\n", ""),
        ("evidence: https://example.org/1", "evidence: ../x"),
        ("    date: 2026-10-01\n    updated", "    updated"),
        ("date: 2026-10-01", "date: yesterday"),
        ("date: 2026-10-01", "date: 2026-13-01"),
        ("date: 2026-10-01", "date: \"1700000000\""),
        ("date: 2026-10-01", "date: 2026-10-05"),
        ("pkg:deb/debian/perl-base", "perl-base"),
        ("pkg:deb/debian/perl-base", "pkg:oci/nginx"),
        ("[\"python:3.14-builder\"]", "[\"pkg:oci/nginx@latest\"]"),
        ("[\"python:3.14-builder\"]", "[]"),
        ("[{package: pkg:deb/debian/perl-base}]", "[]"),
        ("    action: Do not open archives.\n", ""),
        ("[/usr/share/perl/*/Archive/**]", "[/lib/x/perl, usr/x, \"/usr/[\"]"),
        ("status: affected", "status: fixed"),
        ("flaw: CVE-2024-2", "flaw: CVE 2024"),
        ("aliases: [GHSA-a]", "alias: [GHSA-a]"),
    ] {
        told += &wrong(from, to);
    }
    insta::assert_snapshot!(told);
}
