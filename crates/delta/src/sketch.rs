//! What a content looks like, in 128 bytes: the smallest digests of pieces that its own bytes cut it into. Contents
//! that share many pieces share many of these, whatever was put in or taken out before them.

/// Digests kept of a content.
const KEPT: usize = 16;

/// A piece ends where this many bits of the rolling sum are zero: after some 1,024 bytes.
const CUT_BITS: u32 = 10;

/// What is kept of one content: sorted, smallest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch(Vec<u64>);

/// Makes a [`Sketch`] out of a content that comes in parts.
#[derive(Debug, Default)]
pub(crate) struct Sketcher {
    kept: Vec<u64>,
    rolling: u64,
    piece: u64,
}

/// Spreads a byte over 64 bits.
const fn spread(byte: u8) -> u64 {
    let value = (byte as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (value ^ (value >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

impl Sketcher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.rolling = (self.rolling << 1).wrapping_add(spread(*byte));
            self.piece = (self.piece ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            if self.rolling >> (u64::BITS - CUT_BITS) == 0 {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        let digest = (self.piece ^ (self.piece >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.piece = 0;
        if let Err(place) = self.kept.binary_search(&digest)
            && place < KEPT
        {
            self.kept.insert(place, digest);
            self.kept.truncate(KEPT);
        }
    }

    pub(crate) fn finish(mut self) -> Sketch {
        self.cut();
        Sketch(self.kept)
    }
}

impl Sketch {
    pub(crate) fn digests(&self) -> &[u64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(bytes: &[u8]) -> Sketch {
        let mut sketcher = Sketcher::default();
        sketcher.update(bytes);
        sketcher.finish()
    }

    #[test]
    fn like_contents_share_digests() {
        let bytes: Vec<u8> =
            (0_u32..40_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let moved = [b"something in front", &bytes[..100_000], b"in between", &bytes[100_000..]].concat();
        let shared = |one: &Sketch, other: &Sketch| {
            one.digests().iter().filter(|digest| other.digests().contains(digest)).count()
        };
        assert!(shared(&sketch(&bytes), &sketch(&moved)) >= 10);
        let other: Vec<u8> = (0_u32..40_000).flat_map(|n| n.wrapping_mul(40_503_001).to_le_bytes()).collect();
        assert_eq!(shared(&sketch(&bytes), &sketch(&other)), 0);
    }
}
