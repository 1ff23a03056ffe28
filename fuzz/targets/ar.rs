//! `ar` archives: every member's body is read.
#![no_main]

use calypte_formats::ar::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(bytes) else { return };
    while let Ok(Some(member)) = reader.next_member() {
        let copied = std::io::copy(&mut reader.body(), &mut std::io::sink());
        assert!(copied.is_err() || copied.is_ok_and(|copied| copied == member.size));
    }
});
