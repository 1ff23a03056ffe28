//! Plans of deltas, unpacked as the reader has them after zstd.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = calypte_delta::check_plan(bytes);
});
