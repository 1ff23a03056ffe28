//! Tar archives: what is read is written, and must be read back the same.
#![no_main]

use std::io::Read;

use calypte_formats::tar::{BLOCK_SIZE, Entry, Reader, Writer};
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

/// Gives every header its right checksum: otherwise hardly a change of one would get past it.
fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    for block in sealed.chunks_exact_mut(BLOCK_SIZE).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    sealed
}

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes);
    let Some(entries) = read(&seal(bytes)) else { return };
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
