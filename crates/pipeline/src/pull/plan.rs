//! What of a zstd:chunked layer comes from where: its pieces in order, and the parts that must be fetched.
//!
//! A blob is contents and what lies between them. A content's chunk is copied if its frame is on the machine; headers
//! and paddings are compressed anew if the layer's maker is known and the result has the right length; all else is
//! fetched. Parts that lie close together are fetched as one: a request costs more than some thousand bytes.

use std::ops::Range;

use calypte_base::Digest;
use calypte_formats::tar::BLOCK_SIZE;
use calypte_formats::zstd_chunked::{TarSplitItem, Toc};

use super::local::Place;

/// Parts with no more than so many bytes between them are fetched in one request. Measured on a host's update of 282 MB
/// in 64 layers: 110.9 MB in 4,453 requests without this, 111.7 MB in 173 with it, 113.1 MB in 97 with four times as
/// much. 8 KiB are what 10 Mbit/s bring in 7 ms, the time of a request on a near line.
const NEAR: u64 = 8 * 1024;

/// A request asks for no more than this, since it is held in memory.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A piece of the blob.
#[derive(Debug)]
pub(super) struct Piece {
    /// Where it lies in the blob.
    pub(super) range: Range<u64>,
    pub(super) source: Source,
    /// What it holds, if it is the frame of a chunk: which entry, the content's digest and size.
    pub(super) chunk: Option<(usize, Digest, u64)>,
}

/// Where a piece comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// From another blob.
    Local(Place),
    /// Made anew.
    Made(Vec<u8>),
    /// From the registry.
    Fetch,
}

/// The bytes that lie before the content of each file that has one, and after the last, as the frames in which they
/// are to be compressed.
///
/// # Errors
/// When the tar-split is not of the members that the table lists.
pub(super) fn between(toc: &Toc, items: Vec<TarSplitItem>) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let mut gaps = vec![Vec::new()];
    let mut entries = toc.entries.iter();
    let mut padding = 0;
    for item in items {
        match item {
            TarSplitItem::Bytes(mut bytes) => {
                let header = bytes.split_off(padding.min(bytes.len()));
                padding = 0;
                if let Some(gap) = gaps.last_mut() {
                    gap.extend([bytes, header].into_iter().filter(|frame| !frame.is_empty()));
                }
            }
            TarSplitItem::Content { name, size, .. } => {
                let member = entries.next().map(|entry| &entry.member);
                let member = member.ok_or_else(|| format!("the tar has `{name}`, and the table does not"))?;
                let listed = String::from_utf8_lossy(&member.path);
                if listed.trim_end_matches('/') != name.trim_end_matches('/') {
                    return Err(format!("the table lists `{listed}` where the tar has `{name}`"));
                }
                if member.size != size {
                    return Err(format!(
                        "`{name}` has {} bytes in the table, and {size} in the tar",
                        member.size
                    ));
                }
                padding = (size.wrapping_neg() % BLOCK_SIZE as u64) as usize;
                if size > 0 {
                    gaps.push(Vec::new());
                }
            }
        }
    }
    match entries.next() {
        Some(entry) => Err(format!("the tar has no `{}`", entry.member.path.escape_ascii())),
        None => Ok(gaps),
    }
}

/// The pieces of a blob up to `data_end`. `gaps` are what [`between`] gave, compressed, one for each; empty where they are
/// to be fetched.
pub(super) fn pieces(
    toc: &Toc,
    mut gaps: Vec<Vec<u8>>,
    data_end: u64,
    find: &(dyn Fn(&calypte_formats::zstd_chunked::Chunk) -> Option<Place> + Sync),
) -> Vec<Piece> {
    use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

    gaps.reverse();
    let mut gap = |range: Range<u64>| {
        let bytes = gaps.pop().unwrap_or_default();
        let made = bytes.len() as u64 == range.end - range.start;
        let source = if made { Source::Made(bytes) } else { Source::Fetch };
        (range.start < range.end).then_some(Piece { range, source, chunk: None })
    };
    let all: Vec<_> = toc.entries.iter().flat_map(|entry| &entry.chunks).collect();
    // To look at a content is to decompress it.
    let found: Vec<Option<Place>> = all.par_iter().map(|chunk| find(chunk)).collect();
    let mut found = found.into_iter();
    let mut pieces = Vec::new();
    let mut position = 0;
    for (number, entry) in toc.entries.iter().enumerate() {
        for (place, chunk) in entry.chunks.iter().enumerate() {
            if place == 0 {
                pieces.extend(gap(position..chunk.offset));
            }
            let source = found.next().flatten().map_or(Source::Fetch, Source::Local);
            let range = chunk.offset..chunk.end;
            pieces.push(Piece { range, source, chunk: Some((number, chunk.digest, chunk.size)) });
            position = chunk.end;
        }
    }
    pieces.extend(gap(position..data_end));
    pieces
}

/// The parts that must be fetched for the pieces from byte `start` on.
pub(super) fn parts(pieces: &[Piece], start: u64) -> Vec<Range<u64>> {
    let mut parts: Vec<Range<u64>> = Vec::new();
    for piece in
        pieces.iter().filter(|piece| matches!(piece.source, Source::Fetch) && piece.range.end > start)
    {
        let (mut from, end) = (piece.range.start.max(start), piece.range.end);
        if let Some(last) = parts.last_mut()
            && from - last.end <= NEAR
            && end - last.start <= LARGEST
        {
            last.end = end;
            continue;
        }
        while from < end {
            let until = end.min(from + LARGEST);
            parts.push(from..until);
            from = until;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_parts_are_one_and_large_ones_several() {
        let piece = |range: Range<u64>, fetch: bool| Piece {
            range,
            source: if fetch { Source::Fetch } else { Source::Made(Vec::new()) },
            chunk: None,
        };
        let pieces = [
            piece(0..100, false),
            piece(100..200, true),
            piece(200..200 + NEAR, false),
            piece(200 + NEAR..300 + NEAR, true),
            piece(300 + NEAR..301 + 2 * NEAR, false),
            piece(301 + 2 * NEAR..400 + 2 * NEAR, true),
            piece(10_000_000..10_000_001, false),
            piece(20_000_000..20_000_000 + 2 * LARGEST + 5, true),
        ];
        let large = 20_000_000;
        let expected = vec![
            100..300 + NEAR,
            301 + 2 * NEAR..400 + 2 * NEAR,
            large..large + LARGEST,
            large + LARGEST..large + 2 * LARGEST,
            large + 2 * LARGEST..large + 2 * LARGEST + 5,
        ];
        assert_eq!(parts(&pieces, 0), expected);
        assert_eq!(parts(&pieces, 150)[0], 150..300 + NEAR);
        assert_eq!(parts(&pieces, large + 2 * LARGEST + 5), Vec::<Range<u64>>::new());
    }
}
