//! Tar members → one zstd layer with a table of contents (`zstd:chunked`). Ordinary clients see zstd frames one after
//! another; clients that know the table fetch single chunks of files by range.
//!
//! Every header, every chunk of a content and every padding is a frame of its own, so that the blob is a function of the
//! tar stream, the zstd level and the library, wherever its parts come from: kept frames, another image's layer, a
//! delta. Frames are compressed on all cores; their order, and so the bytes, do not depend on that.

mod cut;

use std::io::{self, Read, Write};

use calypte_base::{Digest, Hasher};
use calypte_formats::tar;
use calypte_formats::zstd_chunked::{
    Chunk, Position, Positions, TarSplitWriter, Toc, TocEntry, skippable_frame,
};
use crc::{CRC_64_GO_ISO, Crc, Table};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use zstd::bulk::Compressor;

/// The checksum of a content in a tar-split stream; Go calls it `crc64.ISO`.
static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_GO_ISO);

/// Number of the way in which a tar stream is cut into frames. To be raised with any change of it: who makes a layer's
/// bytes again, out of a delta or out of parts, must cut as its maker did.
pub(crate) const FRAMES: u32 = 1;

/// Uncompressed bytes that wait until they are compressed together: enough work for all cores, and the bound of
/// memory.
const WAITING: usize = 8 * 1024 * 1024;

/// Length of a skippable frame's own header (RFC 8878, 3.1.2).
const SKIPPABLE_HEADER: u64 = 8;

/// Writes a layer member by member; [`ChunkedWriter::finish`] adds the table of contents.
#[derive(Debug)]
pub struct ChunkedWriter<W: Write> {
    target: W,
    level: i32,
    /// Bytes written to the target.
    position: u64,
    tar: Hasher,
    tar_size: u64,
    waiting: Vec<Piece>,
    waiting_bytes: usize,
    entries: Vec<TocEntry>,
    checksums: Vec<Option<u64>>,
    split: TarSplitWriter,
}

/// A whole layer.
#[derive(Debug)]
pub struct Finished<W> {
    /// What it was written to.
    pub target: W,
    /// SHA-256 of the tar stream.
    pub diff_id: Digest,
    /// Bytes of the tar stream.
    pub tar_size: u64,
    /// Where the table of contents is: the annotations of the layer's descriptor.
    pub positions: Positions,
}

/// What will be one frame.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// The entry and its chunk that these bytes are; none for headers and paddings.
    chunk: Option<(usize, usize)>,
}

/// One member as it lies compressed, places counted from the start of its segment: what is needed to use the frames
/// again in another layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberRecord {
    digest: Option<Digest>,
    checksum: Option<u64>,
    /// Size, first byte, first byte after it, SHA-256.
    chunks: Vec<(u64, u64, u64, Digest)>,
}

/// One frame of a layer, as [`ChunkedWriter`] makes it at this level.
///
/// # Errors
/// When zstd refuses.
pub fn frame(level: i32, bytes: &[u8]) -> io::Result<Vec<u8>> {
    Compressor::new(level)?.compress(bytes)
}

impl<W: Write> ChunkedWriter<W> {
    /// A writer of a new layer.
    pub fn new(target: W, level: i32) -> Self {
        Self {
            target,
            level,
            position: 0,
            tar: Hasher::new(),
            tar_size: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            entries: Vec::new(),
            checksums: Vec::new(),
            split: TarSplitWriter::new(),
        }
    }

    /// Writes a member and its content, which must hold exactly `member.size` bytes, and gives the content's SHA-256.
    ///
    /// # Errors
    /// When the member cannot be in a tar archive, the content is longer or shorter, or reading or writing fails. The
    /// layer is broken then.
    pub fn append(&mut self, member: &tar::Entry, content: &mut dyn Read) -> io::Result<Option<Digest>> {
        let header = tar::header(member).map_err(io::Error::other)?;
        self.add_tar(&header);
        self.push(header.clone(), None)?;
        self.entries.push(TocEntry { member: member.clone(), digest: None, chunks: Vec::new() });
        let mut checksum = None;
        if member.size > 0 {
            let (digest, crc) = self.append_content(member, content)?;
            checksum = Some(crc);
            if let Some(entry) = self.entries.last_mut() {
                entry.digest = Some(digest);
            }
        }
        if content.read(&mut [0])? != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the content is longer than {} bytes", member.size),
            ));
        }
        self.split_member(&header, member, checksum);
        Ok(self.entries.last().and_then(|entry| entry.digest))
    }

    fn append_content(&mut self, member: &tar::Entry, content: &mut dyn Read) -> io::Result<(Digest, u64)> {
        let mut digest = Hasher::new();
        let mut checksum = CRC.digest();
        let mut left = member.size;
        let mut buffer = Vec::new();
        let entry = self.entries.len() - 1;
        let mut chunk = 0;
        let whole = member.size <= cut::WHOLE;
        let most = if whole { cut::WHOLE } else { cut::LONGEST as u64 };
        while left > 0 || !buffer.is_empty() {
            let room = most - buffer.len() as u64;
            let start = buffer.len();
            let wanted = room.min(left);
            if content.take(wanted).read_to_end(&mut buffer)? as u64 != wanted {
                let message = format!("the content ends before its {} bytes", member.size);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            left -= wanted;
            digest.update(&buffer[start..]);
            checksum.update(&buffer[start..]);
            self.add_tar(&buffer[start..]);
            let length = if whole { buffer.len() } else { cut::first_chunk(&buffer) };
            let rest = buffer.split_off(length);
            self.push(std::mem::replace(&mut buffer, rest), Some((entry, chunk)))?;
            chunk += 1;
        }
        let padding = vec![0; tar::padding(member.size) as usize];
        if !padding.is_empty() {
            self.add_tar(&padding);
            self.push(padding, None)?;
        }
        Ok((digest.finish(), checksum.finalize()))
    }

    fn add_tar(&mut self, bytes: &[u8]) {
        self.tar.update(bytes);
        self.tar_size += bytes.len() as u64;
    }

    fn split_member(&mut self, header: &[u8], member: &tar::Entry, checksum: Option<u64>) {
        let mut name = member.path.clone();
        if member.kind == tar::EntryKind::Directory {
            name.push(b'/');
        }
        self.split.member(header, name, member.size, checksum);
        self.checksums.push(checksum);
    }

    fn push(&mut self, bytes: Vec<u8>, chunk: Option<(usize, usize)>) -> io::Result<()> {
        if let Some((entry, _)) = chunk
            && let Some(entry) = self.entries.get_mut(entry)
        {
            // Places and digest are known when it is compressed.
            let none = Digest::from_bytes([0; 32]);
            entry.chunks.push(Chunk { size: bytes.len() as u64, offset: 0, end: 0, digest: none });
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push(Piece { bytes, chunk });
        if self.waiting_bytes < WAITING { Ok(()) } else { self.flush() }
    }

    /// Compresses and writes what waits.
    fn flush(&mut self) -> io::Result<()> {
        let level = self.level;
        let pieces = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        // Each thread keeps its compressor for the whole batch: to set one up at a high level costs more than to
        // compress a header.
        let frames: Vec<io::Result<(Vec<u8>, Option<Digest>)>> = pieces
            .par_iter()
            .map_init(
                || Compressor::new(level),
                |compressor, piece| {
                    let compressor = compressor
                        .as_mut()
                        .map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
                    let digest = piece.chunk.map(|_| Digest::of(&piece.bytes));
                    Ok((compressor.compress(&piece.bytes)?, digest))
                },
            )
            .collect();
        for (piece, frame) in pieces.iter().zip(frames) {
            let (frame, digest) = frame?;
            self.target.write_all(&frame)?;
            let offset = self.position;
            self.position += frame.len() as u64;
            let chunk =
                piece.chunk.and_then(|(entry, chunk)| self.entries.get_mut(entry)?.chunks.get_mut(chunk));
            if let (Some(chunk), Some(digest)) = (chunk, digest) {
                *chunk = Chunk { offset, end: self.position, digest, ..*chunk };
            }
        }
        Ok(())
    }

    /// Writes all that waits, and gives the target, which now ends where the next member will begin.
    pub(crate) fn flushed(&mut self) -> io::Result<&mut W> {
        self.flush()?;
        Ok(&mut self.target)
    }

    /// How many members there are so far.
    pub(crate) const fn count(&self) -> usize {
        self.entries.len()
    }

    /// The records of the members from this one on, which began at this place of the blob.
    pub(crate) fn records(&self, first: usize, start: u64) -> Vec<MemberRecord> {
        let members = self.entries.iter().zip(&self.checksums).skip(first);
        let record = |(entry, checksum): (&TocEntry, &Option<u64>)| MemberRecord {
            digest: entry.digest,
            checksum: *checksum,
            chunks: entry
                .chunks
                .iter()
                .map(|chunk| (chunk.size, chunk.offset - start, chunk.end - start, chunk.digest))
                .collect(),
        };
        members.map(record).collect()
    }

    /// Takes members over as they were compressed before. `frames` are their bytes; the caller has checked them.
    pub(crate) fn append_frames(
        &mut self,
        members: &[(tar::Entry, &MemberRecord)],
        frames: &mut dyn Read,
    ) -> io::Result<()> {
        self.flush()?;
        let start = self.position;
        let mut copying = Copying { bytes: frames, target: &mut self.target, count: 0 };
        let mut decoder = zstd::Decoder::new(&mut copying)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = decoder.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            self.tar.update(&buffer[..count]);
            self.tar_size += count as u64;
        }
        drop(decoder);
        self.position += copying.count;
        for (member, record) in members {
            let header = tar::header(member).map_err(io::Error::other)?;
            self.split_member(&header, member, record.checksum);
            let chunk = |(size, offset, end, digest): &(u64, u64, u64, Digest)| Chunk {
                size: *size,
                offset: start + offset,
                end: start + end,
                digest: *digest,
            };
            let chunks = record.chunks.iter().map(chunk).collect();
            self.entries.push(TocEntry { member: member.clone(), digest: record.digest, chunks });
        }
        Ok(())
    }

    /// Ends the archive, and writes the table of contents, the tar-split data and the footer.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<Finished<W>> {
        let end = vec![0; 2 * tar::BLOCK_SIZE];
        self.add_tar(&end);
        self.push(end.clone(), None)?;
        self.flush()?;
        let split = self.split.finish(&end);
        let packed_split = frame(self.level, &split)?;
        let toc = Toc { entries: self.entries, tar_split: Some(Digest::of(&packed_split)) }.to_json();
        let packed_toc = frame(self.level, &toc)?;
        let toc_start = self.position + SKIPPABLE_HEADER;
        let split_start = toc_start + packed_toc.len() as u64 + SKIPPABLE_HEADER;
        let place = |offset, packed: &[u8], plain: &[u8]| Position {
            offset,
            length: packed.len() as u64,
            uncompressed: plain.len() as u64,
        };
        let positions = Positions {
            toc: place(toc_start, &packed_toc, &toc),
            toc_digest: Digest::of(&packed_toc),
            tar_split: Some(place(split_start, &packed_split, &split)),
        };
        for bytes in [packed_toc.as_slice(), &packed_split, &positions.footer()] {
            self.target.write_all(&skippable_frame(bytes))?;
        }
        Ok(Finished { target: self.target, diff_id: self.tar.finish(), tar_size: self.tar_size, positions })
    }
}

/// Writes out what it reads.
pub(crate) struct Copying<'a, W> {
    pub(crate) bytes: &'a mut dyn Read,
    pub(crate) target: &'a mut W,
    /// Bytes so far.
    pub(crate) count: u64,
}

impl<W: Write> Read for Copying<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.target.write_all(&buffer[..count])?;
        self.count += count as u64;
        Ok(count)
    }
}
