//! `repomd.xml` of RPM repositories.
#![no_main]

use calypte_formats::rpm_repository::repomd;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(repomd) = repomd::parse(bytes) else { return };
    for file in repomd.data.values() {
        assert!(!file.location.starts_with('/') && !file.location.split('/').any(|part| part == ".."));
        assert!(file.timestamp <= repomd.timestamp);
    }
});
