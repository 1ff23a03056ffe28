use calypte_base::Epoch;
use calypte_formats::changelog::NamedFix;

use super::super::apply::tests::{bill, finding};
use super::super::merge::tests::statement;
use super::*;
use crate::model::{Ecosystem, Range, RangeKind};

const A: &str = "deb/a@1.0-1.amd64";

#[test]
fn a_changelog_proves_a_fix_and_says_where() {
    let bill = bill();
    let named = NamedFix { version: "0.9-1".to_owned(), date: Some(Epoch(86_400)) };
    let fixes = Fixes::from([(A.to_owned(), [("CVE-2024-0001".to_owned(), named)].into())]);
    let statements = from_changelogs(&fixes, &Scanned::new(&bill));
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].status, Status::Fixed);
    assert_eq!(statements[0].evidence.as_deref(), Some("changelog of a 1.0-1: 0.9-1, 1970-01-02T00:00:00Z"));
    assert_eq!(statements[0].updated, bill.created);
}

fn entry(events: Vec<Event>) -> Affected {
    Affected {
        ecosystem: Ecosystem::Debian(None),
        package: "a".to_owned(),
        role: PackageRole::Source,
        ranges: vec![Range { kind: RangeKind::Ecosystem, events }],
        versions: BTreeSet::new(),
        status: AdvisoryStatus::Affected,
        architectures: BTreeSet::new(),
        module: None,
        severities: Vec::new(),
        imports: BTreeSet::new(),
    }
}

fn advisory(entries: Vec<Affected>) -> Advisory {
    Advisory {
        id: "DSA-1".to_owned(),
        aliases: BTreeSet::from(["CVE-2024-0001".to_owned(), "CVE-2024-0002".to_owned()]),
        published: None,
        modified: None,
        withdrawn: None,
        summary: String::new(),
        severities: Vec::new(),
        affected: entries,
        references: Vec::new(),
    }
}

fn by_version(entries: Vec<Affected>, findings: &[Finding]) -> Vec<Statement> {
    let bill = bill();
    let advisory = advisory(entries);
    let candidate =
        Candidate { component: A, advisory: &advisory, entries: advisory.affected.iter().collect() };
    from_versions([candidate], findings, &Scanned::new(&bill))
}

#[test]
fn a_version_proves_a_fix_only_where_every_range_leaves_it_out() {
    let introduced = |text: &str| Event::Introduced(text.to_owned());
    let fixed = |text: &str| Event::Fixed(text.to_owned());
    let last = |text: &str| Event::LastAffected(text.to_owned());
    for (entries, expected) in [
        (vec![entry(vec![introduced("0"), fixed("0.9-1")])], 2),
        (vec![entry(vec![introduced("0"), fixed("1.0-1")])], 2),
        (vec![entry(vec![fixed("0.9-1"), introduced("0")])], 2),
        (vec![entry(vec![introduced("0"), fixed("1.0-2")])], 0),
        (vec![entry(vec![introduced("0")])], 0),
        (vec![entry(vec![introduced("0"), last("0.9-1")])], 0),
        (vec![entry(vec![introduced("0"), fixed("0.8-1"), introduced("0.9-1")])], 0),
        (vec![entry(vec![introduced("0"), fixed("0.9-1")]), entry(vec![introduced("1.0-1")])], 0),
        (vec![entry(vec![introduced("2.0-1"), fixed("3.0-1")])], 0),
        (vec![], 0),
    ] {
        assert_eq!(by_version(entries.clone(), &[]).len(), expected, "{entries:#?}");
    }
    let mut listed = entry(vec![introduced("0"), fixed("0.9-1")]);
    listed.versions.insert("1.0-1".to_owned());
    assert_eq!(by_version(vec![listed], &[]).len(), 0);
}

#[test]
fn a_version_proves_nothing_where_another_feed_finds_the_flaw() {
    let entries = vec![entry(vec![Event::Introduced("0".to_owned()), Event::Fixed("0.9-1".to_owned())])];
    let statements = by_version(entries, &[finding("CVE-2024-0001", A)]);
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].flaw, "CVE-2024-0002");
    assert_eq!(statements[0].evidence.as_deref(), Some("DSA-1: a is fixed in 0.9-1"));
}

#[test]
fn files_that_are_not_there_prove_that_the_flaw_is_not() {
    let bill = bill();
    let scanned = Scanned::new(&bill);
    let reviewed = |paths: &[&str]| Statement {
        status: Status::Affected,
        justification: None,
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        ..statement("CVE-2024-0001", "pkg:deb/debian/a?arch=source")
    };
    let absent = from_absent_files(&[reviewed(&["/usr/bin/gone", "/usr/lib/*/gone/**"])], &scanned);
    assert_eq!(absent.len(), 1);
    assert_eq!(absent[0].justification, Some(Justification::ComponentNotPresent));
    assert_eq!(absent[0].products.len(), 2, "{absent:#?}");
    assert_eq!(
        absent[0].impact.as_deref(),
        Some("The flaw is in /usr/bin/gone, /usr/lib/*/gone/**, which the image does not have.")
    );
    for paths in [&["/usr/share/a/file"] as &[_], &["/usr/bin/gone", "/usr/share/**"], &[], &["/usr/["]] {
        assert_eq!(from_absent_files(&[reviewed(paths)], &scanned), [], "{paths:?}");
    }
    // The proof takes the finding away, though the reviewed statement counts more: that one is about other images.
    let both: Vec<Statement> = [reviewed(&["/usr/bin/gone"])].into_iter().chain(absent).collect();
    let mut findings = [finding("CVE-2024-0001", A)];
    super::super::apply(&mut findings, &both, &scanned);
    assert!(findings[0].suppressed.is_some());
}

#[test]
fn a_bill_without_files_proves_nothing() {
    let mut bill = bill();
    bill.files.retain(|path, _| !path.starts_with("/usr/share/a/"));
    let mut reviewed = statement("CVE-2024-0001", "pkg:deb/debian/a");
    reviewed.status = Status::Affected;
    reviewed.paths.insert("/usr/bin/gone".to_owned());
    assert_eq!(from_absent_files(&[reviewed], &Scanned::new(&bill)), []);
}
