//! Metalinks of RPM repositories.
#![no_main]

use calypte_formats::rpm_repository::metalink;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(metalink) = metalink::parse(bytes) else { return };
    assert_eq!(metalink.file, "repomd.xml");
    assert_eq!(metalink.hashes.sha256().is_some(), metalink.hashes.0.contains_key("sha256"));
    for url in &metalink.urls {
        assert!(url.repository().is_none_or(|base| url.url.starts_with(base) && base.ends_with('/')));
    }
});
