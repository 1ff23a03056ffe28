//! The members of one package in a layer, compressed once. A segment lies in the layer for which it was made; a record
//! in the store's cache tells where, so that any other layer takes its bytes from there.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use calypte_base::{Digest, Hasher};
use calypte_formats::tar;
use calypte_rootfs::Content;
use calypte_store::{BlobWriter, ContentReader, Contents, Store};
use serde::{Deserialize, Serialize};

use crate::chunked::{ChunkedWriter, Copying, MemberRecord};
use crate::compression::{Compressor, LayerCompression, StreamCompression};
use crate::error::ImageError;
use crate::plan::Member;

/// The kind of the store's cache under which the records of segments are kept.
const CACHE: &str = "segment";

/// Where a segment lies, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segment {
    /// Its first byte in the layer's blob.
    offset: u64,
    /// Its bytes.
    length: u64,
    /// SHA-256 of them.
    digest: Digest,
    /// Its members, where the layer has a table of contents.
    members: Vec<MemberRecord>,
}

/// A segment and the blob in which it lies.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    blob: Digest,
    segment: Segment,
}

/// The segment of this key, if its bytes are still in the store and are what they were: they may have been deleted, or
/// damaged by a crash of the machine.
pub(crate) fn kept(store: &Store, key: &Digest) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&store.cache_get(CACHE, key)?).ok()?;
    let digest = hash(&mut open(store, &kept).ok()??).ok()?;
    (digest == kept.segment.digest).then_some(kept)
}

fn hash(bytes: &mut dyn Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Remembers where the segment of this key lies.
pub(crate) fn keep(store: &Store, key: &Digest, segment: Segment, blob: Digest) -> Result<(), ImageError> {
    let json = serde_json::to_vec(&Kept { blob, segment })
        .map_err(|source| ImageError::Json { document: "segment record", source })?;
    Ok(store.cache_put(CACHE, key, &json)?)
}

/// Bytes copied at once.
const BUFFER: usize = 128 * 1024;

fn open(store: &Store, kept: &Kept) -> io::Result<Option<impl Read>> {
    let Some(mut file) = store.blob(&kept.blob)? else { return Ok(None) };
    file.seek(SeekFrom::Start(kept.segment.offset))?;
    Ok(Some(file.take(kept.segment.length)))
}

/// Writes one layer into the store, segment by segment.
#[derive(Debug)]
pub(crate) enum LayerWriter {
    /// zstd with a table of contents.
    Chunked(Box<ChunkedWriter<Target>>),
    /// gzip, a member for each segment; or plain.
    Stream(Box<StreamWriter>),
}

/// A segment in the making: where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    offset: u64,
    member: usize,
}

/// A layer that is in the store.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) diff_id: Digest,
    pub(crate) tar_size: u64,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl LayerWriter {
    pub(crate) fn new(compression: LayerCompression, blob: BlobWriter) -> Self {
        let target = Target { blob, segment: Hasher::new(), position: 0 };
        match compression {
            LayerCompression::Zstd(level) => Self::Chunked(Box::new(ChunkedWriter::new(target, level.get()))),
            LayerCompression::Gzip => {
                Self::Stream(Box::new(StreamWriter::new(StreamCompression::Gzip, target)))
            }
            LayerCompression::None => {
                Self::Stream(Box::new(StreamWriter::new(StreamCompression::None, target)))
            }
        }
    }

    /// Writes members; `layer` names the layer in errors.
    pub(crate) fn append(
        &mut self,
        members: &[Member<'_>],
        contents: &Contents,
        layer: &str,
    ) -> Result<(), ImageError> {
        for member in members {
            let written = match member.content() {
                Some(content) => self.append_content(&member.entry(), content, contents),
                None => self.append_entry(&member.entry(), &mut io::empty()).map(drop),
            };
            let path = || member.path.clone();
            written.map_err(|source| ImageError::Write { path: path(), layer: layer.to_owned(), source })?;
        }
        Ok(())
    }

    /// A damaged pack must not become a well-formed image.
    fn append_content(
        &mut self,
        entry: &tar::Entry,
        content: Content,
        contents: &Contents,
    ) -> io::Result<()> {
        let mut reader: ContentReader = contents.open(&content.digest)?;
        let found = self.append_entry(entry, &mut reader)?;
        if content.size > 0 && found != Some(content.digest) {
            // The store's own check finds the same, removes the pack and says so.
            contents.copy(&content.digest, &mut io::sink())?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the content changed while it was read"));
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: &tar::Entry, content: &mut dyn Read) -> io::Result<Option<Digest>> {
        match self {
            Self::Chunked(writer) => writer.append(entry, content),
            Self::Stream(writer) => writer.append(entry, content),
        }
    }

    /// What follows is a segment of its own.
    pub(crate) fn begin_segment(&mut self) -> io::Result<Begun> {
        Ok(match self {
            Self::Chunked(writer) => {
                let target = writer.flushed()?;
                target.segment = Hasher::new();
                let offset = target.position;
                Begun { offset, member: writer.count() }
            }
            Self::Stream(writer) => {
                let target = writer.between()?;
                target.segment = Hasher::new();
                Begun { offset: target.position, member: 0 }
            }
        })
    }

    /// Ends the segment that was begun last.
    pub(crate) fn end_segment(&mut self, begun: Begun) -> io::Result<Segment> {
        let target = match self {
            Self::Chunked(writer) => writer.flushed()?,
            Self::Stream(writer) => writer.between()?,
        };
        let length = target.position - begun.offset;
        let digest = std::mem::replace(&mut target.segment, Hasher::new()).finish();
        let members = match self {
            Self::Chunked(writer) => writer.records(begun.member, begun.offset),
            Self::Stream(_) => Vec::new(),
        };
        Ok(Segment { offset: begun.offset, length, digest, members })
    }

    /// Copies a segment out of the layer in which it lies. The tar stream is decompressed on the way, since its digest
    /// is over all segments.
    pub(crate) fn append_kept(
        &mut self,
        members: &[Member<'_>],
        kept: &Kept,
        store: &Store,
    ) -> io::Result<()> {
        self.begin_segment()?;
        let gone = || io::Error::new(io::ErrorKind::NotFound, format!("blob {} is gone", kept.blob));
        let mut bytes = open(store, kept)?.ok_or_else(gone)?;
        match self {
            Self::Chunked(writer) => {
                let records = &kept.segment.members;
                let members = members.iter().map(Member::entry).zip(records).collect::<Vec<_>>();
                writer.append_frames(&members, &mut bytes)
            }
            Self::Stream(writer) => writer.append_member(&mut bytes),
        }
    }

    /// Ends the archive and puts the layer into the store.
    pub(crate) fn finish(self) -> io::Result<Written> {
        let (target, diff_id, tar_size, annotations) = match self {
            Self::Chunked(writer) => {
                let done = writer.finish()?;
                (done.target, done.diff_id, done.tar_size, done.positions.annotations())
            }
            Self::Stream(mut writer) => {
                writer.write(&[0; 2 * tar::BLOCK_SIZE])?;
                writer.between()?;
                let StreamWriter { state: State::Between(target), tar, tar_size, .. } = *writer else {
                    return Err(StreamWriter::broken());
                };
                (target, tar.finish(), tar_size, BTreeMap::new())
            }
        };
        let (digest, size) = target.blob.finish()?;
        Ok(Written { digest, size, diff_id, tar_size, annotations })
    }
}

/// A blob in the making, which also hashes the segment that is being written.
#[derive(Debug)]
pub(crate) struct Target {
    blob: BlobWriter,
    segment: Hasher,
    position: u64,
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.blob.write_all(bytes)?;
        self.segment.update(bytes);
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a tar stream whose segments are compressed apart: several gzip members are one gzip file (RFC 1952, 2.2).
#[derive(Debug)]
pub(crate) struct StreamWriter {
    compression: StreamCompression,
    state: State,
    tar: Hasher,
    tar_size: u64,
}

#[derive(Debug)]
enum State {
    /// No member is open.
    Between(Target),
    /// A member is open.
    Within(Compressor<Target>),
    /// An error came in between.
    Broken,
}

impl StreamWriter {
    fn new(compression: StreamCompression, target: Target) -> Self {
        Self { compression, state: State::Between(target), tar: Hasher::new(), tar_size: 0 }
    }

    fn broken() -> io::Error {
        io::Error::other("the layer cannot be written on after an error")
    }

    /// Ends the open member, if there is one.
    fn between(&mut self) -> io::Result<&mut Target> {
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Within(compressor) => State::Between(compressor.finish()?),
            other => other,
        };
        match &mut self.state {
            State::Between(target) => Ok(target),
            _ => Err(Self::broken()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Between(target) => State::Within(self.compression.compressor(target)),
            other => other,
        };
        let State::Within(compressor) = &mut self.state else { return Err(Self::broken()) };
        compressor.write_all(bytes)?;
        self.tar.update(bytes);
        self.tar_size += bytes.len() as u64;
        Ok(())
    }

    fn append(&mut self, entry: &tar::Entry, content: &mut dyn Read) -> io::Result<Option<Digest>> {
        self.write(&tar::header(entry).map_err(io::Error::other)?)?;
        let mut hasher = Hasher::new();
        let mut left = entry.size;
        let mut buffer = vec![0; BUFFER];
        loop {
            // One byte more than is left, so that a content that is too long shows.
            let room = usize::try_from(left).unwrap_or(BUFFER).clamp(1, BUFFER);
            let count = content.read(&mut buffer[..room])?;
            let size = entry.size;
            left = match (count, left.checked_sub(count as u64)) {
                (0, Some(0)) => break,
                (0, _) => {
                    let message = format!("the content ends before its {size} bytes");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                (_, Some(left)) => left,
                (_, None) => {
                    let message = format!("the content is longer than {size} bytes");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            };
            hasher.update(&buffer[..count]);
            self.write(&buffer[..count])?;
        }
        self.write(&vec![0; tar::padding(entry.size) as usize])?;
        Ok((entry.size > 0).then(|| hasher.finish()))
    }

    /// Takes over a member that was compressed before.
    fn append_member(&mut self, bytes: &mut dyn Read) -> io::Result<()> {
        self.between()?;
        let Self { compression, state: State::Between(target), tar, tar_size } = self else {
            return Err(Self::broken());
        };
        let mut copying = Copying { bytes, target, count: 0 };
        let mut plain: Box<dyn Read> = match compression {
            StreamCompression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(&mut copying)),
            StreamCompression::None => Box::new(&mut copying),
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = plain.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            tar.update(&buffer[..count]);
            *tar_size += count as u64;
        }
    }
}
