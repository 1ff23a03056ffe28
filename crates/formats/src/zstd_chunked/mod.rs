//! zstd:chunked layers: the table of contents, the tar-split and the footer that make a zstd-compressed layer readable
//! in parts; JSON and plain numbers in and out, compression is the caller's work.
//!
//! A blob of this kind is an ordinary zstd stream: frames of tar headers and frames of contents, then three skippable
//! frames that decoders pass over. The first holds the zstd-compressed table of contents ([`Toc`]), which says for
//! every file of which chunks its content consists, where each chunk's frame lies in the blob, and what its digest is.
//! The second holds the zstd-compressed tar-split ([`read_tar_split`]): all bytes of the tar that are not content, so
//! that the very same tar can be put together again. The third is a [footer](Positions::footer) of 64 bytes. Where the
//! first two lie also stands in annotations of the layer's descriptor ([`Positions`]), and these are what a client
//! goes by. The format is that of `containers/storage`; version 1 of the table.
//!
//! A table comes from whoever made the image, so it may lie: parsing checks that its numbers fit each other, whoever
//! uses a chunk checks its digest, and the digest of the whole blob decides at the end.

mod position;
mod tar_split;
mod toc;

pub use position::{Position, Positions, skippable_frame};
pub use tar_split::{TarSplitItem, TarSplitWriter, read_tar_split};
pub use toc::{Chunk, Toc, TocEntry};

/// Largest table of contents, or tar-split, in bytes, compressed or not. A host's root of 30,000 files has 10 MB of
/// either; `containers/storage` stops at 150 MiB.
pub const TABLE_LIMIT: u64 = 128 * 1024 * 1024;

/// Most entries of a table, chunks included, and most lines of a tar-split: in memory they take a multiple of their
/// text.
pub const ENTRY_LIMIT: usize = 1_000_000;

/// Why the description of a zstd:chunked layer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TocError {
    /// The table is not JSON of the right form.
    #[error("the table of contents cannot be read: {reason}")]
    Json {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// The table is of a version that came later.
    #[error("the table of contents is of version {version}, and only version 1 is known")]
    Version {
        /// Its version.
        version: u64,
    },
    /// Something is larger than a fixed limit.
    #[error("{what} is {size}, more than the allowed {limit}")]
    TooLarge {
        /// What is too large, and what is counted.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// An entry of the table contradicts itself, the entries before it, or the blob.
    #[error("the table of contents lies about `{name}`: {reason}")]
    Entry {
        /// The entry's name, made printable.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A line of the tar-split is not what it must be.
    #[error("line {line} of the tar-split: {reason}")]
    TarSplit {
        /// The line, from one.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// An annotation of the layer does not say where its tables are.
    #[error("the layer's annotation `{key}` is `{value}`: {reason}")]
    Annotation {
        /// The annotation.
        key: &'static str,
        /// What it says, cut.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// A table's compressed bytes are not those that were promised.
    #[error("{what} has the digest {found}, and {expected} was promised")]
    Digest {
        /// Which table.
        what: &'static str,
        /// What was promised.
        expected: calypte_base::Digest,
        /// What the bytes have.
        found: calypte_base::Digest,
    },
    /// A table cannot be decompressed, or to another size than promised.
    #[error("{what} cannot be unpacked: {reason}")]
    Unpack {
        /// Which table.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Foreign text for an error message: printable, and no longer than a message should be.
fn shown(text: &str) -> String {
    const SHOWN: usize = 200;
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}
