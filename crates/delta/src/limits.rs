//! Bounds of the format. They bound the memory of making and of applying a delta, so that a hostile one costs no more.

/// Most bytes of new content in a bundle. With [`LARGEST_PREFIX`] as much as a zstd window of 2^27 reaches back over.
pub const LARGEST_BUNDLE: u64 = 64 * 1024 * 1024;

/// Most bytes of old content that a bundle is read against.
pub const LARGEST_PREFIX: u64 = 64 * 1024 * 1024;

/// Base-two logarithm of the largest window of a frame: what every zstd decoder can be told to accept.
pub const WINDOW_LOG: u32 = 27;

/// Most bytes of a frame: what does not compress grows by less than one part in a hundred.
pub const LARGEST_FRAME: u64 = LARGEST_BUNDLE + LARGEST_BUNDLE / 64;

/// Most bytes of a plan, unpacked: 1,000,000 contents take some 4 bytes each, manifest and config at most 8 MiB.
pub const LARGEST_PLAN: u64 = 64 * 1024 * 1024;

/// Most files with a content in an image; the largest distributions have 300,000 in one system.
pub const MOST_CONTENTS: usize = 1_000_000;

/// Most layers of an image; engines stop at 127 or 500.
pub const MOST_LAYERS: usize = 1_000;

/// Most frames in a delta: of 64 GiB in bundles of 64 MiB, and as many again.
pub const MOST_FRAMES: usize = 8_192;

/// Most bytes of tar headers in an image: 300,000 files have some 200 MB of them.
pub const MOST_HEADER_BYTES: u64 = 512 * 1024 * 1024;

/// Most parts of new contents in all bundles of a delta: each content is one, and a large one is cut into parts of which
/// fewer are needed than there are frames.
pub const MOST_ITEMS: usize = MOST_CONTENTS + MOST_FRAMES;

/// Most old pieces in all bundles of a delta: at most one for each part of a new content.
pub const MOST_PIECES: usize = MOST_ITEMS;

/// Most manifests that an index may list; multi-platform images have some 20.
pub const MOST_MANIFESTS: usize = 1_000;

/// Most bytes of all manifests of one index, and of all configs: 64 KiB for each of 1,000.
pub const LARGEST_DOCUMENTS: u64 = 64 * 1024 * 1024;

/// Most bytes that all layers of an image may unpack to.
pub const MOST_LAYER_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Largest JSON document that is read; registries draw the line here too.
pub const LARGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// Size of a tar block in bytes, to which contents are padded.
pub(crate) const BLOCK: u64 = 512;

/// Zeros between a content of this size and the next header.
pub(crate) const fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}
