use proptest::prelude::*;

use super::*;

fn groups(list: &[(&str, u64, u32)]) -> BTreeMap<String, Evidence> {
    list.iter()
        .map(|(name, size, changes)| ((*name).to_owned(), Evidence { size: *size, changes: *changes }))
        .collect()
}

fn of(packed: &BTreeMap<String, String>) -> Vec<PreviousLayer> {
    let mut layers: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (group, layer) in packed {
        layers.entry(layer).or_default().push(group.clone());
    }
    layers.into_iter().map(|(name, groups)| PreviousLayer { name: name.clone(), groups }).collect()
}

#[test]
fn few_groups_have_a_layer_each() {
    let few = groups(&[("glibc", 3_000_000, 20), ("tzdata", 200_000, 5), ("base-files", 70_000, 3)]);
    let packed = pack(&few, 4, &[]);
    assert!(packed.iter().all(|(group, layer)| group == layer), "{packed:?}");
}

#[test]
fn what_costs_most_to_share_keeps_its_own_layer() {
    let mut many = groups(&[
        ("linux", 90_000_000, 40),
        ("glibc", 3_000_000, 20),
        ("small-but-restless", 10_000, 30),
        ("large-and-quiet", 20_000_000, 0),
    ]);
    for number in 0..50 {
        many.insert(format!("quiet-{number}"), Evidence { size: 20_000, changes: 1 });
    }
    let packed = pack(&many, 20, &[]);
    for alone in ["linux", "glibc", "small-but-restless", "large-and-quiet"] {
        assert_eq!(packed[alone], alone);
    }
    assert!(packed.values().filter(|layer| layer.starts_with("shared/")).count() > 30);
}

#[test]
fn often_changed_groups_are_apart_from_seldom_changed_ones() {
    let mut many = BTreeMap::new();
    for number in 0..200 {
        let evidence = Evidence { size: 1000, changes: if number % 4 == 0 { OFTEN } else { 1 } };
        many.insert(format!("group-{number}"), evidence);
    }
    let packed = pack(&many, 64, &[]);
    for (group, layer) in &packed {
        let often = many[group].changes >= OFTEN;
        assert!(group == layer || layer.starts_with(if often { "shared/often-" } else { "shared/seldom-" }));
    }
}

#[test]
fn a_new_group_does_not_join_a_large_one() {
    let mut many = groups(&[("linux", 90_000_000, 40), ("glibc", 3_000_000, 20), ("tiny", 1_000, 0)]);
    let before = pack(&many, 4, &[]);
    many.insert("new".to_owned(), Evidence { size: 500_000, changes: 3 });
    let after = pack(&many, 4, &of(&before));
    assert_eq!(after["new"], "tiny");
    // With one layer left, that is for all that come.
    let after = pack(&many, 5, &of(&before));
    assert_eq!(after["new"], ADDED_LAYER);
    many.insert("newer".to_owned(), Evidence { size: 1, changes: 0 });
    assert_eq!(pack(&many, 5, &of(&after))["newer"], ADDED_LAYER);
    assert_eq!(pack(&many, 7, &of(&before))["newer"], "newer");
}

#[test]
fn all_is_in_one_layer_where_one_is_allowed() {
    let packed = pack(&groups(&[("a", 1, 1), ("b", 2, 2)]), 1, &[]);
    assert!(packed.values().all(|layer| layer == IMAGE_LAYER));
}

fn evidence() -> impl Strategy<Value = Evidence> {
    (0..30_000_000_u64, 0..30_u32).prop_map(|(size, changes)| Evidence { size, changes })
}

fn some_groups(most: usize) -> impl Strategy<Value = BTreeMap<String, Evidence>> {
    prop::collection::btree_map("[a-z][a-z0-9-]{1,8}", evidence(), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn there_are_never_more_layers_than_allowed(groups in some_groups(150), limit in 1..128_usize) {
        let packed = pack(&groups, limit, &[]);
        prop_assert_eq!(packed.len(), groups.len());
        prop_assert!(layers(&packed).len() <= limit.saturating_sub(1).max(1));
        if groups.len() < limit {
            prop_assert!(packed.iter().all(|(group, layer)| group == layer));
        }
    }

    #[test]
    fn one_group_more_or_less_moves_at_most_one_other(groups in some_groups(120), limit in 2..100_usize, new in evidence()) {
        let before = pack(&groups, limit, &[]);
        let mut more = groups.clone();
        more.insert("the-new-one".to_owned(), new);
        let after = pack(&more, limit, &[]);
        let moved = before.iter().filter(|(group, layer)| after[*group] != **layer).count();
        // Where all had a layer each and there is no room for one more, as many must make room as layers are shared.
        let room = limit - 1;
        let allowed = if groups.len() < room { 0 } else if groups.len() == room { Shared::of(room).count() + 2 } else { 1 };
        prop_assert!(moved <= allowed, "{} moved", moved);
    }

    #[test]
    fn an_update_of_one_group_moves_at_most_one_other(
        groups in some_groups(120), limit in 2..100_usize, new in evidence(), which in 0..120_usize,
    ) {
        let before = pack(&groups, limit, &[]);
        let mut updated = groups.clone();
        let name = updated.keys().nth(which % groups.len()).unwrap().clone();
        updated.insert(name.clone(), new);
        let after = pack(&updated, limit, &[]);
        let others = before.iter().filter(|(group, layer)| **group != name && after[*group] != **layer);
        prop_assert!(others.count() <= 1);
    }

    #[test]
    fn beside_a_previous_packing_nothing_moves(
        old in some_groups(120), new in some_groups(120), changed in evidence(), limit in 2..100_usize,
    ) {
        let before = pack(&old, limit, &[]);
        let mut groups = old.clone();
        groups.extend(new);
        // Whatever becomes of the evidence of a group, and whichever groups go.
        groups.values_mut().for_each(|evidence| *evidence = changed);
        let gone: Vec<_> = old.keys().step_by(3).cloned().collect();
        groups.retain(|group, _| !gone.contains(group));
        let after = pack(&groups, limit, &of(&before));
        for (group, layer) in &before {
            prop_assert!(after.get(group).is_none_or(|now| now == layer), "{} moved", group);
        }
        prop_assert!(layers(&after).len() <= (limit - 1).max(1));
    }
}
