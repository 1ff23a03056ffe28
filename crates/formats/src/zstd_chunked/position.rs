//! Where the tables lie in the blob: annotations of the layer's descriptor in and out, the footer out; and unpacking the
//! tables that were found there.

use std::collections::BTreeMap;
use std::io::Read;

use calypte_base::Digest;

use super::{TABLE_LIMIT, TarSplitItem, Toc, TocError, read_tar_split, shown};
use crate::compression::{Compression, decoder};

/// Annotation: digest of the compressed table of contents.
const CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// Annotation: `offset:length:uncompressed length:1` of the table of contents.
const MANIFEST: &str = "io.github.containers.zstd-chunked.manifest-position";
/// Annotation: `offset:length:uncompressed length` of the tar-split.
const TAR_SPLIT: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// The two first annotations as podman 4 and skopeo 1.9 know them: without these, it fetches whole layers.
const OLDER: [(&str, &str); 2] = [
    (CHECKSUM, "io.containers.zstd-chunked.manifest-checksum"),
    (MANIFEST, "io.containers.zstd-chunked.manifest-position"),
];

/// The only type of a table of contents ("compatible with CRFS").
const MANIFEST_TYPE: u64 = 1;

/// The first of the magic numbers of skippable frames (RFC 8878, 3.1.2).
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
/// Bytes before a skippable frame's data: magic number and length.
const SKIPPABLE_HEADER: u64 = 8;

/// What the footer ends with.
const FOOTER_MAGIC: &[u8; 8] = b"GNUlInUx";

/// A zstd frame that decoders pass over (RFC 8878, 3.1.2). Data of 4 GiB or more do not fit, and are far above
/// [`TABLE_LIMIT`].
#[must_use]
pub fn skippable_frame(data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    [&SKIPPABLE_MAGIC.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
}

/// The place of a table's compressed bytes in the blob, after the eight bytes that start their skippable frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// First byte, from the start of the blob.
    pub offset: u64,
    /// Number of compressed bytes.
    pub length: u64,
    /// Number of bytes after decompression.
    pub uncompressed: u64,
}

impl Position {
    /// First byte after it; [`Positions::from_annotations`] has checked that it lies in the blob.
    const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// The places of both tables, and what the first must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    /// The table of contents.
    pub toc: Position,
    /// SHA-256 of its compressed bytes.
    pub toc_digest: Digest,
    /// The tar-split; older writers made none. Its digest stands in the table of contents.
    pub tar_split: Option<Position>,
}

impl Positions {
    /// The annotations that a layer's descriptor gets.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let numbers = |at: &Position| format!("{}:{}:{}", at.offset, at.length, at.uncompressed);
        let mut annotations = BTreeMap::from([
            (CHECKSUM.to_owned(), self.toc_digest.to_string()),
            (MANIFEST.to_owned(), format!("{}:{MANIFEST_TYPE}", numbers(&self.toc))),
        ]);
        for (key, older) in OLDER {
            if let Some(value) = annotations.get(key).cloned() {
                annotations.insert(older.to_owned(), value);
            }
        }
        if let Some(tar_split) = &self.tar_split {
            annotations.insert(TAR_SPLIT.to_owned(), numbers(tar_split));
        }
        annotations
    }

    /// Reads the annotations of a layer whose blob has `blob_size` bytes; nothing when it has none of them.
    ///
    /// # Errors
    /// When one is there and is malformed, points out of the blob, or is missing beside the others.
    pub fn from_annotations(
        annotations: &BTreeMap<String, String>,
        blob_size: u64,
    ) -> Result<Option<Self>, TocError> {
        let older = |key| OLDER.into_iter().find_map(|(newer, older)| (newer == key).then_some(older));
        let get = |key: &'static str| {
            let value = annotations.get(key).or_else(|| annotations.get(older(key)?));
            value.map(String::as_str)
        };
        let (Some(checksum), Some(manifest)) = (get(CHECKSUM), get(MANIFEST)) else {
            let lonely = [CHECKSUM, MANIFEST].into_iter().find_map(|key| Some((key, get(key)?)));
            return match lonely {
                None => Ok(None),
                Some((key, value)) => {
                    Err(wrong(key, value, "the other one of checksum and position is missing"))
                }
            };
        };
        let toc_digest = checksum.parse().map_err(|_| wrong(CHECKSUM, checksum, "it is no sha256 digest"))?;
        let (place, kind) = manifest.rsplit_once(':').unwrap_or((manifest, ""));
        if number(kind) != Some(MANIFEST_TYPE) {
            return Err(wrong(MANIFEST, manifest, "it does not end with the type 1"));
        }
        let toc = position(MANIFEST, manifest, place, blob_size)?;
        let tar_split = get(TAR_SPLIT).map(|text| position(TAR_SPLIT, text, text, blob_size)).transpose()?;
        if let Some(other) = &tar_split
            && other.offset < toc.end().saturating_add(SKIPPABLE_HEADER)
            && toc.offset < other.end().saturating_add(SKIPPABLE_HEADER)
        {
            let text = get(TAR_SPLIT).unwrap_or_default();
            return Err(wrong(TAR_SPLIT, text, "it overlaps the table of contents"));
        }
        Ok(Some(Self { toc, toc_digest, tar_split }))
    }

    /// The 64 bytes that describe the blob at its end; they go into a skippable frame of their own. Clients do not
    /// read them, since nothing vouches for them.
    #[must_use]
    pub fn footer(&self) -> [u8; 64] {
        let none = Position { offset: 0, length: 0, uncompressed: 0 };
        let tar_split = self.tar_split.unwrap_or(none);
        let numbers = [
            self.toc.offset,
            self.toc.length,
            self.toc.uncompressed,
            MANIFEST_TYPE,
            tar_split.offset,
            tar_split.length,
            tar_split.uncompressed,
            u64::from_le_bytes(*FOOTER_MAGIC),
        ];
        let mut footer = [0; 64];
        for (field, number) in footer.chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        footer
    }

    /// Where the tables start: every frame of the tar lies before this byte of the blob.
    #[must_use]
    pub fn data_end(&self) -> u64 {
        let first = self.tar_split.map_or(self.toc.offset, |tar_split| tar_split.offset.min(self.toc.offset));
        first.saturating_sub(SKIPPABLE_HEADER)
    }

    /// Checks and unpacks the compressed bytes that lie at [`Positions::toc`].
    ///
    /// # Errors
    /// When they have another digest or size than promised, or are no table of contents.
    pub fn read_toc(&self, compressed: &[u8]) -> Result<Toc, TocError> {
        const WHAT: &str = "the table of contents";
        let json = unpack(WHAT, compressed, &self.toc, &self.toc_digest)?;
        Toc::parse(&json, self.data_end())
    }

    /// Checks and unpacks the compressed bytes that lie at [`Positions::tar_split`]; `toc` vouches for them.
    ///
    /// # Errors
    /// When there is no tar-split, the bytes have another digest or size than promised, or are none.
    pub fn read_tar_split(&self, compressed: &[u8], toc: &Toc) -> Result<Vec<TarSplitItem>, TocError> {
        const WHAT: &str = "the tar-split";
        let (Some(position), Some(digest)) = (&self.tar_split, &toc.tar_split) else {
            return Err(TocError::Unpack { what: WHAT, reason: "the layer has none".to_owned() });
        };
        read_tar_split(&unpack(WHAT, compressed, position, digest)?)
    }
}

fn unpack(
    what: &'static str,
    compressed: &[u8],
    position: &Position,
    expected: &Digest,
) -> Result<Vec<u8>, TocError> {
    let (found, expected) = (Digest::of(compressed), *expected);
    if found != expected {
        return Err(TocError::Digest { what, expected, found });
    }
    let limit = position.uncompressed.min(TABLE_LIMIT);
    let mut bytes = Vec::new();
    decoder(Compression::Zstd, compressed, limit)
        .and_then(|mut decoder| decoder.read_to_end(&mut bytes))
        .map_err(|error| TocError::Unpack { what, reason: error.to_string() })?;
    if bytes.len() as u64 != position.uncompressed {
        let reason = format!("it has {} bytes, and {} were promised", bytes.len(), position.uncompressed);
        return Err(TocError::Unpack { what, reason });
    }
    Ok(bytes)
}

/// `text` is the annotation as a whole, for the error; `place` the three numbers in it.
fn position(key: &'static str, text: &str, place: &str, blob_size: u64) -> Result<Position, TocError> {
    let numbers: Option<Vec<u64>> = place.split(':').map(number).collect();
    let Some(&[offset, length, uncompressed]) = numbers.as_deref() else {
        return Err(wrong(key, text, "it is not numbers with colons between them"));
    };
    let end = offset.checked_add(length);
    if offset < SKIPPABLE_HEADER || length == 0 || end.is_none_or(|end| end > blob_size) {
        return Err(wrong(key, text, &format!("this is no place in a blob of {blob_size} bytes")));
    }
    if length.max(uncompressed) > TABLE_LIMIT {
        return Err(wrong(key, text, &format!("this is larger than the allowed {TABLE_LIMIT} bytes")));
    }
    Ok(Position { offset, length, uncompressed })
}

/// Digits only: `parse` alone would take a plus sign too.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn wrong(key: &'static str, value: &str, reason: &str) -> TocError {
    TocError::Annotation { key, value: shown(value), reason: reason.to_owned() }
}
