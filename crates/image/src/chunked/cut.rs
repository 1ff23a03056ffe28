//! Where a content is cut into chunks: at places that its own bytes decide (content-defined chunking with a gear hash),
//! so that bytes put in or taken out change the chunks around them and leave the others as they were.

/// A content up to this size is one chunk: a client either has the file or fetches it. Of Debian's kernel modules, which
/// are most of a host's update, no part is the same after a rebuild, and each cut costs 3 % of the compression.
pub(super) const WHOLE: u64 = 512 * 1024;

/// No chunk but the last is shorter.
const SHORTEST: usize = 32 * 1024;

/// Up to this length cuts are rarer, beyond it more frequent, which keeps most chunks near it.
const USUAL: usize = 64 * 1024;

/// No chunk is longer.
pub(super) const LONGEST: usize = 256 * 1024;

/// Bits of the hash that must be zero for a cut before and after the usual length.
const RARE: u64 = mask(18);
const FREQUENT: u64 = mask(14);

/// The highest bits: those to which the last 64 bytes have contributed.
const fn mask(bits: u32) -> u64 {
    !(u64::MAX >> bits)
}

/// A number for each byte, by the generator SplitMix64 from a fixed start.
const GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state: u64 = 0x6361_6c79_7074_6531;
    let mut index = 0;
    while index < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = value ^ (value >> 31);
        index += 1;
    }
    table
}

/// The length of the first chunk of these bytes. They are the content's next [`LONGEST`] bytes, or all that is left.
pub(super) fn first_chunk(bytes: &[u8]) -> usize {
    let mut hash: u64 = 0;
    for (place, byte) in bytes.iter().enumerate().take(LONGEST).skip(SHORTEST.saturating_sub(64)) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        let length = place + 1;
        let wanted = if length < USUAL { RARE } else { FREQUENT };
        if length >= SHORTEST && hash & wanted == 0 {
            return length;
        }
    }
    bytes.len().min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize) -> Vec<u8> {
        let mut state: u64 = 7;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    fn chunks(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let (chunk, rest) = bytes.split_at(first_chunk(bytes));
            chunks.push(chunk);
            bytes = rest;
        }
        chunks
    }

    #[test]
    fn a_byte_put_in_changes_few_chunks() {
        let old = noise(8_000_000);
        let mut new = old.clone();
        new.insert(3_000_000, b'x');
        let (old, new) = (chunks(&old), chunks(&new));
        let changed = new.iter().filter(|chunk| !old.contains(chunk)).count();
        assert!(changed <= 3, "{changed} of {}", new.len());
        let mean = 8_000_000 / new.len();
        assert!((48 * 1024..96 * 1024).contains(&mean), "{mean}");
    }

    #[test]
    fn bytes_that_are_all_alike_are_cut_at_the_longest() {
        let zeros = vec![0; LONGEST * 2 + 5];
        assert_eq!(chunks(&zeros).iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [LONGEST, LONGEST, 5]);
        assert_eq!(first_chunk(&[]), 0);
    }
}
