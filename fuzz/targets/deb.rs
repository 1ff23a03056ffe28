//! Debian packages, with small limits.
#![no_main]

use std::io::Read;

use calypte_formats::deb::{DebError, DebVisitor, Limits, read};
use calypte_formats::tar::Entry;
use libfuzzer_sys::fuzz_target;

struct Visitor;

impl DebVisitor for Visitor {
    type Error = DebError;

    fn control_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), DebError> {
        assert!(!name.contains('/') && bytes.len() <= 4_096);
        Ok(())
    }

    fn data_entry(&mut self, _: &Entry, body: &mut dyn Read) -> Result<(), DebError> {
        let io = |source| DebError::Io { member: "data".to_owned(), source };
        std::io::copy(body, &mut std::io::sink()).map(|_| ()).map_err(io)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { control_file: 4_096, control_total: 1 << 16, data_total: 1 << 20 };
    let _ = read(bytes, &limits, &mut Visitor);
});
