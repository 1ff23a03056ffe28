//! Control files: the reader of streams and the one of slices see the same; and dpkg's records made of them.
#![no_main]

use calypte_formats::{deb822, dpkg};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = deb822::Reader::new(bytes);
    for paragraph in deb822::paragraphs(bytes) {
        let Ok(paragraph) = paragraph else {
            assert!(reader.next_paragraph().is_err());
            return;
        };
        let streamed = reader.next_paragraph().expect("the slice was read").expect("the slice has one more");
        assert!(streamed.fields().eq(paragraph.fields()));
        for (name, value) in paragraph.fields() {
            assert_eq!(paragraph.get(name), Some(value));
        }
    }
    if let Ok(stanza) = dpkg::status_stanza(bytes, &[]) {
        let read = deb822::paragraphs(stanza.as_bytes()).collect::<Result<Vec<_>, _>>();
        assert_eq!(read.expect("a stanza is control data").len(), 1);
    }
});
