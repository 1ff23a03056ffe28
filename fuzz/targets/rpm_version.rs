//! RPM versions: an order without contradictions, and a written form that is read as the same.
#![no_main]

use calypte_base::version::RpmVersion;
use calypte_base::version::rpm::compare_parts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut versions: Vec<_> = text.lines().filter_map(|line| RpmVersion::parse(line).ok()).collect();
    for version in &versions {
        let written = version.to_string();
        assert_eq!(RpmVersion::parse(&written).as_ref(), Ok(version));
        for other in &versions {
            assert_eq!(version.cmp(other), other.cmp(version).reverse());
            let parts = compare_parts(version.version(), other.version());
            assert_eq!(parts, compare_parts(other.version(), version.version()).reverse());
        }
    }
    // Panics where an order contradicts itself.
    versions.sort();
    assert!(versions.is_sorted());
});
