//! Archives of documents: tar, zip, packed or not.
#![no_main]

#[path = "feeds/sink.rs"]
mod sink;

use std::io::Cursor;

use calypte_advisory::feeds::{Feed, read_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_file(Feed::Osv, "feed", Cursor::new(bytes), &mut sink::Check);
});
