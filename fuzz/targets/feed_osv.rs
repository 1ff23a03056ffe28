//! OSV documents, JSON and YAML.
#![no_main]

#[path = "feeds/sink.rs"]
mod sink;

use calypte_advisory::feeds::{Feed, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read(Feed::Osv, "document", &mut &*bytes, &mut sink::Check);
});
