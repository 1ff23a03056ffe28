//! A header of an RPM package, and all that is read out of it.
#![no_main]

use calypte_formats::rpm::{Header, Part, accounts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for part in [Part::Signature, Part::Main] {
        let Ok(header) = Header::parse(part, bytes) else { continue };
        assert_eq!(header.bytes(), bytes);
        for entry in header.entries() {
            assert!(!entry.data.is_empty());
            let values = header.byte_strings(entry.tag).len()
                + header.u16s(entry.tag).len()
                + header.u32s(entry.tag).len()
                + header.u64s(entry.tag).len();
            assert!(values == 0 || values == entry.count as usize);
            assert_eq!(header.strings(entry.tag).len(), header.byte_strings(entry.tag).len());
        }
        let _ = header.identity();
        let _ = header.scriptlets();
        let _ = accounts(&header);
        for file in header.files().into_iter().flatten() {
            assert!(!file.entry.path.starts_with(b"/"));
            assert!(!file.entry.path.split(|byte| *byte == b'/').any(|part| part == b".."));
        }
    }
});
