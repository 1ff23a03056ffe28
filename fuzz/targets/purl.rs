//! Package URLs: what is read is written so that it is read as the same again.
#![no_main]

use calypte_advisory::vex::Purl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(purl) = text.parse::<Purl>() {
        assert!(purl.covers(&purl));
        assert_eq!(purl.to_string().parse::<Purl>().as_ref(), Ok(&purl));
    }
});
