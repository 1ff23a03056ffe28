//! Contents that the base lacks → bundles. What is alike stands together, so that a change which thousands of files
//! have in common is written down once; each bundle has new and old bytes within the limits of the format.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use crate::create::{Class, Settings};
use crate::difference::Streams;
use crate::error::DeltaError;
use crate::frame;
use crate::interrupt;
use crate::limits::{LARGEST_BUNDLE, LARGEST_PREFIX};
use crate::plan::{Body, Bundle, Frame, Item, Piece};
use crate::spool::{Member, Taken};

/// Old bytes before and after the range that corresponds to a part of a large content.
const SLACK: u64 = 8 * 1024 * 1024;

/// New bytes of one part of a content that is too large for one bundle: with the slack, its old range fits.
const PART: u64 = 32 * 1024 * 1024;

/// A content that the base lacks.
#[derive(Debug)]
pub(crate) struct NewContent<'a> {
    pub member: &'a Member,
    /// The file of the base that it is like, and its member.
    pub old: Option<(usize, &'a Member)>,
    pub class: Class,
}

/// A bundle before it is compressed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub class: Class,
    pub pieces: Vec<Piece>,
    pub items: Vec<Item>,
    /// For each item where its bytes lie in the new contents.
    pub places: Vec<u64>,
    known: BTreeMap<Piece, usize>,
    new_bytes: u64,
    old_bytes: u64,
}

/// A compressed bundle: its plan, and its frames one after the other.
#[derive(Debug)]
pub(crate) struct Packed {
    pub bundle: Bundle,
    pub frames: Vec<Vec<u8>>,
}

impl Draft {
    const fn new(class: Class) -> Self {
        Self {
            class,
            pieces: Vec::new(),
            items: Vec::new(),
            places: Vec::new(),
            known: BTreeMap::new(),
            new_bytes: 0,
            old_bytes: 0,
        }
    }

    fn has_room(&self, new: u64, piece: Option<Piece>, most_new: u64) -> bool {
        let old = piece.filter(|piece| !self.known.contains_key(piece)).map_or(0, |piece| piece.length);
        self.items.is_empty() || (self.new_bytes + new <= most_new && self.old_bytes + old <= LARGEST_PREFIX)
    }

    fn add(&mut self, length: u64, place: u64, continues: bool, piece: Option<Piece>) {
        let number = piece.map(|piece| {
            *self.known.entry(piece).or_insert_with(|| {
                self.pieces.push(piece);
                self.old_bytes += piece.length;
                self.pieces.len() - 1
            })
        });
        self.items.push(Item { piece: number, length, continues });
        self.places.push(place);
        self.new_bytes += length;
    }

    /// Compresses it, in the form that is smaller.
    pub(crate) fn pack(
        &self,
        old: &Taken,
        new: &Taken,
        settings: &Settings,
        interrupted: &AtomicBool,
    ) -> Result<Packed, DeltaError> {
        let (prefix, starts) = prefix(old, &self.pieces)?;
        let mut best = Some(self.as_difference(new, &prefix, &starts, interrupted)?);
        if self.new_bytes <= settings.prefix_up_to {
            interrupt::check(interrupted)?;
            let other = self.as_prefix(new, &prefix)?;
            let size = |packed: &Packed| packed.frames.iter().map(Vec::len).sum::<usize>();
            if best.as_ref().is_none_or(|best| size(&other) < size(best)) {
                best = Some(other);
            }
        }
        best.ok_or_else(|| DeltaError::Compress { reason: "no form of a bundle was tried".to_owned() })
    }

    fn packed(&self, body: Body, frames: Vec<Vec<u8>>) -> Packed {
        Packed { bundle: Bundle { pieces: self.pieces.clone(), items: self.items.clone(), body }, frames }
    }

    fn as_prefix(&self, new: &Taken, prefix: &[u8]) -> Result<Packed, DeltaError> {
        let mut content = Vec::with_capacity(self.new_bytes as usize);
        for (item, place) in self.items.iter().zip(&self.places) {
            new.contents.append_to(&mut content, *place, item.length)?;
        }
        let packed = frame::compress(prefix, &content)?;
        let frame = Frame { packed: packed.len() as u64, size: content.len() as u64 };
        Ok(self.packed(Body::Prefix(frame), vec![packed]))
    }

    fn as_difference(
        &self,
        new: &Taken,
        prefix: &[u8],
        starts: &[(usize, usize)],
        interrupted: &AtomicBool,
    ) -> Result<Packed, DeltaError> {
        let (mut streams, mut content) = (Streams::default(), Vec::new());
        for (item, place) in self.items.iter().zip(&self.places) {
            interrupt::check(interrupted)?;
            content.clear();
            new.contents.append_to(&mut content, *place, item.length)?;
            let range = item.piece.and_then(|piece| starts.get(piece));
            match range.and_then(|(start, end)| prefix.get(*start..*end)) {
                Some(old) => streams.write(old, &content),
                None => streams.write_fresh(&content),
            }
        }
        drop(content);
        let mut frames = Vec::with_capacity(4);
        let mut pack = |prefix: &[u8], content: Vec<u8>| -> Result<Frame, DeltaError> {
            interrupt::check(interrupted)?;
            let packed = frame::compress(prefix, &content)?;
            let frame = Frame { packed: packed.len() as u64, size: content.len() as u64 };
            frames.push(packed);
            Ok(frame)
        };
        let controls = pack(&[], streams.controls)?;
        let runs = pack(&[], streams.runs)?;
        let added = pack(&[], streams.added)?;
        let fresh = pack(prefix, streams.fresh)?;
        Ok(self.packed(Body::Difference { controls, runs, added, fresh }, frames))
    }
}

/// Where something starts and ends in other bytes.
pub(crate) type Ranges = Vec<(usize, usize)>;

/// The bytes of all pieces in a row, and where each starts and ends in them.
pub(crate) fn prefix(old: &Taken, pieces: &[Piece]) -> Result<(Vec<u8>, Ranges), DeltaError> {
    let total: u64 = pieces.iter().map(|piece| piece.length).sum();
    let mut bytes = Vec::with_capacity(total.min(LARGEST_PREFIX) as usize);
    let mut starts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let member = old
            .members
            .get(piece.file as usize)
            .filter(|member| piece.start.checked_add(piece.length).is_some_and(|end| end <= member.size));
        let Some(member) = member else {
            let found = format!("{} bytes at {} of file {}", piece.length, piece.start, piece.file);
            return Err(DeltaError::damaged("plan, piece", "bytes inside of a file of the base", found));
        };
        let start = bytes.len();
        old.contents.append_to(&mut bytes, member.place + piece.start, piece.length)?;
        starts.push((start, bytes.len()));
    }
    Ok((bytes, starts))
}

/// Spreads contents over bundles, in their order.
pub(crate) fn draft(contents: &[NewContent<'_>], settings: &Settings) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for content in contents {
        for (start, length, piece) in parts(content) {
            let fits = drafts.last().is_some_and(|draft| {
                draft.class == content.class
                    && draft.has_room(length, piece, settings.bundle.min(LARGEST_BUNDLE))
            });
            if !fits {
                drafts.push(Draft::new(content.class));
            }
            if let Some(draft) = drafts.last_mut() {
                draft.add(length, content.member.place + start, start > 0, piece);
            }
        }
    }
    drafts
}

/// A content, or what it is cut into when it is too large: start, length, and the old range that corresponds.
fn parts(content: &NewContent<'_>) -> Vec<(u64, u64, Option<Piece>)> {
    let (size, old) = (content.member.size, content.old);
    let old_size = old.map_or(0, |(_, old)| old.size);
    let whole = size <= LARGEST_BUNDLE && old_size <= LARGEST_PREFIX;
    let step = if whole { size } else { PART };
    let mut parts = Vec::new();
    let mut start = 0;
    while start < size {
        let length = step.min(size - start);
        let piece = old.map(|(file, _)| {
            let file = file as u64;
            if whole {
                return Piece { file, start: 0, length: old_size };
            }
            let scale = |place: u64| (u128::from(place) * u128::from(old_size) / u128::from(size)) as u64;
            let from = scale(start).saturating_sub(SLACK);
            let to = scale(start + length).saturating_add(SLACK).min(old_size);
            Piece { file, start: from, length: (to - from).min(LARGEST_PREFIX) }
        });
        parts.push((start, length, piece));
        start += length;
    }
    parts
}
