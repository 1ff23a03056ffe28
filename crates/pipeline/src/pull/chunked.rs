//! A zstd:chunked layer put together from what is on the machine and from parts of the registry's blob.
//!
//! The blob is written in order into the same partial file as a whole one, so that an interrupted pull goes on where it
//! stopped, either way. Nothing that the layer says of itself is believed: chunks are held against their digests, and
//! the blob at the end against its own.

use std::ops::Range;
use std::sync::atomic::Ordering;

use anyhow::{Error, Result};
use calypte_formats::oci;
use calypte_formats::zstd_chunked::{Position, Positions, Toc, TocError};
use calypte_image::LayerCompression;
use calypte_image::chunked::frame;
use calypte_image::layers::COMPRESSION_ANNOTATION;
use calypte_store::registry::{PartialBlob, RegistryError};
use calypte_store::{FetchError, Progress};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::Pull;
use super::ahead::{Ahead, Share};
use super::local::check_frame;
use super::plan::{self, Piece, Source};

/// Below this a layer is fetched as a whole: its tables would be most of it.
const SMALLEST: u64 = 64 * 1024;

/// Largest footer and frame headers behind the tables.
const FOOTER_ROOM: u64 = 4 * 1024;

/// Why a layer was not put together.
pub(super) enum Trouble {
    /// The layer, or what the registry gives of it, is not as it should be; another way may do.
    Layer(String),
    /// No other way would do.
    Stop(Error),
}

impl From<RegistryError> for Trouble {
    fn from(error: RegistryError) -> Self {
        if error.may_pass() {
            // It tells nothing of the layer; another way would fail alike, or fetch what the next run need not.
            return Self::Stop(error.into());
        }
        match error {
            RegistryError::Failed { .. }
            | RegistryError::NoRanges { .. }
            | RegistryError::WrongDigest { .. } => Self::Layer(error.to_string()),
            other => Self::Stop(other.into()),
        }
    }
}

impl From<TocError> for Trouble {
    fn from(error: TocError) -> Self {
        Self::Layer(error.to_string())
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Stop(error)
    }
}

/// Bytes of a blob that need not come over the network.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spared {
    /// They were on the machine.
    pub(super) local: u64,
    /// They were made anew.
    pub(super) made: u64,
}

/// A layer that can be put together.
struct Plan<'a> {
    blob: &'a oci::Descriptor,
    toc: Toc,
    /// All of the blob up to its tables, in order.
    pieces: Vec<Piece>,
    /// The tables, from their first frame to the end of the blob.
    tail: Vec<u8>,
}

impl Pull<'_> {
    /// Puts a layer together; nothing when it is none that can be, or not worth it. `fetched` counts what came over the
    /// network, also when it was in vain.
    pub(super) fn in_parts(
        &self,
        blob: &oci::Descriptor,
        progress: &dyn Progress,
        fetched: &mut u64,
    ) -> Result<Option<Spared>, Trouble> {
        let Some(plan) = self.plan(blob, fetched)? else { return Ok(None) };
        let Some(mut partial) = self.registry.partial(self.settings.store, &blob.digest, blob.size)? else {
            return Ok(Some(Spared { local: blob.size, made: 0 }));
        };
        let spared = self.assemble(&plan, &mut partial, progress, fetched);
        if matches!(spared, Err(Trouble::Layer(_))) {
            // What came together so far may be wrong, and must not be gone on with.
            partial.restart()?;
        }
        let spared = spared?;
        partial.finish()?;
        Ok(Some(spared))
    }

    /// Fetches a layer's tables, and looks what of it is on the machine.
    fn plan<'b>(&self, blob: &'b oci::Descriptor, fetched: &mut u64) -> Result<Option<Plan<'b>>, Trouble> {
        if self.chunks.is_empty() || blob.size <= SMALLEST {
            return Ok(None);
        }
        let Some(positions) = Positions::from_annotations(&blob.annotations, blob.size)? else {
            return Ok(None);
        };
        let data_end = positions.data_end();
        let tables = positions.toc.length + positions.tar_split.map_or(0, |position| position.length);
        if blob.size - data_end > tables + FOOTER_ROOM {
            return Err(Trouble::Layer("its tables are not at its end".to_owned()));
        }
        if blob.size - data_end > blob.size / 2 {
            return Ok(None);
        }
        let tail = self.range(blob, data_end..blob.size)?;
        *fetched += tail.len() as u64;
        let part = |position: &Position| {
            let start = usize::try_from(position.offset - data_end).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(position.length).unwrap_or(usize::MAX));
            tail.get(start..end).unwrap_or_default()
        };
        let toc = positions.read_toc(part(&positions.toc))?;
        let gaps = match positions.tar_split.as_ref().filter(|_| toc.tar_split.is_some()) {
            None => Vec::new(),
            Some(split) => {
                let items = positions.read_tar_split(part(split), &toc)?;
                made(plan::between(&toc, items).map_err(Trouble::Layer)?, blob)?
            }
        };
        let compression = blob.annotations.get(COMPRESSION_ANNOTATION);
        let pieces = plan::pieces(&toc, gaps, data_end, &|chunk| self.chunks.find(chunk, compression));
        Ok(Some(Plan { blob, toc, pieces, tail }))
    }

    /// Writes the pieces and the tables in order.
    fn assemble(
        &self,
        plan: &Plan<'_>,
        partial: &mut PartialBlob,
        progress: &dyn Progress,
        fetched: &mut u64,
    ) -> Result<Spared, Trouble> {
        let interrupted = &self.settings.registry.network.interrupted;
        let mut spared = Spared { local: partial.length(), made: 0 };
        let Plan { blob, toc, pieces, tail } = plan;
        let parts = plan::parts(pieces, partial.length());
        let fetch = |number: usize| match parts.get(number) {
            Some(part) => self.range(blob, part.clone()),
            None => Ok(Vec::new()),
        };
        let size = |number: usize| parts.get(number).map_or(0, |part| part.end - part.start);
        let threads = self.settings.registry.network.parallel;
        Ahead::run(parts.len(), threads, &self.waiting, size, fetch, |ahead| {
            let mut parts = Parts { ranges: &parts, ahead, at: None, fetched };
            for piece in pieces {
                let skip = partial.length().saturating_sub(piece.range.start);
                let left = (piece.range.end - piece.range.start).saturating_sub(skip);
                if left == 0 {
                    continue;
                }
                if interrupted.load(Ordering::Relaxed) {
                    return Err(RegistryError::from(FetchError::Interrupted).into());
                }
                match &piece.source {
                    Source::Local(place) => {
                        self.chunks.copy(place, skip, &mut |bytes| Ok(partial.append(bytes, progress)?))?;
                        spared.local += left;
                    }
                    Source::Made(bytes) => {
                        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                        partial.append(bytes.get(skip..).unwrap_or_default(), progress)?;
                        spared.made += left;
                    }
                    Source::Fetch => {
                        let range = piece.range.start + skip..piece.range.end;
                        parts.copy(&range, piece, skip == 0, toc, &mut |bytes| {
                            Ok(partial.append(bytes, progress)?)
                        })?;
                    }
                }
            }
            let written = partial.length().saturating_sub(partial.size() - tail.len() as u64);
            let written = usize::try_from(written).unwrap_or(usize::MAX);
            partial.append(tail.get(written..).unwrap_or_default(), progress)?;
            Ok(spared)
        })
    }

    fn range(&self, blob: &oci::Descriptor, range: Range<u64>) -> Result<Vec<u8>, RegistryError> {
        let _permit = self.permits.take(1);
        self.registry.range(&blob.digest, range)
    }
}

/// The parts that come, and how far they are used up.
struct Parts<'a, 'b> {
    ranges: &'a [Range<u64>],
    ahead: &'a Ahead<'b, Result<Vec<u8>, RegistryError>>,
    /// Number and bytes of the part that was taken last, and their share of the memory.
    at: Option<(usize, Vec<u8>, Share<'b>)>,
    fetched: &'a mut u64,
}

impl Parts<'_, '_> {
    /// Hands out the bytes of this range of the blob. A whole frame that lies in one part is looked into.
    fn copy(
        &mut self,
        range: &Range<u64>,
        piece: &Piece,
        whole: bool,
        toc: &Toc,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut position = range.start;
        while position < range.end {
            let bytes = self.bytes(&(position..range.end))?;
            if whole
                && bytes.len() as u64 == range.end - range.start
                && let Some((entry, expected, size)) = &piece.chunk
            {
                check_frame(bytes, expected, *size).map_err(|found| {
                    let path = toc.entries.get(*entry).map(|entry| entry.member.path.as_slice());
                    let path = path.unwrap_or_default().escape_ascii();
                    Trouble::Layer(format!(
                        "a part of `{path}` should be {expected} of {size} bytes, and is {found}"
                    ))
                })?;
            }
            take(bytes)?;
            position += bytes.len() as u64;
        }
        Ok(())
    }

    /// What the part that holds the start of this range has of it.
    fn bytes(&mut self, range: &Range<u64>) -> Result<&[u8], Trouble> {
        loop {
            let holds = self
                .at
                .as_ref()
                .and_then(|(number, ..)| self.ranges.get(*number))
                .is_some_and(|part| part.contains(&range.start));
            if holds {
                break;
            }
            // The memory of what is used up is given back first: the next may be waiting for it.
            let number = self.at.take().map_or(0, |(number, ..)| number + 1);
            let next = self.ahead.next();
            let (bytes, share) = next.ok_or_else(|| Trouble::Layer("a part was not asked for".to_owned()))?;
            let bytes = bytes?;
            *self.fetched += bytes.len() as u64;
            self.at = Some((number, bytes, share));
        }
        let (number, bytes) =
            self.at.as_ref().map_or((0, &[][..]), |(number, bytes, _)| (*number, bytes.as_slice()));
        let part = self.ranges.get(number).map_or(0, |part| part.start);
        let place = |position: u64| usize::try_from(position - part).unwrap_or(usize::MAX).min(bytes.len());
        bytes
            .get(place(range.start)..place(range.end))
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| Trouble::Layer("a part is shorter than it was asked for".to_owned()))
    }
}

/// Compresses what lies between the contents as the layer's maker did, if this program can: nothing for each gap where
/// it cannot.
fn made(gaps: Vec<Vec<Vec<u8>>>, blob: &oci::Descriptor) -> Result<Vec<Vec<u8>>, Trouble> {
    let Some(level) = level(blob) else { return Ok(Vec::new()) };
    let compress = |frames: Vec<Vec<u8>>| {
        let mut bytes = Vec::new();
        for plain in frames {
            bytes.extend(frame(level, &plain)?);
        }
        Ok(bytes)
    };
    let made: std::io::Result<Vec<Vec<u8>>> = gaps.into_par_iter().map(compress).collect();
    made.map_err(|error| Trouble::Stop(error.into()))
}

/// The zstd level of a layer that was compressed by the very library that this program has.
fn level(blob: &oci::Descriptor) -> Option<i32> {
    LayerCompression::level_of(blob.annotations.get(COMPRESSION_ANNOTATION)?)
}
