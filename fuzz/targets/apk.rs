//! apk's record of installed packages.
#![no_main]

use calypte_formats::apk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for package in apk::parse(bytes).into_iter().flatten() {
        assert!(!package.name.is_empty() && !package.version.is_empty());
        assert!(package.depends.iter().all(|name| !name.starts_with('!')));
    }
});
