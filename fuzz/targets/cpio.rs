//! `cpio` archives: the reader ends, and never gives more of a body than was announced.
#![no_main]

use std::io::Read;

use calypte_formats::cpio::{Item, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(item)) = reader.next_item() {
        let size = match item {
            Item::Named(entry) => {
                assert!(!entry.path.is_empty() && !entry.path.contains(&0));
                entry.size
            }
            Item::Numbered(number) => {
                reader.set_size(u64::from(number));
                u64::from(number)
            }
        };
        let mut body = Vec::new();
        if reader.body().read_to_end(&mut body).is_ok() {
            assert_eq!(body.len() as u64, size);
        }
    }
});
