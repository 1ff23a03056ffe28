//! Random trees, one made out of the other by random changes.

use calypte_delta::Settings;
use proptest::prelude::*;

use crate::image::{Form, Member, Pair, file, noise};

/// Where a file lies, what it is full of, and its size.
type Sketch = (u8, u8, u16);

fn layers(sketches: &[Vec<Sketch>], edit: u8) -> Vec<Vec<Member>> {
    let member = |(path, seed, size): &Sketch| {
        let mut bytes = noise(u64::from(*seed), usize::from(*size));
        if path % 3 == 0 {
            bytes.iter_mut().skip(10).step_by(41).for_each(|byte| *byte = byte.wrapping_add(edit));
        }
        if path % 5 == 0 {
            bytes.splice(bytes.len() / 2..bytes.len() / 2, noise(edit.into(), edit.into()));
        }
        file(&format!("d{}/f{path}-{edit}", path % 4), &bytes)
    };
    let unique = |sketches: &Vec<Sketch>| {
        let by_path: std::collections::BTreeMap<u8, Sketch> =
            sketches.iter().map(|sketch| (sketch.0, *sketch)).collect();
        by_path.values().map(member).collect()
    };
    sketches.iter().map(unique).collect()
}

fn sketches() -> impl Strategy<Value = Vec<Vec<Sketch>>> {
    let sketch = (0_u8..40, 0_u8..30, prop_oneof![Just(0), 1_u16..2_000, Just(512), 10_000_u16..40_000]);
    prop::collection::vec(prop::collection::vec(sketch, 0..12), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn round_trip(old in sketches(), new in sketches(), keep in any::<bool>(), bundle in 1_u64..100_000) {
        let old = layers(&old, 0);
        let mut new = layers(&new, 5);
        if keep {
            new.splice(0..0, old.iter().take(1).cloned());
        }
        let pair = Pair::new(Form::Plain, &old, &new);
        pair.write("delta", &Settings { bundle, prefix_up_to: bundle / 2, ..Settings::default() });
        pair.apply("delta", "old", None).unwrap();
        prop_assert!(pair.files("result") == pair.files("new"));
    }
}
