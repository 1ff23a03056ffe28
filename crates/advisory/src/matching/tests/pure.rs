//! A scan depends on what is in the bill and in the feeds alone: not on the order in which feeds were imported, nor on
//! that in which they list their advisories, nor on what was imported before.

use proptest::prelude::*;

use super::*;

/// Small worlds, so that names and versions meet often.
fn arbitrary_advisory() -> impl Strategy<Value = Advisory> {
    let entry = (0..3_usize, 0..3_usize, 0..4_u8, 0..4_u8, 0..4_usize);
    let entries = proptest::collection::vec(entry, 1..3);
    (0..6_u8, proptest::collection::btree_set(0..6_u8, 0..3), entries, any::<bool>()).prop_map(
        |(id, aliases, entries, withdrawn)| {
            let entry = |(release, role, from, to, status)| {
                let release: &str = ["trixie", "bookworm", "13"][release];
                let role = [PackageRole::Source, PackageRole::Binary, PackageRole::Either][role];
                let events = vec![introduced(&format!("{from}")), fixed(&format!("{to}"))];
                let status =
                    [Status::Affected, Status::WontFix, Status::NotAffected, Status::Affected][status];
                Affected { status, ..affected(debian(release), "m", role, events) }
            };
            let name = |number: u8| match number {
                0..3 => format!("CVE-2024-000{number}"),
                _ => format!("X-{number}"),
            };
            Advisory {
                id: name(id),
                aliases: aliases.into_iter().map(name).collect(),
                withdrawn: withdrawn.then_some(Epoch(1)),
                ..advisory("", &[], entries.into_iter().map(entry).collect())
            }
        },
    )
}

fn feed() -> impl Strategy<Value = Vec<Advisory>> {
    let one_of_each = |advisories: Vec<Advisory>| {
        let by_id: BTreeMap<_, _> =
            advisories.into_iter().map(|advisory| (advisory.id.clone(), advisory)).collect();
        by_id.into_values().collect()
    };
    proptest::collection::vec(arbitrary_advisory(), 0..5).prop_map(one_of_each)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_import_does_not_matter(feeds in proptest::collection::vec(feed(), 3), earlier in feed()) {
        let components = vec![
            built(PackageKind::Deb, "m", "1", ("m", "1")),
            built(PackageKind::Deb, "libm", "2", ("m", "2")),
        ];
        let names = ["changelog-a", "one", "two"];
        let mut case = Case::new(trixie(), components);
        for (name, feed) in names.iter().zip(&feeds) {
            case = case.source(name, &["debian"], feed.clone());
        }
        let first = case.scan();
        prop_assert_eq!(&case.scan(), &first);
        case.sources.reverse();
        for (_, _, advisories) in &mut case.sources {
            advisories.reverse();
        }
        // Something else was there before, and is replaced.
        let mut before = case.sources[0].clone();
        before.2 = earlier;
        before.2.push(tracked("CVE-1999-0001", "trixie", "another", super::before("1")));
        case.sources.insert(0, before);
        prop_assert_eq!(&case.scan(), &first);
    }
}
