//! Whole RPM packages, with small limits.
#![no_main]

use std::io::Read;

use calypte_formats::rpm::{FileEntry, Header, Limits, RpmError, RpmVisitor, read};
use calypte_formats::tar::EntryKind;
use libfuzzer_sys::fuzz_target;

struct Visitor;

impl RpmVisitor for Visitor {
    type Error = RpmError;

    fn headers(&mut self, _: &Header, _: &Header) -> Result<(), RpmError> {
        Ok(())
    }

    fn file(&mut self, file: &FileEntry, body: &mut dyn Read) -> Result<(), RpmError> {
        assert!(!file.flags.is_ghost());
        assert!(file.entry.kind == EntryKind::File || file.entry.size == 0);
        let read = std::io::copy(body, &mut std::io::sink()).map_err(RpmError::PayloadIo)?;
        assert_eq!(read, file.entry.size);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { header: 1 << 16, payload: 1 << 20 };
    let _ = read(bytes, &limits, &mut Visitor);
});
