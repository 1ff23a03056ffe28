//! Java archives, and those within them.
#![no_main]

use calypte_formats::java_archive::{self, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { unpacked: 1 << 20, depth: 3 };
    let reading = java_archive::read(bytes, &limits);
    assert!(!reading.archives.is_empty());
    assert!(reading.archives.iter().all(|archive| archive.place.matches("!/").count() < limits.depth));
});
