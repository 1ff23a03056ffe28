//! The plan of a delta: what its frames hold and how the layers are put together again (docs/reference/delta.md has
//! the bytes). What is decoded here is consistent in itself; whether it fits a base is asked by `expand`.

use calypte_base::Digest;

use crate::error::DeltaError;
use crate::limits::{
    BLOCK, LARGEST_BUNDLE, LARGEST_DOCUMENT, LARGEST_FRAME, LARGEST_PREFIX, MOST_CONTENTS, MOST_FRAMES,
    MOST_HEADER_BYTES, MOST_ITEMS, MOST_LAYER_BYTES, MOST_LAYERS, MOST_PIECES,
};
use crate::number::{Numbers, fold, put, unfold};

/// The first bytes of every plan; the number is the version of the format.
const MAGIC: &[u8] = b"calypte delta 1\n";

/// All that a delta says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// The new image's manifest and config, byte for byte.
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    /// The old image.
    pub base: BaseShape,
    /// The literal bytes of all rebuilt layers, one after the other.
    pub headers: Vec<HeaderFrame>,
    /// The contents that the base lacks, one after the other.
    pub bundles: Vec<Bundle>,
    /// The new image's layers, lowest first.
    pub layers: Vec<PlanLayer>,
}

/// What must be true of a base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BaseShape {
    pub diff_ids: Vec<Digest>,
    /// Files with a content, and bytes of headers, over all layers.
    pub files: u64,
    pub header_bytes: u64,
}

/// A frame of literal bytes against a range of the base's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderFrame {
    pub prefix_start: u64,
    pub prefix_length: u64,
    pub frame: Frame,
}

/// Sizes of one zstd frame: as it lies in the blob, and unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub packed: u64,
    pub size: u64,
}

/// New contents and the old ones that they are described by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub pieces: Vec<Piece>,
    pub items: Vec<Item>,
    pub body: Body,
}

/// Part of an old content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Piece {
    /// Number of the file in the base.
    pub file: u64,
    pub start: u64,
    pub length: u64,
}

/// Part of a new content, mostly all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    /// The old piece that it is like.
    pub piece: Option<usize>,
    pub length: u64,
    /// Whether it goes on with the content of the item before it.
    pub continues: bool,
}

/// How a bundle's new bytes are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// One frame with the pieces as its prefix.
    Prefix(Frame),
    /// Differences byte by byte (see `difference`): controls, runs of equal bytes, what is added, and fresh bytes.
    Difference { controls: Frame, runs: Frame, added: Frame, fresh: Frame },
}

impl Body {
    pub(crate) fn frames(&self) -> Vec<Frame> {
        match *self {
            Self::Prefix(frame) => vec![frame],
            Self::Difference { controls, runs, added, fresh } => vec![controls, runs, added, fresh],
        }
    }
}

/// One layer of the new image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanLayer {
    /// The layer of the base with this number.
    Same(u64),
    /// A tar stream: before each content some blocks of headers, at the end the tail.
    Rebuilt { size: u64, members: Vec<PlanMember>, tail: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlanMember {
    /// Bytes of headers before the content.
    pub header: u64,
    pub source: Source,
}

/// Where a content is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// File of the base.
    Old(u64),
    /// New content.
    New(u64),
}

impl Plan {
    /// Sizes of the new contents, in their order.
    pub(crate) fn content_sizes(&self) -> Vec<u64> {
        let mut sizes = Vec::new();
        for item in self.bundles.iter().flat_map(|bundle| &bundle.items) {
            match sizes.last_mut() {
                Some(last) if item.continues => *last += item.length,
                _ => sizes.push(item.length),
            }
        }
        sizes
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for document in [&self.manifest, &self.config] {
            put(&mut out, document.len() as u64);
            out.extend_from_slice(document);
        }
        put(&mut out, self.base.diff_ids.len() as u64);
        for digest in &self.base.diff_ids {
            out.extend_from_slice(digest.bytes());
        }
        put(&mut out, self.base.files);
        put(&mut out, self.base.header_bytes);
        put(&mut out, self.headers.len() as u64);
        for header in &self.headers {
            put(&mut out, header.prefix_start);
            put(&mut out, header.prefix_length);
            put_frame(&mut out, header.frame);
        }
        put(&mut out, self.bundles.len() as u64);
        for bundle in &self.bundles {
            put_bundle(&mut out, bundle);
        }
        put(&mut out, self.layers.len() as u64);
        for layer in &self.layers {
            put_layer(&mut out, layer);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DeltaError> {
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| DeltaError::damaged("plan", "`calypte delta 1` at its start", "something else"))?;
        let mut numbers = Numbers::new(rest, "plan");
        let mut document = |name| {
            let size = numbers.at_most(LARGEST_DOCUMENT, name)?;
            numbers.bytes(size as usize).map(<[u8]>::to_vec)
        };
        let (manifest, config) = (document("manifest")?, document("config")?);
        let mut diff_ids = Vec::new();
        for _ in 0..numbers.count(MOST_LAYERS, "layers of the base")? {
            let bytes = numbers.bytes(32)?.try_into().map_err(|_| numbers.early_end())?;
            diff_ids.push(Digest::from_bytes(bytes));
        }
        let base = BaseShape {
            diff_ids,
            files: numbers.at_most(MOST_CONTENTS as u64, "files of the base")?,
            header_bytes: numbers.at_most(MOST_HEADER_BYTES, "headers of the base")?,
        };
        let mut plan = Self { manifest, config, base, ..Self::default() };
        for _ in 0..numbers.count(MOST_FRAMES, "header frames")? {
            plan.headers.push(header_frame(&mut numbers, &plan.base)?);
        }
        let mut room = Room { pieces: MOST_PIECES, items: MOST_ITEMS, contents: MOST_CONTENTS };
        for _ in 0..numbers.count(MOST_FRAMES, "bundles")? {
            plan.bundles.push(bundle(&mut numbers, &plan.base, &mut room)?);
        }
        for _ in 0..numbers.count(MOST_LAYERS, "layers")? {
            plan.layers.push(layer(&mut numbers, &mut room)?);
        }
        if !numbers.is_empty() {
            return Err(DeltaError::damaged("plan", "its end", format!("{} more bytes", numbers.left())));
        }
        plan.check()?;
        Ok(plan)
    }

    /// What each part says of the others.
    fn check(&self) -> Result<(), DeltaError> {
        let sizes = self.content_sizes();
        if sizes.len() > MOST_CONTENTS {
            return Err(DeltaError::damaged("plan, new contents", MOST_CONTENTS, sizes.len()));
        }
        let total = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        if total > MOST_LAYER_BYTES {
            return Err(DeltaError::damaged(
                "plan, new contents",
                format!("at most {MOST_LAYER_BYTES} bytes"),
                total,
            ));
        }
        let continued = |bundle: &Bundle| bundle.items.first().is_some_and(|item| item.continues);
        if self.bundles.first().is_some_and(continued) {
            return Err(DeltaError::damaged("plan", "a content before the part that continues it", "none"));
        }
        let held: u64 = self.headers.iter().map(|header| header.frame.size).sum();
        let (mut headers, mut total, mut contents) = (0_u64, 0_u64, 0_usize);
        for layer in &self.layers {
            match layer {
                PlanLayer::Same(index) if *index >= self.base.diff_ids.len() as u64 => {
                    let limit = format!("a layer below {}", self.base.diff_ids.len());
                    return Err(DeltaError::damaged("plan, layers", limit, index));
                }
                PlanLayer::Same(_) => {}
                PlanLayer::Rebuilt { size, members, tail } => {
                    total = total.saturating_add(*size);
                    contents += members.len();
                    let own = members.iter().fold(*tail, |sum, member| sum.saturating_add(member.header));
                    headers = headers.saturating_add(own);
                    for member in members {
                        self.check_source(member.source, sizes.len())?;
                    }
                }
            }
        }
        if headers != held || held > MOST_HEADER_BYTES {
            return Err(DeltaError::damaged("plan, headers", format!("{held} bytes"), headers));
        }
        if total > MOST_LAYER_BYTES || contents > MOST_CONTENTS {
            return Err(DeltaError::damaged(
                "plan, layers",
                format!("at most {MOST_LAYER_BYTES} bytes"),
                total,
            ));
        }
        Ok(())
    }

    fn check_source(&self, source: Source, contents: usize) -> Result<(), DeltaError> {
        let (number, limit, name) = match source {
            Source::Old(file) => (file, self.base.files, "file of the base"),
            Source::New(content) => (content, contents as u64, "new content"),
        };
        if number >= limit {
            return Err(DeltaError::damaged("plan, layers", format!("a {name} below {limit}"), number));
        }
        Ok(())
    }
}

/// How many of each a plan may still hold. They are counted over the whole plan: bounds for one bundle and one layer would
/// let a few kilobytes, unpacked into thousands of these, take memory without end.
struct Room {
    pieces: usize,
    items: usize,
    contents: usize,
}

/// How many of something follow, taken off what there may be of it.
fn counted(numbers: &mut Numbers<'_>, room: &mut usize, name: &str) -> Result<usize, DeltaError> {
    let count = numbers.count(*room, name)?;
    *room -= count;
    Ok(count)
}

fn put_frame(out: &mut Vec<u8>, frame: Frame) {
    put(out, frame.packed);
    put(out, frame.size);
}

fn frame(numbers: &mut Numbers<'_>) -> Result<Frame, DeltaError> {
    let packed = numbers.at_most(LARGEST_FRAME, "frame")?;
    let size = numbers.at_most(LARGEST_BUNDLE, "frame, unpacked")?;
    Ok(Frame { packed, size })
}

fn header_frame(numbers: &mut Numbers<'_>, base: &BaseShape) -> Result<HeaderFrame, DeltaError> {
    let prefix_start = numbers.at_most(base.header_bytes, "prefix of headers")?;
    let room = (base.header_bytes - prefix_start).min(LARGEST_PREFIX);
    let prefix_length = numbers.at_most(room, "prefix of headers, length")?;
    Ok(HeaderFrame { prefix_start, prefix_length, frame: frame(numbers)? })
}

fn put_bundle(out: &mut Vec<u8>, bundle: &Bundle) {
    put(out, bundle.pieces.len() as u64);
    let mut expected = 0;
    for piece in &bundle.pieces {
        put(out, fold(piece.file as i64 - expected));
        expected = piece.file as i64 + 1;
        put(out, piece.start);
        put(out, piece.length);
    }
    put(out, bundle.items.len() as u64);
    let mut next = 0;
    for item in &bundle.items {
        let kind = item.piece.map_or(0, |piece| {
            let kind = 1 + fold(piece as i64 - next);
            next = piece as i64 + 1;
            kind
        });
        put(out, kind << 1 | u64::from(item.continues));
        put(out, item.length);
    }
    out.push(u8::from(matches!(bundle.body, Body::Difference { .. })));
    for frame in bundle.body.frames() {
        put_frame(out, frame);
    }
}

fn bundle(numbers: &mut Numbers<'_>, base: &BaseShape, left: &mut Room) -> Result<Bundle, DeltaError> {
    let count = counted(numbers, &mut left.pieces, "pieces of this and all later bundles")?;
    let (mut pieces, mut expected, mut room) = (Vec::new(), 0_i64, LARGEST_PREFIX);
    for _ in 0..count {
        let file = expected.wrapping_add(unfold(numbers.next()?)) as u64;
        if file >= base.files {
            return Err(DeltaError::damaged("plan, piece", format!("a file below {}", base.files), file));
        }
        expected = file as i64 + 1;
        let start = numbers.at_most(MOST_LAYER_BYTES, "start of a piece")?;
        let length = numbers.at_most(room, "length of a piece")?;
        room -= length;
        pieces.push(Piece { file, start, length });
    }
    let (items, size) = items(numbers, count, left)?;
    let body = match numbers.at_most(1, "form of a bundle")? {
        0 => Body::Prefix(frame(numbers)?),
        _ => Body::Difference {
            controls: frame(numbers)?,
            runs: frame(numbers)?,
            added: frame(numbers)?,
            fresh: frame(numbers)?,
        },
    };
    // What differences give is known when they are read.
    if let Body::Prefix(frame) = body
        && frame.size != size
    {
        return Err(DeltaError::damaged("plan, bundle", format!("a frame of {size} bytes"), frame.size));
    }
    Ok(Bundle { pieces, items, body })
}

/// The items of a bundle and their length together.
fn items(numbers: &mut Numbers<'_>, pieces: usize, left: &mut Room) -> Result<(Vec<Item>, u64), DeltaError> {
    let (mut items, mut next, mut room) = (Vec::new(), 0_i64, LARGEST_BUNDLE);
    for _ in 0..counted(numbers, &mut left.items, "items of this and all later bundles")? {
        let kind = numbers.next()?;
        let mut piece = None;
        if let Some(folded) = (kind >> 1).checked_sub(1) {
            let number = next.wrapping_add(unfold(folded));
            let known = usize::try_from(number).ok().filter(|number| *number < pieces);
            let limit = || DeltaError::damaged("plan, item", format!("a piece below {pieces}"), number);
            piece = Some(known.ok_or_else(limit)?);
            next = number + 1;
        }
        let length = numbers.at_most(room, "length of an item")?;
        room -= length;
        items.push(Item { piece, length, continues: kind & 1 == 1 });
    }
    Ok((items, LARGEST_BUNDLE - room))
}

fn put_layer(out: &mut Vec<u8>, layer: &PlanLayer) {
    let PlanLayer::Rebuilt { size, members, tail } = layer else {
        let PlanLayer::Same(index) = layer else { return };
        put(out, 1 + index);
        return;
    };
    put(out, 0);
    put(out, *size);
    put(out, members.len() as u64);
    // A column at a time: runs of equal bytes compress to nothing.
    for member in members {
        put(out, member.header / BLOCK);
    }
    let mut expected = [0_i64; 2];
    for member in members {
        let (side, number) = match member.source {
            Source::Old(number) => (0, number),
            Source::New(number) => (1, number),
        };
        put(out, fold(number as i64 - expected[side]) << 1 | side as u64);
        expected[side] = number as i64 + 1;
    }
    put(out, tail / BLOCK);
}

fn layer(numbers: &mut Numbers<'_>, left: &mut Room) -> Result<PlanLayer, DeltaError> {
    if let Some(index) = numbers.at_most(1 + MOST_LAYERS as u64, "layer")?.checked_sub(1) {
        return Ok(PlanLayer::Same(index));
    }
    let size = numbers.at_most(MOST_LAYER_BYTES, "size of a layer")?;
    let count = counted(numbers, &mut left.contents, "contents of this and all later layers")?;
    let blocks = |numbers: &mut Numbers<'_>| {
        numbers.at_most(MOST_HEADER_BYTES / BLOCK, "blocks of headers").map(|blocks| blocks * BLOCK)
    };
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push(blocks(numbers)?);
    }
    let (mut members, mut old, mut new) = (Vec::new(), 0_i64, 0_i64);
    for header in headers {
        let value = numbers.next()?;
        let expected = if value & 1 == 0 { &mut old } else { &mut new };
        let number = expected.wrapping_add(unfold(value >> 1));
        *expected = number.wrapping_add(1);
        // A negative number is larger than any limit.
        let number = number as u64;
        let source = if value & 1 == 0 { Source::Old(number) } else { Source::New(number) };
        members.push(PlanMember { header, source });
    }
    Ok(PlanLayer::Rebuilt { size, members, tail: blocks(numbers)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Frame = Frame { packed: 0, size: 0 };

    fn plan(pieces: usize, items: usize, contents: usize) -> Plan {
        let piece = Piece { file: 0, start: 0, length: 0 };
        let item = Item { piece: None, length: 0, continues: true };
        let first = Item { continues: false, ..item };
        let bundle = |start: &[Item]| Bundle {
            pieces: vec![piece; pieces],
            items: [start, &vec![item; items]].concat(),
            body: Body::Prefix(NOTHING),
        };
        let member = PlanMember { header: 0, source: Source::Old(0) };
        let layer = PlanLayer::Rebuilt { size: 0, members: vec![member; contents], tail: 0 };
        Plan {
            base: BaseShape { files: 1, ..BaseShape::default() },
            bundles: vec![bundle(&[first]), bundle(&[])],
            layers: vec![layer.clone(), layer],
            ..Plan::default()
        }
    }

    /// What each bundle and each layer may have, they must not have together.
    #[test]
    fn a_plan_is_bounded_as_a_whole() {
        let many = MOST_CONTENTS * 3 / 5;
        let error = |plan: Plan| Plan::decode(&plan.encode()).unwrap_err().to_string();
        Plan::decode(&plan(3, 3, 3).encode()).unwrap();
        for (plan, expected) in [
            (plan(many, 1, 1), "pieces of this and all later bundles: expected at most 408192, found 600000"),
            (plan(1, many, 1), "items of this and all later bundles: expected at most 408191, found 600000"),
            (
                plan(1, 1, many),
                "contents of this and all later layers: expected at most 400000, found 600000",
            ),
        ] {
            let error = error(plan);
            assert!(error.contains(expected), "{error}");
        }
    }
}
