//! Vectors of CVSS, one a line, and words: a score between 0 and 10, or a refusal.
#![no_main]

use calypte_advisory::severity::{Word, base_score};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for line in text.lines() {
        if let Ok((kind, score)) = base_score(line) {
            assert!((0.0..=10.0).contains(&score), "{line}: {score}");
            assert_ne!(Word::of_score(kind, score), Word::Unknown);
        }
        let _ = Word::of(line);
    }
});
