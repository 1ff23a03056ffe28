//! Reviewed VEX statements of the catalog: every mistake gets its place.
#![no_main]

use calypte_advisory::vex::reviewed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match reviewed::read("fuzz.yaml", text) {
        Ok(statements) => assert!(statements.iter().all(|statement| !statement.flaw.is_empty())),
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                let _ = mistake.to_string();
            }
        }
    }
});
