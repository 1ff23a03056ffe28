//! VEX documents of others, OpenVEX and CSAF: what is read can be merged, and of each flaw in each product one is left.
#![no_main]

use std::collections::BTreeSet;

use calypte_advisory::vex;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match vex::read("fuzz.json", &mut &*bytes) {
        Ok(foreign) => {
            let merged = vex::merge(&foreign.statements);
            let mut seen = BTreeSet::new();
            for statement in &merged {
                for product in &statement.products {
                    assert!(seen.insert((statement.flaw.clone(), product.clone())));
                }
            }
        }
        Err(error) => assert!(error.to_string().contains("fuzz.json")),
    }
});
