//! Definitions of image families: every mistake gets its place, and what is sound can be flattened.
#![no_main]

use calypte_definition::Catalog;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Catalog::load([("fuzz.yaml".to_owned(), text.to_owned())]) {
        Ok(catalog) => {
            for id in catalog.images("fuzz") {
                let _ = catalog.image(&id);
            }
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            for diagnostic in diagnostics {
                let _ = diagnostic.to_string();
            }
        }
    }
});
