//! Plans of deltas, unpacked as the reader has them after zstd; frames, and the streams of differences. The bytes begin
//! with a letter, which says what of these they are for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = match bytes.split_first() {
        Some((b'f', rest)) => calypte_delta::check_frame(rest),
        Some((b'd', rest)) => calypte_delta::check_difference(rest),
        // The first letter of every plan.
        _ => calypte_delta::check_plan(bytes),
    };
});
