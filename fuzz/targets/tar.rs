//! Tar archives: what is read is written, and must be read back the same.
#![no_main]

use std::io::Read;

use calypte_formats::tar::{Entry, Reader, Writer};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8]) -> Option<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    loop {
        let Some(entry) = reader.next_entry().ok()? else { return Some(entries) };
        let mut body = Vec::new();
        reader.body().read_to_end(&mut body).ok()?;
        assert_eq!(body.len() as u64, entry.size);
        entries.push((entry, body));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some(entries) = read(bytes) else { return };
    let mut writer = Writer::new(Vec::new());
    for (entry, body) in &entries {
        // Some of what may be read is not written, such as a link whose name ends with a slash.
        if writer.append_bytes(entry, body).is_err() {
            return;
        }
    }
    let Ok(written) = writer.finish() else { return };
    assert_eq!(read(&written).as_ref(), Some(&entries));
});
