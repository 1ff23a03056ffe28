//! YAML that others write.
#![no_main]

use calypte_formats::yaml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = yaml::from_str::<serde_json::Value>(text, 10_000) {
        assert!(error.line > 0);
    }
});
