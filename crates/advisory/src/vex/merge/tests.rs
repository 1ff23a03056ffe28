use calypte_base::Epoch;
use proptest::prelude::*;

use super::super::apply::tests::bill;
use super::*;
use crate::vex::model::{Justification, Origin, Rule, Status};

/// A reviewed statement that a package is not affected.
pub(in crate::vex) fn statement(flaw: &str, package: &str) -> Statement {
    Statement {
        flaw: flaw.to_owned(),
        aliases: BTreeSet::new(),
        products: BTreeSet::from([Product::package(package.parse().unwrap())]),
        status: Status::NotAffected,
        justification: Some(Justification::VulnerableCodeNotPresent),
        impact: Some("because".to_owned()),
        action: None,
        notes: None,
        evidence: Some("https://e.example/1".to_owned()),
        paths: BTreeSet::new(),
        issued: Epoch(100),
        updated: Epoch(100),
        origin: Origin::Reviewed("vex/a.yaml".to_owned()),
    }
}

fn with(change: impl FnOnce(&mut Statement)) -> Statement {
    let mut changed = statement("CVE-2024-1", "pkg:deb/debian/a");
    change(&mut changed);
    changed
}

#[test]
fn who_says_it_then_when_then_the_worse() {
    let affected = |statement: &mut Statement| statement.status = Status::Affected;
    let reviewed = with(|_| ());
    let newer = with(|s| s.updated = Epoch(200));
    let newer_affected = with(|s| {
        s.updated = Epoch(200);
        affected(s);
    });
    let derived = with(|s| {
        s.origin = Origin::Derived(Rule::FixedByVersion);
        s.updated = Epoch(900);
        affected(s);
    });
    let foreign = with(|s| {
        s.origin = Origin::Foreign("x".to_owned());
        s.updated = Epoch(999);
    });
    for (statements, winner) in [
        ([&reviewed, &derived], &reviewed),
        ([&derived, &foreign], &derived),
        ([&reviewed, &newer], &newer),
        ([&newer, &newer_affected], &newer_affected),
    ] {
        for order in [[0, 1], [1, 0]] {
            let given: Vec<Statement> = order.iter().map(|&place| statements[place].clone()).collect();
            assert_eq!(merge(&given), std::slice::from_ref(winner));
        }
    }
}

#[test]
fn aliases_are_one_flaw() {
    let mut ghsa = statement("GHSA-x", "pkg:deb/debian/a");
    ghsa.aliases.insert("CVE-2024-1".to_owned());
    let merged = merge(&[with(|s| s.updated = Epoch(1)), ghsa]);
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].flaw, "CVE-2024-1");
    assert_eq!(merged[0].aliases, BTreeSet::from(["GHSA-x".to_owned()]));
}

#[test]
fn what_names_a_product_more_closely_counts() {
    let bill = bill();
    let scanned = Scanned::new(&bill);
    let general = with(|s| s.updated = Epoch(900));
    let here = with(|s| {
        s.status = Status::Affected;
        s.products = BTreeSet::from([Product::image(
            ImageId::named("nginx"),
            Some("pkg:deb/debian/a".parse().unwrap()),
        )]);
    });
    let decided = for_image(&[general.clone(), here], &scanned);
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0].statement.status, Status::Affected);
    assert!(!decided[0].is_general);
    let decided = for_image(&[general], &scanned);
    assert!(decided[0].is_general);
    assert_eq!(decided[0].package.as_ref().unwrap().to_string(), "pkg:deb/debian/a@1.0-1?arch=amd64");
}

#[test]
fn all_of_an_image_and_a_part_of_it_are_never_both_decided() {
    let bill = bill();
    let scanned = Scanned::new(&bill);
    let whole = with(|s| s.products = BTreeSet::from([Product::image(ImageId::named("nginx"), None)]));
    let part = with(|s| s.status = Status::Affected);
    let decided = for_image(&[whole.clone(), part.clone()], &scanned);
    assert_eq!(decided.len(), 1);
    assert!(decided[0].package.is_some());
    let foreign = Statement { origin: Origin::Foreign("x".to_owned()), ..part };
    let decided = for_image(&[whole, foreign], &scanned);
    assert_eq!(decided.len(), 1);
    assert!(decided[0].package.is_none());
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let flaw = prop::sample::select(vec!["CVE-2024-1", "CVE-2024-2", "GHSA-a", "GHSA-b"]);
    let aliases =
        prop::collection::btree_set(prop::sample::select(vec!["CVE-2024-1", "GHSA-a", "GHSA-b"]), 0..3);
    let package =
        prop::sample::select(vec!["pkg:deb/debian/a", "pkg:deb/debian/a@1.0-1", "pkg:deb/debian/b"]);
    let status = prop::sample::select(vec![
        Status::Affected,
        Status::Fixed,
        Status::NotAffected,
        Status::UnderInvestigation,
    ]);
    (flaw, aliases, package, status, 0u8..4, 0i64..3, 0u8..3).prop_map(
        |(flaw, aliases, package, status, whole, time, origin)| {
            let purl: Purl = package.parse().unwrap();
            Statement {
                aliases: aliases.into_iter().map(str::to_owned).collect(),
                status,
                products: BTreeSet::from([match whole {
                    0 => Product::package(purl),
                    1 => Product::image(ImageId::named("nginx"), Some(purl)),
                    2 => Product::image(ImageId::named("nginx"), None),
                    _ => Product::image(ImageId::named("other"), Some(purl)),
                }]),
                updated: Epoch(time),
                origin: match origin {
                    0 => Origin::Reviewed("f".to_owned()),
                    1 => Origin::Derived(Rule::FixedByVersion),
                    _ => Origin::Foreign("g".to_owned()),
                },
                ..statement(flaw, "pkg:deb/debian/a")
            }
        },
    )
}

proptest! {
    /// Whatever comes in, in whatever order: of a flaw in a product one statement is left, and it is the same one.
    #[test]
    fn one_statement_is_left(statements in prop::collection::vec(any_statement(), 0..20)) {
        let merged = merge(&statements);
        let mut seen = BTreeSet::new();
        for statement in &merged {
            for product in &statement.products {
                prop_assert!(seen.insert((statement.flaw.clone(), product.clone())));
            }
        }
        let mut reversed = statements.clone();
        reversed.reverse();
        prop_assert_eq!(&merge(&reversed), &merged);
        prop_assert_eq!(&merge(&merged), &merged);

        let bill = bill();
        let scanned = Scanned::new(&bill);
        let decided = for_image(&statements, &scanned);
        let mut seen = BTreeSet::new();
        for one in &decided {
            prop_assert!(seen.insert((one.statement.flaw.clone(), one.package.clone())));
        }
        for (flaw, package) in &seen {
            prop_assert!(package.is_none() || !seen.contains(&(flaw.clone(), None)));
        }
        prop_assert_eq!(&for_image(&reversed, &scanned), &decided);
        prop_assert_eq!(&for_image(&merged, &scanned), &decided);
    }
}
