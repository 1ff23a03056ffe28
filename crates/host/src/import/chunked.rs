//! A zstd:chunked layer of which only the files that are not here are fetched.
//!
//! Its table of contents is named by digest in the manifest, and names every file by digest: so whoever signed the manifest
//! vouches for each file, and the layer as a whole need not be seen. Files that are here, from whatever layer, are found by
//! the digest of their bytes. Of a layer that lies on this machine the same is read: what need not be decompressed and hashed
//! is most of an upgrade.

use std::ops::Range;
use std::sync::mpsc::SyncSender;

use calypte_base::Digest;
use calypte_composefs::INLINE_LIMIT;
use calypte_formats::oci::Descriptor;
use calypte_formats::tar::EntryKind;
use calypte_formats::zstd_chunked::{Chunk, Positions, Toc, TocEntry};
use zstd::bulk::Decompressor;

use super::layer::{entry, finished, object};
use super::objects::{Hashed, Objects, Work, in_threads, new_decompressor};
use super::record::{LayerEntryKind, LayerRecord};
use super::{Importing, KnownFiles};
use crate::HostError;
use crate::error::LayerTrouble;

/// Below this a layer is taken as a whole: its tables would be most of it.
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
    if known.is_empty() || !is_chunked(descriptor) {
        return Ok(None);
    }
    match parts(importing, objects, descriptor, known) {
        Ok(record) => Ok(record),
        // It may yet be had as a whole, which is checked more strictly.
        Err(LayerTrouble::Layer(reason)) => {
            let digest = descriptor.digest;
            importing.reporter.warn(&format!("layer {digest} is taken as a whole: {reason}"));
            Ok(None)
        }
        Err(LayerTrouble::Other(HostError::Registry(error))) if !error.may_pass() => {
            let digest = descriptor.digest;
            importing.reporter.warn(&format!("layer {digest} is taken as a whole: {error}"));
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
    // Then a whole layer comes sooner, and a download that is cut goes on where it stopped.
    if importing.source.is_remote() && bytes > descriptor.size / 2 {
        return Ok(None);
    }
    importing.reporter.advance(descriptor.size.saturating_sub(bytes));
    let (entries, hashed) = in_threads(objects, |sender| {
        let window = Window { importing, descriptor, wanted: &wanted, next: 0, start: 0, bytes: Vec::new() };
        let mut parts = Parts { known, objects, window, decompressor: new_decompressor()?, sender };
        let mut entries = Vec::new();
        for member in toc.entries {
            importing.check_interrupt()?;
            let mut made = entry(&member.member)?;
            if member.member.kind == EntryKind::File {
                made.kind = parts.content(member, entries.len())?;
            }
            entries.push(made);
        }
        Ok(entries)
    })?;
    Ok(Some(finished(entries, hashed)))
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

/// A file of middling size as it lies in the blob: its frames, one after another.
struct Frames {
    member: TocEntry,
    bytes: Vec<u8>,
}

impl Work for Frames {
    fn bytes(self, decompressor: &mut Decompressor<'_>) -> Result<Vec<u8>, LayerTrouble> {
        let bytes = decompressed(decompressor, &self.bytes, self.member.member.size)?;
        if self.member.digest.is_some_and(|digest| digest != Digest::of(&bytes)) {
            return Err(not_as_said(&self.member));
        }
        // Where no digest is given for the whole there is one for each chunk.
        let mut rest = bytes.as_slice();
        for chunk in self.member.chunks.iter().filter(|_| self.member.digest.is_none()) {
            let size = usize::try_from(chunk.size).unwrap_or(usize::MAX);
            let piece = rest.split_off(..size).ok_or_else(|| not_as_said(&self.member))?;
            check(piece, chunk)?;
        }
        Ok(bytes)
    }
}

fn not_as_said(member: &TocEntry) -> LayerTrouble {
    let path = member.member.path.escape_ascii();
    LayerTrouble::Layer(format!("/{path} is not as its table of contents says"))
}

fn check(bytes: &[u8], chunk: &Chunk) -> Result<(), LayerTrouble> {
    if Digest::of(bytes) == chunk.digest {
        Ok(())
    } else {
        Err(damaged("its bytes are not those of its digest"))
    }
}

fn damaged(error: impl std::fmt::Display) -> LayerTrouble {
    LayerTrouble::Layer(format!("a chunk of it is damaged: {error}"))
}

/// So many bytes out of frames, no fewer and no more.
fn decompressed(
    decompressor: &mut Decompressor<'_>,
    frames: &[u8],
    size: u64,
) -> Result<Vec<u8>, LayerTrouble> {
    let size = usize::try_from(size).map_err(damaged)?;
    let bytes = decompressor.decompress(frames, size).map_err(damaged)?;
    if bytes.len() == size { Ok(bytes) } else { Err(damaged("it has another size")) }
}

/// A layer in parts on its way into the repository.
struct Parts<'a> {
    known: &'a KnownFiles,
    objects: &'a Objects<'a>,
    window: Window<'a>,
    decompressor: Decompressor<'static>,
    sender: &'a SyncSender<(usize, Frames)>,
}

impl Parts<'_> {
    /// What a file holds. Of one that is handed to another thread that is completed later.
    fn content(&mut self, member: TocEntry, number: usize) -> Result<LayerEntryKind, LayerTrouble> {
        if let Some((digest, (object, size))) =
            member.digest.and_then(|digest| Some((digest, self.known.get(&digest)?)))
        {
            return Ok(LayerEntryKind::Object { object: object.to_string(), size: *size, sha256: digest });
        }
        if member.member.size > LARGEST {
            return Ok(object(&self.large(&member)?));
        }
        let bytes = self.window.frames(&member.chunks)?;
        let file = Frames { member, bytes };
        if file.member.member.size <= INLINE_LIMIT as u64 {
            return Ok(LayerEntryKind::small(&file.bytes(&mut self.decompressor)?));
        }
        if self.sender.send((number, file)).is_err() {
            return Err(LayerTrouble::Layer("the threads that write it are gone".to_owned()));
        }
        Ok(LayerEntryKind::small(b""))
    }

    fn large(&mut self, member: &TocEntry) -> Result<Hashed, LayerTrouble> {
        let mut file = self.objects.large()?;
        for chunk in &member.chunks {
            if chunk.size > LARGEST {
                return Err(damaged("it is too large"));
            }
            let frames = self.window.frames(std::slice::from_ref(chunk))?;
            let bytes = decompressed(&mut self.decompressor, &frames, chunk.size)?;
            if member.digest.is_none() {
                check(&bytes, chunk)?;
            }
            file.append(&bytes)?;
        }
        let hashed = file.finish()?;
        if hashed.size != member.member.size || member.digest.is_some_and(|digest| digest != hashed.sha256) {
            return Err(not_as_said(member));
        }
        Ok(hashed)
    }
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
    /// The frames of chunks that follow each other; not checked.
    fn frames(&mut self, chunks: &[Chunk]) -> Result<Vec<u8>, LayerTrouble> {
        let mut frames = Vec::new();
        for chunk in chunks {
            while chunk.end > self.start + self.bytes.len() as u64 {
                let part = self.wanted.get(self.next).cloned();
                let part =
                    part.ok_or_else(|| LayerTrouble::Layer("its chunks are in disorder".to_owned()))?;
                self.next += 1;
                self.bytes = self.importing.source.range(self.descriptor, part.clone())?;
                self.importing.reporter.advance(self.bytes.len() as u64);
                self.start = part.start;
            }
            let place = |offset: u64| usize::try_from(offset.wrapping_sub(self.start)).unwrap_or(usize::MAX);
            let frame = self.bytes.get(place(chunk.offset)..place(chunk.end));
            frames.extend_from_slice(
                frame.ok_or_else(|| LayerTrouble::Layer("its chunks are in disorder".to_owned()))?,
            );
        }
        Ok(frames)
    }
}
