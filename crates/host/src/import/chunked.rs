//! A zstd:chunked layer of which only the files that are not here are fetched.
//!
//! Its table of contents is named by digest in the manifest, and names every file by digest: so whoever signed the manifest
//! vouches for each file, and the layer as a whole need not be seen. Files that are here, from whatever layer, are found by
//! the digest of their bytes.

use std::io::Read as _;
use std::ops::Range;

use calypte_base::Digest;
use calypte_composefs::INLINE_LIMIT;
use calypte_formats::oci::Descriptor;
use calypte_formats::tar::EntryKind;
use calypte_formats::zstd_chunked::{Chunk, Positions, Toc, TocEntry};

use super::layer::{entry, object};
use super::objects::{Hashed, Objects};
use super::record::{LayerEntryKind, LayerRecord};
use super::{Importing, KnownFiles};
use crate::HostError;
use crate::error::LayerTrouble;

/// Below this a layer is fetched as a whole: its tables would be most of it.
const SMALLEST: u64 = 64 * 1024;

/// Parts with no more than so many bytes between them are fetched in one request.
const NEAR: u64 = 8 * 1024;

/// A request asks for no more than this, since it is held in memory; a file's chunk is never larger.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Whether a layer has a table of contents.
pub(super) fn is_chunked(descriptor: &Descriptor) -> bool {
    descriptor.size > SMALLEST
        && matches!(Positions::from_annotations(&descriptor.annotations, descriptor.size), Ok(Some(_)))
}

/// Imports a layer in parts; nothing where it cannot be, or would gain little.
pub(super) fn in_parts(
    importing: &Importing<'_>,
    objects: &Objects<'_>,
    descriptor: &Descriptor,
    known: &KnownFiles,
) -> Result<Option<LayerRecord>, HostError> {
    if known.is_empty() || !importing.source.is_remote() || !is_chunked(descriptor) {
        return Ok(None);
    }
    match parts(importing, objects, descriptor, known) {
        Ok(record) => Ok(record),
        // It may yet be had as a whole, which is checked more strictly.
        Err(LayerTrouble::Layer(reason)) => {
            let digest = descriptor.digest;
            importing.reporter.warn(&format!("layer {digest} is fetched as a whole: {reason}"));
            Ok(None)
        }
        Err(LayerTrouble::Other(HostError::Registry(error))) if !error.may_pass() => {
            let digest = descriptor.digest;
            importing.reporter.warn(&format!("layer {digest} is fetched as a whole: {error}"));
            Ok(None)
        }
        Err(LayerTrouble::Other(error)) => Err(error),
    }
}

fn parts(
    importing: &Importing<'_>,
    objects: &Objects<'_>,
    descriptor: &Descriptor,
    known: &KnownFiles,
) -> Result<Option<LayerRecord>, LayerTrouble> {
    let Some(positions) = Positions::from_annotations(&descriptor.annotations, descriptor.size)? else {
        return Ok(None);
    };
    let place = positions.toc.offset..positions.toc.offset.saturating_add(positions.toc.length);
    let toc = positions.read_toc(&importing.source.range(descriptor, place)?)?;
    let wanted = wanted(&toc, known);
    let bytes: u64 = wanted.iter().map(|range| range.end - range.start).sum();
    if bytes > descriptor.size / 2 {
        return Ok(None);
    }
    importing.reporter.advance(descriptor.size.saturating_sub(bytes));
    let mut window = Window { importing, descriptor, wanted: &wanted, next: 0, start: 0, bytes: Vec::new() };
    let mut record = LayerRecord::default();
    for member in &toc.entries {
        importing.check_interrupt()?;
        let mut made = entry(&member.member)?;
        if member.member.kind == EntryKind::File {
            made.kind = content(member, known, objects, &mut window)?;
        }
        record.entries.push(made);
    }
    Ok(Some(record))
}

/// The parts of the blob with files that are not here, those that lie close together as one.
fn wanted(toc: &Toc, known: &KnownFiles) -> Vec<Range<u64>> {
    let missing = |entry: &&TocEntry| entry.digest.is_none_or(|digest| !known.contains_key(&digest));
    let mut parts: Vec<Range<u64>> = Vec::new();
    for chunk in toc.entries.iter().filter(missing).flat_map(|entry| &entry.chunks) {
        match parts.last_mut() {
            Some(last)
                if chunk.offset.saturating_sub(last.end) <= NEAR && chunk.end - last.start <= LARGEST =>
            {
                last.end = chunk.end;
            }
            _ => parts.push(chunk.offset..chunk.end),
        }
    }
    parts
}

fn content(
    member: &TocEntry,
    known: &KnownFiles,
    objects: &Objects<'_>,
    window: &mut Window<'_>,
) -> Result<LayerEntryKind, LayerTrouble> {
    if let Some((object, size)) = member.digest.and_then(|digest| known.get(&digest)) {
        let sha256 = member.digest.unwrap_or_else(|| Digest::of(b""));
        return Ok(LayerEntryKind::Object { object: object.to_string(), size: *size, sha256 });
    }
    let path = member.member.path.escape_ascii();
    if member.member.size <= LARGEST {
        let mut bytes = Vec::new();
        for chunk in &member.chunks {
            bytes.extend_from_slice(&window.chunk(chunk)?);
        }
        let found = Digest::of(&bytes);
        if bytes.len() as u64 != member.member.size || member.digest.is_some_and(|digest| digest != found) {
            return Err(LayerTrouble::Layer(format!("/{path} is not as its table of contents says")));
        }
        if bytes.len() <= INLINE_LIMIT {
            return Ok(LayerEntryKind::small(&bytes));
        }
        return Ok(object(&objects.put(&bytes)?));
    }
    let mut file = objects.large()?;
    for chunk in &member.chunks {
        file.append(&window.chunk(chunk)?)?;
    }
    let hashed: Hashed = file.finish()?;
    if hashed.size != member.member.size || member.digest.is_some_and(|digest| digest != hashed.sha256) {
        return Err(LayerTrouble::Layer(format!("/{path} is not as its table of contents says")));
    }
    Ok(object(&hashed))
}

/// The part of the blob that was fetched last. Chunks are asked for in order.
struct Window<'a> {
    importing: &'a Importing<'a>,
    descriptor: &'a Descriptor,
    wanted: &'a [Range<u64>],
    next: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The content of a chunk, checked.
    fn chunk(&mut self, chunk: &Chunk) -> Result<Vec<u8>, LayerTrouble> {
        while chunk.end > self.start + self.bytes.len() as u64 {
            let part = self.wanted.get(self.next).cloned();
            let part = part.ok_or_else(|| LayerTrouble::Layer("its chunks are in disorder".to_owned()))?;
            self.next += 1;
            self.bytes = self.importing.source.range(self.descriptor, part.clone())?;
            self.importing.reporter.advance(self.bytes.len() as u64);
            self.start = part.start;
        }
        let place = |offset: u64| usize::try_from(offset.wrapping_sub(self.start)).unwrap_or(usize::MAX);
        let frame = self.bytes.get(place(chunk.offset)..place(chunk.end));
        let frame = frame.ok_or_else(|| LayerTrouble::Layer("its chunks are in disorder".to_owned()))?;
        let damaged = |error: String| LayerTrouble::Layer(format!("a chunk of it is damaged: {error}"));
        let mut bytes = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(frame).map_err(|error| damaged(error.to_string()))?;
        let limit = chunk.size.saturating_add(1);
        decoder.take(limit).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        if bytes.len() as u64 != chunk.size || Digest::of(&bytes) != chunk.digest {
            return Err(damaged("its bytes are not those of its digest".to_owned()));
        }
        Ok(bytes)
    }
}
