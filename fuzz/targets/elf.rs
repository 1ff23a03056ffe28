//! ELF files.
#![no_main]

use std::io::Cursor;

use calypte_formats::elf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(facts)) = elf::facts(Cursor::new(bytes)) {
        assert!(bytes.starts_with(b"\x7fELF"));
        assert!(facts.needed.len() <= elf::NAME_LIMIT);
    }
});
