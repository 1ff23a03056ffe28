//! Layers taken apart: tar headers in memory, contents in one file without a name, and where each lies in it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Hasher};
use calypte_formats::tar::{self, EntryKind, TarError};

use crate::error::DeltaError;
use crate::limits::{BLOCK, MOST_CONTENTS, MOST_HEADER_BYTES, MOST_LAYER_BYTES, padding};

/// Bytes read and written at once.
const BUFFER: usize = 256 * 1024;

/// A file with a content.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// As the archive writes it; only ever compared with other paths.
    pub path: Vec<u8>,
    /// Offset in the file of contents.
    pub place: u64,
    pub size: u64,
    /// Of the content; only where digests were asked for.
    pub digest: Option<Digest>,
    /// Bytes of headers since the content before it.
    pub header: u64,
}

/// One layer's part of a [`Spool`].
#[derive(Debug, Clone)]
pub(crate) struct SpooledLayer {
    /// Its members are those before this number that no layer before it has.
    pub end: usize,
    /// Bytes of headers after its last content.
    pub tail: u64,
    /// Bytes of its tar archive.
    pub size: u64,
}

/// Layers taken apart.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    contents: BufWriter<File>,
    written: u64,
    pub members: Vec<Member>,
    pub headers: Vec<u8>,
    pub layers: Vec<SpooledLayer>,
    with_digests: bool,
    total: u64,
}

impl Spool {
    /// An empty one whose contents will lie in a file without a name in this directory.
    pub(crate) fn new(directory: &Path, with_digests: bool) -> Result<Self, DeltaError> {
        let file = unnamed(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            contents: BufWriter::with_capacity(BUFFER, file),
            written: 0,
            members: Vec::new(),
            headers: Vec::new(),
            layers: Vec::new(),
            with_digests,
            total: 0,
        })
    }

    /// Takes a layer's archive apart; gives its diff id. Headers are kept as they are, paddings must be zeros.
    pub(crate) fn add(&mut self, archive: &mut dyn Read) -> Result<Result<Digest, TarError>, DeltaError> {
        let state = RefCell::new(State {
            hasher: Hasher::new(),
            size: 0,
            is_header: true,
            pad: 0,
            headers: std::mem::take(&mut self.headers),
        });
        let result =
            self.members_of(&mut tar::Reader::new(Recorder { inner: archive, state: &state }), &state);
        let State { hasher, size, headers, .. } = state.into_inner();
        self.headers = headers;
        self.total += size;
        if self.total > MOST_LAYER_BYTES {
            return Err(DeltaError::TooMuch { what: "bytes in the layers", limit: MOST_LAYER_BYTES });
        }
        match result? {
            Ok(tail) => {
                self.layers.push(SpooledLayer { end: self.members.len(), tail, size });
                Ok(Ok(hasher.finish()))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn members_of(
        &mut self,
        reader: &mut tar::Reader<Recorder<'_>>,
        state: &RefCell<State>,
    ) -> Result<Result<u64, TarError>, DeltaError> {
        let mut seen = state.borrow().headers.len() as u64;
        loop {
            let entry = match reader.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(Ok(state.borrow().headers.len() as u64 - seen)),
                Err(error) => return Ok(Err(error)),
            };
            if entry.kind != EntryKind::File || entry.size == 0 {
                continue;
            }
            if self.members.len() >= MOST_CONTENTS {
                return Err(DeltaError::TooMuch {
                    what: "files with a content",
                    limit: MOST_CONTENTS as u64,
                });
            }
            state.borrow_mut().is_header = false;
            let place = self.written;
            let digest = match self.copy(&mut reader.body())? {
                Ok(digest) => digest,
                Err(error) => return Ok(Err(error)),
            };
            let now = state.borrow_mut().content_ends(entry.size);
            let header = now - seen;
            self.members.push(Member { path: entry.path, place, size: entry.size, digest, header });
            seen = now;
        }
    }

    fn copy(&mut self, body: &mut dyn Read) -> Result<Result<Option<Digest>, TarError>, DeltaError> {
        let mut hasher = self.with_digests.then(Hasher::new);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => return Ok(Ok(hasher.map(Hasher::finish))),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error.into())),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if let Some(hasher) = &mut hasher {
                hasher.update(bytes);
            }
            self.contents.write_all(bytes).map_err(DeltaError::io("write to a file in", &self.directory))?;
            self.written += count as u64;
        }
    }

    /// Ends the writing: from now on contents can be read.
    pub(crate) fn finish(mut self) -> Result<Taken, DeltaError> {
        let failed = DeltaError::io("write to a file in", &self.directory);
        self.contents.flush().map_err(failed)?;
        let file = self
            .contents
            .into_inner()
            .map_err(|error| DeltaError::io("write to a file in", &self.directory)(error.into_error()))?;
        let contents = Stored { file, directory: self.directory };
        Ok(Taken { contents, members: self.members, headers: self.headers, layers: self.layers })
    }
}

/// Layers taken apart, all written.
#[derive(Debug)]
pub(crate) struct Taken {
    pub contents: Stored,
    pub members: Vec<Member>,
    pub headers: Vec<u8>,
    pub layers: Vec<SpooledLayer>,
}

/// A file without a name whose bytes are read by their offset.
#[derive(Debug)]
pub(crate) struct Stored {
    pub file: File,
    pub directory: PathBuf,
}

impl Stored {
    /// An empty one.
    pub(crate) fn new(directory: &Path) -> Result<Self, DeltaError> {
        Ok(Self { file: unnamed(directory)?, directory: directory.to_owned() })
    }

    /// Appends bytes that lie at this offset in old contents to `target`.
    pub(crate) fn append_to(&self, target: &mut Vec<u8>, place: u64, size: u64) -> Result<(), DeltaError> {
        let start = target.len();
        target.resize(start + size as usize, 0);
        let part = target.get_mut(start..).unwrap_or_default();
        self.file.read_exact_at(part, place).map_err(DeltaError::io("read a file in", &self.directory))
    }

    /// Writes at the current end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DeltaError> {
        self.file.write_all(bytes).map_err(DeltaError::io("write to a file in", &self.directory))
    }

    /// From its start, for reading in a row.
    pub(crate) fn rewound(mut self) -> Result<File, DeltaError> {
        self.file.seek(SeekFrom::Start(0)).map_err(DeltaError::io("read a file in", &self.directory))?;
        Ok(self.file)
    }
}

fn unnamed(directory: &Path) -> Result<File, DeltaError> {
    tempfile::tempfile_in(directory).map_err(DeltaError::io("create a file in", directory))
}

/// What is known of an archive while it is read.
struct State {
    hasher: Hasher,
    size: u64,
    is_header: bool,
    /// Bytes of padding still to come.
    pad: u64,
    headers: Vec<u8>,
}

impl State {
    /// A content of this size was read: its padding follows. Gives the number of header bytes up to here.
    fn content_ends(&mut self, size: u64) -> u64 {
        self.is_header = true;
        self.pad = padding(size);
        self.headers.len() as u64
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if self.size > MOST_LAYER_BYTES {
            return Err(refused(format!("the layer has more than {MOST_LAYER_BYTES} bytes")));
        }
        if !self.is_header {
            return Ok(());
        }
        let pad = usize::try_from(self.pad).unwrap_or(usize::MAX).min(bytes.len());
        let (padding, headers) = bytes.split_at_checked(pad).unwrap_or_default();
        self.pad -= pad as u64;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(refused("a content is padded with something other than zeros".to_owned()));
        }
        self.headers.extend_from_slice(headers);
        if self.headers.len() as u64 > MOST_HEADER_BYTES {
            return Err(refused(format!("the headers have more than {MOST_HEADER_BYTES} bytes")));
        }
        Ok(())
    }
}

/// Hashes all of an archive and keeps what is no content and no padding.
struct Recorder<'a> {
    inner: &'a mut dyn Read,
    state: &'a RefCell<State>,
}

impl Read for Recorder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.state.borrow_mut().take(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Whether headers can be counted in blocks: an archive whose end is no whole block cannot.
pub(crate) fn is_whole_blocks(taken: &Taken) -> bool {
    let tails = taken.layers.iter().all(|layer| layer.tail % BLOCK == 0);
    tails && taken.members.iter().all(|member| member.header % BLOCK == 0)
}
