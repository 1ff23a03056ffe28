//! Lists of crates in Rust programs.
#![no_main]

use calypte_formats::cargo_auditable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cargo_auditable::read(bytes);
    if let Ok(crates) = cargo_auditable::parse(bytes) {
        let count = crates.packages.len();
        assert!(
            crates.packages.iter().flat_map(|package| &package.dependencies).all(|number| *number < count)
        );
    }
});
