//! Versions by the rules of each ecosystem: a line is one. Orders without contradictions (Maven's have some), and a sort
//! that lives with them.
#![no_main]

use calypte_advisory::versions::{BEFORE_ALL, Scheme};
use libfuzzer_sys::fuzz_target;

const ALL: [Scheme; 7] =
    [Scheme::Deb, Scheme::Rpm, Scheme::Apk, Scheme::Pep440, Scheme::Semver, Scheme::Go, Scheme::Maven];

fuzz_target!(|text: &str| {
    for scheme in ALL {
        let is_version = |line: &&str| scheme.compare(line, line).is_ok();
        let versions: Vec<&str> = text.split('\n').filter(is_version).take(30).collect();
        for left in &versions {
            assert!(scheme.compare_introduced(BEFORE_ALL, left).unwrap().is_lt());
            for right in &versions {
                let order = scheme.compare(left, right).unwrap();
                assert_eq!(scheme.compare(right, left), Ok(order.reverse()), "{scheme:?}: {left} {right}");
                let _ = scheme.compare_without_epoch(left, right);
            }
        }
        let count = versions.len();
        let sorted = scheme.sort(versions, |text| text).unwrap();
        assert_eq!(sorted.len(), count);
        if scheme == Scheme::Maven {
            continue;
        }
        for (at, low) in sorted.iter().enumerate() {
            for high in &sorted[at..] {
                assert!(scheme.compare(low, high).unwrap().is_le(), "{scheme:?}: {low} {high}");
            }
        }
    }
});
