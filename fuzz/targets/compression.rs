//! Compressed streams: never more output than allowed. The first byte chooses the compression.
#![no_main]

use calypte_formats::compression::{Compression, decoder};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let all = [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd];
    let Ok(mut decoder) = decoder(all[usize::from(*choice) % all.len()], bytes, LIMIT) else { return };
    let copied = std::io::copy(&mut decoder, &mut std::io::sink());
    assert!(copied.is_err() || copied.is_ok_and(|copied| copied <= LIMIT));
});
