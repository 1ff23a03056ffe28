//! zstd:chunked tables: what is read has chunks that lie in the blob one after the other and add up, and is written and
//! read back the same.
#![no_main]

use std::collections::BTreeMap;

use calypte_formats::zstd_chunked::{Positions, TarSplitItem, Toc, read_tar_split};
use libfuzzer_sys::fuzz_target;

/// Where the tables of the made-up blob start.
const DATA_END: u64 = 1 << 20;

fn check_toc(bytes: &[u8]) {
    let Ok(toc) = Toc::parse(bytes, DATA_END) else { return };
    let mut next = 0;
    for entry in &toc.entries {
        let size =
            entry.chunks.iter().fold(0_u64, |sum, chunk| sum.checked_add(chunk.size).expect("no overflow"));
        assert_eq!(size, entry.member.size);
        assert_eq!(entry.digest.is_some(), size > 0);
        for chunk in &entry.chunks {
            assert!(next <= chunk.offset && chunk.offset < chunk.end && chunk.end <= DATA_END);
            next = chunk.end;
        }
    }
    assert_eq!(Toc::parse(&toc.to_json(), DATA_END), Ok(toc));
}

fn check_positions(text: &str) {
    let mut parts = text.split('\n');
    let keys = ["manifest-checksum", "manifest-position", "tarsplit-position"];
    let annotations: BTreeMap<String, String> = keys
        .iter()
        .filter_map(|key| {
            Some((format!("io.github.containers.zstd-chunked.{key}"), parts.next()?.to_owned()))
        })
        .collect();
    let Ok(Some(positions)) = Positions::from_annotations(&annotations, DATA_END) else { return };
    assert!(positions.toc.offset + positions.toc.length <= DATA_END);
    assert!(positions.data_end() < positions.toc.offset);
    assert_eq!(Positions::from_annotations(&positions.annotations(), DATA_END), Ok(Some(positions)));
}

fuzz_target!(|bytes: &[u8]| {
    check_toc(bytes);
    if let Ok(items) = read_tar_split(bytes) {
        for item in items {
            if let TarSplitItem::Content { size, crc64, .. } = item {
                assert_eq!(size > 0, crc64.is_some());
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_positions(text);
    }
});
