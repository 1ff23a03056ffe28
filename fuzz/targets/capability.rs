//! File capabilities as text.
#![no_main]

use calypte_formats::xattr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match xattr::capability(text) {
        Ok(bytes) => assert_eq!(bytes.len(), 20),
        Err(error) => _ = error.hint(),
    }
});
