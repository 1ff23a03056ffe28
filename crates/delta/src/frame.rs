//! One zstd frame against a prefix: old bytes that the decoder has too, over which matches may reach back.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, get_error_name};

use crate::error::DeltaError;
use crate::limits::{LARGEST_BUNDLE, LARGEST_FRAME, WINDOW_LOG};

/// The compression level of everything in a delta: it is made once and downloaded often.
const LEVEL: i32 = 19;

/// Base-two logarithms of the match finder's tables: 256 MiB and 64 MiB, whatever the size of the window; with twice
/// of each a delta of kernel modules is 2 % smaller.
const CHAIN_LOG: u32 = 26;
const HASH_LOG: u32 = 24;

/// Compresses. The bytes depend on nothing but the arguments.
pub(crate) fn compress(prefix: &[u8], content: &[u8]) -> Result<Vec<u8>, DeltaError> {
    let failed = |code| DeltaError::Compress { reason: get_error_name(code).to_owned() };
    let mut context = CCtx::try_create()
        .ok_or_else(|| DeltaError::Compress { reason: "no memory for a compressor".to_owned() })?;
    let total = prefix.len() + content.len();
    // Not larger than needed: tables are cleared for every frame, and many frames are small.
    let window = (usize::BITS - total.saturating_sub(1).leading_zeros()).clamp(10, WINDOW_LOG);
    let parameters = [
        CParameter::CompressionLevel(LEVEL),
        CParameter::WindowLog(window),
        CParameter::ChainLog(CHAIN_LOG.min(window + 1)),
        CParameter::HashLog(HASH_LOG.min(window + 1)),
        CParameter::EnableLongDistanceMatching(window >= 24),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
    ];
    for parameter in parameters {
        context.set_parameter(parameter).map_err(failed)?;
    }
    context.set_pledged_src_size(Some(content.len() as u64)).map_err(failed)?;
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(failed)?;
    }
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    context.compress2(&mut frame, content).map_err(failed)?;
    frame.shrink_to_fit();
    Ok(frame)
}

/// Decompresses one frame that must give exactly `size` bytes. Takes no more memory than these.
pub(crate) fn decompress(
    prefix: &[u8],
    frame: &[u8],
    size: u64,
    what: &'static str,
) -> Result<Vec<u8>, DeltaError> {
    if size > LARGEST_BUNDLE || frame.len() as u64 > LARGEST_FRAME {
        return Err(DeltaError::damaged(what, format!("at most {LARGEST_BUNDLE} bytes"), size));
    }
    let damaged = |expected: &str, found: String| DeltaError::damaged(what, expected, found);
    let length = zstd_safe::find_frame_compressed_size(frame)
        .map_err(|code| damaged("a zstd frame", get_error_name(code).to_owned()))?;
    if length != frame.len() {
        return Err(damaged("one zstd frame", format!("{} bytes after it", frame.len() - length)));
    }
    let declared = zstd_safe::get_frame_content_size(frame).ok().flatten();
    if declared != Some(size) {
        let found = declared.map_or_else(|| "none".to_owned(), |size| size.to_string());
        return Err(damaged(&format!("a frame that declares {size} bytes"), found));
    }
    let window = window(frame).ok_or_else(|| damaged("a zstd frame", "something else".to_owned()))?;
    if window > 1 << WINDOW_LOG {
        return Err(damaged(&format!("a window of at most 2^{WINDOW_LOG} bytes"), window.to_string()));
    }
    let mut context =
        DCtx::try_create().ok_or_else(|| damaged("memory for a decompressor", "none".to_owned()))?;
    let failed = |code| damaged("a whole zstd frame", get_error_name(code).to_owned());
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(failed)?;
    }
    // Room for what was promised and no more, so that the decoder cannot write beyond it.
    let mut content = Vec::with_capacity(size as usize);
    let found = context.decompress(&mut content, frame).map_err(failed)?;
    if found as u64 != size {
        return Err(DeltaError::damaged(what, format!("{size} bytes"), found));
    }
    Ok(content)
}

/// The window that a frame asks for (RFC 8878, 3.1.1.1); `None` when it is no zstd frame.
fn window(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?.first()?;
    if descriptor & 0x20 != 0 {
        // A single segment: the window is the content, whose size was checked.
        return Some(0);
    }
    let byte = *frame.get(5)?;
    let base = 1_u64 << (10 + (byte >> 3));
    Some(base + base / 8 * u64::from(byte & 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u32, count: u32) -> Vec<u8> {
        (0..count).flat_map(|number| (number ^ seed).wrapping_mul(2_654_435_761).to_le_bytes()).collect()
    }

    #[test]
    fn what_the_prefix_has_costs_nothing() {
        let prefix = sample(1, 300_000);
        let mut content = prefix.clone();
        content[500_000] ^= 1;
        let frame = compress(&prefix, &content).unwrap();
        assert!(frame.len() < 300, "{}", frame.len());
        assert_eq!(decompress(&prefix, &frame, content.len() as u64, "test").unwrap(), content);
        assert_eq!(compress(&prefix, &content).unwrap(), frame);
    }

    #[test]
    fn empty_and_tiny() {
        for (prefix, content) in [(&b""[..], &b""[..]), (b"abc", b"abc"), (b"", b"x"), (b"abcdefghijk", b"")]
        {
            let frame = compress(prefix, content).unwrap();
            assert_eq!(decompress(prefix, &frame, content.len() as u64, "test").unwrap(), content);
        }
    }

    #[test]
    fn every_lie_is_refused() {
        let content = sample(2, 1_000);
        let frame = compress(b"", &content).unwrap();
        let size = content.len() as u64;
        for cut in 0..frame.len() {
            assert!(decompress(b"", &frame[..cut], size, "test").is_err(), "cut at {cut}");
        }
        let twice = [&frame[..], &frame[..]].concat();
        for (bytes, size) in [(&frame[..], size - 1), (&frame, size + 1), (&twice, size), (&twice, 2 * size)]
        {
            assert!(decompress(b"", bytes, size, "test").is_err());
        }
        // No content size, and a window of 2^31.
        let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x80, 21 << 3, 4, 0, 0, 0, 0x21, 0, 0, b'a', b'b', b'c', b'd'];
        let error = decompress(b"", &wide, 4, "test").unwrap_err().to_string();
        assert!(error.contains("2^27"), "{error}");
    }
}
