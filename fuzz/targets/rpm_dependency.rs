//! Relations of RPM packages: what is read and written again is read as the same.
#![no_main]

use calypte_formats::rpm_dependency::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(expression) = parse(text) {
        let written = expression.to_string();
        assert_eq!(parse(&written).as_ref(), Ok(&expression));
    }
});
