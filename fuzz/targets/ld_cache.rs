//! `ld.so.cache`: what is read can be written, and is read back the same once it is in order.
#![no_main]

use calypte_formats::ld_cache::{read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(cache) = read(bytes) else { return };
    let Ok(written) = write(&cache.entries, &cache.generator) else { return };
    let once = read(&written).expect("what was written is read");
    assert_eq!(write(&once.entries, &once.generator).as_ref(), Ok(&written));
});
