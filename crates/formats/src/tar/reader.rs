//! Reads an archive as a stream: entries come out in order, each with a body that is read or skipped.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::header::{self, Block, Header};
use super::{
    BLOCK_SIZE, Entry, EntryKind, LONG_NAME_LIMIT, PATH_LIMIT, PAX_LIMIT, TarError, XATTR_PREFIX, padding,
    pax, shown,
};

/// Bodies that nobody reads pass through a buffer of this size.
const SKIP_BUFFER: usize = 64 * 1024;

/// Reads an archive entry by entry; holds no more of it than one entry's header and attributes.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    offset: u64,
    path: String,
    body_left: u64,
    padding: u64,
    finished: bool,
    scratch: Vec<u8>,
}

/// What extension headers say about the entry that follows them.
#[derive(Debug, Default)]
struct Pending {
    pax: Option<pax::Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of an archive.
    pub const fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            path: String::new(),
            body_left: 0,
            padding: 0,
            finished: false,
            scratch: Vec::new(),
        }
    }

    /// Goes to the next entry, past what is left of the current one's body; none after the end mark, once everything
    /// behind that has been read and found to be zeros.
    ///
    /// # Errors
    /// When the archive is cut off, malformed, or uses what is not supported. The reader is of no use afterwards.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        if self.finished {
            return Ok(None);
        }
        self.skip_body()?;
        let mut pending = Pending::default();
        loop {
            let start = self.offset;
            let block = self.read_block()?;
            if block == [0; BLOCK_SIZE] {
                if pending.pax.is_some() || pending.long_name.is_some() || pending.long_link.is_some() {
                    return Err(TarError::Truncated {
                        place: "between an extension header and its entry".to_owned(),
                    });
                }
                self.read_end()?;
                return Ok(None);
            }
            let header = Header::check(&block, start)?;
            match header.kind() {
                b'x' => {
                    let records = self.read_pax(&header, start)?;
                    put(&mut pending.pax, records, "a pax header", start)?;
                }
                b'g' => check_global(&self.read_pax(&header, start)?, start)?,
                b'L' => {
                    let name = self.read_long_name(&header, start)?;
                    put(&mut pending.long_name, name, "a GNU long name", start)?;
                }
                b'K' => {
                    let name = self.read_long_name(&header, start)?;
                    put(&mut pending.long_link, name, "a GNU long link name", start)?;
                }
                _ => {
                    let entry = build_entry(&header, pending, start)?;
                    self.path = shown(&entry.path);
                    self.body_left = entry.size;
                    self.padding = padding(entry.size);
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// What is left of the current entry's body.
    pub fn body(&mut self) -> Body<'_, R> {
        Body { reader: self }
    }

    fn read_block(&mut self) -> Result<Block, TarError> {
        let mut block = [0; BLOCK_SIZE];
        let mut filled = 0;
        while filled < BLOCK_SIZE {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => {
                    return Err(TarError::Truncated { place: "without its end mark".to_owned() });
                }
                Ok(0) => {
                    return Err(TarError::Truncated {
                        place: format!("inside the header at byte {}", self.offset),
                    });
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.offset += BLOCK_SIZE as u64;
        Ok(block)
    }

    fn skip_body(&mut self) -> Result<(), TarError> {
        // Body and padding lie in a row; only the last block of what was read to its end is a very short skip.
        let mut left = self.body_left.saturating_add(std::mem::take(&mut self.padding));
        if left > 0 && self.scratch.is_empty() {
            self.scratch.resize(SKIP_BUFFER, 0);
        }
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_BUFFER);
            match self.inner.read(&mut self.scratch[..room]) {
                Ok(0) => return Err(self.truncated_body(left)),
                Ok(read) => {
                    left -= read as u64;
                    self.offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.body_left = 0;
        Ok(())
    }

    fn truncated_body(&self, left: u64) -> TarError {
        TarError::Truncated {
            place: format!("inside the entry `{}`, {left} bytes before its end", self.path),
        }
    }

    /// The second block of the end mark, and that only zeros follow: reading to the very end is what makes a
    /// decompressor below check its own checksum.
    fn read_end(&mut self) -> Result<(), TarError> {
        let start = self.offset;
        if self.read_block()? != [0; BLOCK_SIZE] {
            return Err(TarError::TrailingData { offset: start });
        }
        self.scratch.resize(SKIP_BUFFER, 0);
        loop {
            match self.inner.read(&mut self.scratch) {
                Ok(0) => break,
                Ok(read) if self.scratch[..read].iter().all(|byte| *byte == 0) => self.offset += read as u64,
                Ok(_) => return Err(TarError::TrailingData { offset: self.offset }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.finished = true;
        Ok(())
    }

    fn read_extension(
        &mut self,
        header: &Header<'_>,
        start: u64,
        what: &'static str,
        limit: u64,
    ) -> Result<Vec<u8>, TarError> {
        let size: u64 = header.unsigned(header::SIZE, "size")?;
        if size > limit {
            return Err(TarError::TooLarge { offset: start, what, size, limit });
        }
        let mut bytes = Vec::new();
        let stored = size + padding(size);
        let read = (&mut self.inner).take(stored).read_to_end(&mut bytes)? as u64;
        self.offset += read;
        if read < stored {
            return Err(TarError::Truncated { place: format!("inside {what} at byte {start}") });
        }
        bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    fn read_pax(&mut self, header: &Header<'_>, start: u64) -> Result<pax::Records, TarError> {
        let bytes = self.read_extension(header, start, "a pax header", PAX_LIMIT)?;
        pax::parse(&bytes).map_err(|reason| TarError::Pax { offset: start, reason })
    }

    fn read_long_name(&mut self, header: &Header<'_>, start: u64) -> Result<Vec<u8>, TarError> {
        let mut name = self.read_extension(header, start, "a GNU long name", LONG_NAME_LIMIT)?;
        // GNU tar counts the NUL at the end.
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }
}

/// The body of one entry; reading past the end of a cut-off archive is an [`io::ErrorKind::UnexpectedEof`] that holds
/// a [`TarError::Truncated`].
#[derive(Debug)]
pub struct Body<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = &mut *self.reader;
        if buffer.is_empty() || reader.body_left == 0 {
            return Ok(0);
        }
        let room = usize::try_from(reader.body_left).unwrap_or(usize::MAX).min(buffer.len());
        match reader.inner.read(&mut buffer[..room])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, reader.truncated_body(reader.body_left))),
            read => {
                reader.body_left -= read as u64;
                reader.offset += read as u64;
                Ok(read)
            }
        }
    }
}

fn put<T>(slot: &mut Option<T>, value: T, what: &str, offset: u64) -> Result<(), TarError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TarError::Duplicate { offset, what: what.to_owned() }),
    }
}

/// A global header may carry a comment, as `git archive` does. Anything else would change entries from afar.
fn check_global(records: &pax::Records, offset: u64) -> Result<(), TarError> {
    match records.keys().find(|key| *key != "comment") {
        None => Ok(()),
        Some(key) => {
            let reason = format!("a global header sets `{}`, which is not supported", shown(key.as_bytes()));
            Err(TarError::Pax { offset, reason })
        }
    }
}

fn build_entry(header: &Header<'_>, pending: Pending, offset: u64) -> Result<Entry, TarError> {
    let Pending { pax, long_name, long_link } = pending;
    let mut attributes = Attributes { records: pax.unwrap_or_default(), offset };
    let mut path = attributes.text("path", long_name)?.unwrap_or_else(|| header.path());
    check_path(&path, "path", offset)?;
    attributes.refuse_sparse(&path)?;
    let link = attributes.text("linkpath", long_link)?.unwrap_or_else(|| header.link_name());
    let size = match attributes.take("size", pax::unsigned)? {
        Some(size) => size,
        None => header.unsigned(header::SIZE, "size")?,
    };
    let kind = entry_kind(header, &path, link, offset)?;
    if size > 0 && kind != EntryKind::File {
        return Err(TarError::UnexpectedData { path: shown(&path), kind: kind.noun(), size });
    }
    if kind == EntryKind::Directory {
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
    }
    Ok(Entry {
        kind,
        mode: header.unsigned::<u64>(header::MODE, "mode")? as u32 & 0o7777,
        uid: match attributes.take("uid", pax::unsigned)? {
            Some(uid) => uid,
            None => header.unsigned(header::UID, "user id")?,
        },
        gid: match attributes.take("gid", pax::unsigned)? {
            Some(gid) => gid,
            None => header.unsigned(header::GID, "group id")?,
        },
        mtime: match attributes.take("mtime", pax::time)? {
            Some(mtime) => mtime,
            None => header.signed(header::MTIME, "modification time")?,
        },
        size,
        xattrs: attributes.xattrs(),
        path,
    })
}

fn entry_kind(header: &Header<'_>, path: &[u8], link: Vec<u8>, offset: u64) -> Result<EntryKind, TarError> {
    let device = |field, name| header.unsigned::<u32>(field, name);
    let checked = |link: Vec<u8>| check_path(&link, "link target", offset).map(|()| link);
    Ok(match header.kind() {
        // V7 had no type for directories, and tells them by the slash.
        0 | b'0' if path.last() == Some(&b'/') => EntryKind::Directory,
        0 | b'0' | b'7' => EntryKind::File,
        b'1' => EntryKind::HardLink(checked(link)?),
        b'2' => EntryKind::Symlink(checked(link)?),
        b'3' => EntryKind::CharDevice {
            major: device(header::DEVICE_MAJOR, "device major")?,
            minor: device(header::DEVICE_MINOR, "device minor")?,
        },
        b'4' => EntryKind::BlockDevice {
            major: device(header::DEVICE_MAJOR, "device major")?,
            minor: device(header::DEVICE_MINOR, "device minor")?,
        },
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        b'S' => {
            return Err(TarError::Unsupported { path: shown(path), what: "a GNU sparse file".to_owned() });
        }
        other => {
            let what = format!("entry type `{}`", other.escape_ascii());
            return Err(TarError::Unsupported { path: shown(path), what });
        }
    })
}

fn check_path(path: &[u8], field: &str, offset: u64) -> Result<(), TarError> {
    if path.len() > PATH_LIMIT {
        let (size, limit) = (path.len() as u64, PATH_LIMIT as u64);
        return Err(TarError::TooLarge { offset, what: "a path", size, limit });
    }
    if path.is_empty() || path.contains(&0) {
        return Err(TarError::BadField { offset, field: field.to_owned(), text: shown(path) });
    }
    Ok(())
}

/// The pax records of one entry. Keys that nobody asks for (`atime`, `uname`, …) carry nothing that an image keeps.
struct Attributes {
    records: pax::Records,
    offset: u64,
}

impl Attributes {
    /// A path, from pax or from GNU's extension, but not from both. An empty record stands for no record.
    fn text(&mut self, key: &str, gnu: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, TarError> {
        let mut value = self.records.remove(key).filter(|value| !value.is_empty());
        if let Some(gnu) = gnu {
            put(&mut value, gnu, key, self.offset)?;
        }
        Ok(value)
    }

    fn take<T>(&mut self, key: &str, read: fn(&[u8]) -> Option<T>) -> Result<Option<T>, TarError> {
        let Some(value) = self.records.remove(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        let bad = || TarError::BadField {
            offset: self.offset,
            field: format!("pax record {key}"),
            text: shown(&value),
        };
        read(&value).map(Some).ok_or_else(bad)
    }

    fn refuse_sparse(&self, path: &[u8]) -> Result<(), TarError> {
        let sparse = |key: &&String| key.starts_with("GNU.sparse.") || *key == "SCHILY.realsize";
        match self.records.keys().find(sparse) {
            None => Ok(()),
            Some(key) => {
                let what = format!("a sparse file (`{}`)", shown(key.as_bytes()));
                Err(TarError::Unsupported { path: shown(path), what })
            }
        }
    }

    fn xattrs(self) -> BTreeMap<String, Vec<u8>> {
        let name =
            |key: String| key.strip_prefix(XATTR_PREFIX).filter(|name| !name.is_empty()).map(str::to_owned);
        self.records.into_iter().filter_map(|(key, value)| Some((name(key)?, value))).collect()
    }
}
