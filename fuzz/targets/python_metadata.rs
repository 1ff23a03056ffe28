//! What Python packages say of themselves.
#![no_main]

use calypte_formats::python_metadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(metadata) = python_metadata::parse(bytes) {
        let name = python_metadata::normalized(&metadata.name);
        assert_eq!(python_metadata::normalized(&name), name);
    }
    assert!(python_metadata::record_paths(bytes).iter().all(|path| !path.is_empty()));
});
