//! Writes an archive: the same entries give the same bytes, whoever writes them and wherever.
//!
//! Plain ustar headers without user and group names; a pax header goes before an entry only for what ustar cannot
//! hold: long or non-ASCII paths, large numbers, times before 1970, extended attributes.

use std::io::{Read, Write};

use super::header::{self as fields, Block};
use super::{
    BLOCK_SIZE, Entry, EntryKind, PATH_LIMIT, PAX_LIMIT, TarError, XATTR_PREFIX, padding, pax, shown,
};

/// Bodies are copied through a buffer of this size.
const COPY_BUFFER: usize = 128 * 1024;

/// Name of the pax headers themselves; readers do not look at it. The one that Python's `tarfile` writes.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// Writes entries in the order in which they are given; [`Writer::finish`] ends the archive.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer of a new archive.
    pub fn new(inner: W) -> Self {
        Self { inner, buffer: vec![0; COPY_BUFFER] }
    }

    /// Writes an entry and its body, which must hold exactly `entry.size` bytes.
    ///
    /// # Errors
    /// When the entry cannot be written as it is, the body is longer or shorter, or reading or writing fails. The
    /// archive is broken then.
    pub fn append(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<(), TarError> {
        self.append_header(entry)?;
        let mut left = entry.size;
        loop {
            let room = usize::try_from(left).unwrap_or(usize::MAX).clamp(1, COPY_BUFFER);
            let read = match body.read(&mut self.buffer[..room]) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            match (read as u64, left) {
                (0, 0) => break,
                (0, _) => return Err(unwritable(entry, format!("its body ends {left} bytes early"))),
                (read, left) if read > left => {
                    return Err(unwritable(entry, format!("its body is longer than {} bytes", entry.size)));
                }
                _ => {}
            }
            self.inner.write_all(&self.buffer[..read])?;
            left -= read as u64;
        }
        self.pad(entry.size)
    }

    /// Writes an entry whose body is at hand. `entry.size` must be the body's length.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn append_bytes(&mut self, entry: &Entry, mut body: &[u8]) -> Result<(), TarError> {
        self.append(entry, &mut body)
    }

    /// Writes the end mark and gives back what was written to.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.inner.write_all(&[0; 2 * BLOCK_SIZE])?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn append_header(&mut self, entry: &Entry) -> Result<(), TarError> {
        Ok(self.inner.write_all(&header(entry)?)?)
    }

    fn pad(&mut self, size: u64) -> Result<(), TarError> {
        let zeros = [0; BLOCK_SIZE];
        Ok(self.inner.write_all(&zeros[..padding(size) as usize])?)
    }
}

/// The blocks that stand before an entry's body: its header, and the pax header for what ustar cannot hold. The body
/// follows, and [`padding`] zeros to the next block.
///
/// # Errors
/// When the entry cannot be written as it is.
pub fn header(entry: &Entry) -> Result<Vec<u8>, TarError> {
    check(entry)?;
    let (block, records) = make_header(entry)?;
    let mut blocks = Vec::with_capacity(BLOCK_SIZE);
    if !records.is_empty() {
        let bytes = pax::render(&records);
        let size = bytes.len() as u64;
        if size > PAX_LIMIT {
            return Err(unwritable(
                entry,
                format!("its attributes take {size} bytes, more than {PAX_LIMIT}"),
            ));
        }
        blocks.extend_from_slice(&pax_header(size));
        blocks.extend_from_slice(&bytes);
        blocks.resize(blocks.len() + padding(size) as usize, 0);
    }
    blocks.extend_from_slice(&block);
    Ok(blocks)
}

fn unwritable(entry: &Entry, reason: String) -> TarError {
    TarError::Unwritable { path: shown(&entry.path), reason }
}

fn check(entry: &Entry) -> Result<(), TarError> {
    let fail = |reason: &str| Err(unwritable(entry, reason.to_owned()));
    let path_is_bad = |path: &[u8]| path.is_empty() || path.contains(&0) || path.len() >= PATH_LIMIT;
    if path_is_bad(&entry.path) {
        return fail("its path is empty, too long or holds a NUL");
    }
    if let EntryKind::Symlink(target) | EntryKind::HardLink(target) = &entry.kind
        && path_is_bad(target)
    {
        return fail("its target is empty, too long or holds a NUL");
    }
    if entry.kind != EntryKind::Directory && entry.path.ends_with(b"/") {
        return fail("its path ends with a slash, as only a directory's may");
    }
    if entry.kind != EntryKind::File && entry.size > 0 {
        return fail("only a file has a body");
    }
    if entry.mode > 0o7777 {
        return fail("its mode has more than the permission bits");
    }
    if entry.xattrs.keys().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return fail("the name of an extended attribute is empty or holds `=` or a NUL");
    }
    Ok(())
}

fn make_header(entry: &Entry) -> Result<(Block, pax::Records), TarError> {
    let mut block = [0; BLOCK_SIZE];
    let mut records = pax::Records::new();
    let mut path = entry.path.clone();
    if entry.kind == EntryKind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    put_path(&mut block, path, &mut records);
    put_octal(&mut block[fields::MODE], u64::from(entry.mode), "mode", &mut records);
    put_octal(&mut block[fields::UID], u64::from(entry.uid), "uid", &mut records);
    put_octal(&mut block[fields::GID], u64::from(entry.gid), "gid", &mut records);
    put_octal(&mut block[fields::SIZE], entry.size, "size", &mut records);
    match u64::try_from(entry.mtime) {
        Ok(mtime) => put_octal(&mut block[fields::MTIME], mtime, "mtime", &mut records),
        Err(_) => {
            fields::put_octal(&mut block[fields::MTIME], 0);
            records.insert("mtime".to_owned(), entry.mtime.to_string().into_bytes());
        }
    }
    put_kind(&mut block, entry, &mut records)?;
    for (name, value) in &entry.xattrs {
        records.insert(format!("{XATTR_PREFIX}{name}"), value.clone());
    }
    fields::seal(&mut block);
    Ok((block, records))
}

fn put_kind(block: &mut Block, entry: &Entry, records: &mut pax::Records) -> Result<(), TarError> {
    let (flag, major, minor) = match &entry.kind {
        EntryKind::File => (b'0', 0, 0),
        EntryKind::HardLink(_) => (b'1', 0, 0),
        EntryKind::Symlink(_) => (b'2', 0, 0),
        EntryKind::CharDevice { major, minor } => (b'3', *major, *minor),
        EntryKind::BlockDevice { major, minor } => (b'4', *major, *minor),
        EntryKind::Directory => (b'5', 0, 0),
        EntryKind::Fifo => (b'6', 0, 0),
    };
    block[fields::TYPE] = flag;
    // Pax has no records for device numbers.
    if !fields::put_octal(&mut block[fields::DEVICE_MAJOR], u64::from(major))
        || !fields::put_octal(&mut block[fields::DEVICE_MINOR], u64::from(minor))
    {
        return Err(unwritable(entry, format!("device number {major}:{minor} is too large for tar")));
    }
    if let EntryKind::Symlink(target) | EntryKind::HardLink(target) = &entry.kind {
        put_start(&mut block[fields::LINK_NAME], target);
        if target.len() > fields::LINK_NAME.len() || !target.is_ascii() {
            records.insert("linkpath".to_owned(), target.clone());
        }
    }
    Ok(())
}

fn put_octal(field: &mut [u8], value: u64, key: &str, records: &mut pax::Records) {
    if !fields::put_octal(field, value) {
        fields::put_octal(field, 0);
        records.insert(key.to_owned(), value.to_string().into_bytes());
    }
}

/// Readers are free to take bytes beyond ASCII in a ustar header for any character set; pax is UTF-8.
fn put_path(block: &mut Block, path: Vec<u8>, records: &mut pax::Records) {
    if path.is_ascii() {
        if path.len() <= fields::NAME.len() {
            return put_start(&mut block[fields::NAME], &path);
        }
        if let Some((prefix, name)) = split(&path) {
            put_start(&mut block[fields::PREFIX], prefix);
            return put_start(&mut block[fields::NAME], name);
        }
    }
    put_start(&mut block[fields::NAME], &path);
    records.insert("path".to_owned(), path);
}

/// Splits at the last slash that leaves the prefix short enough.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let searched = &path[..path.len().min(fields::PREFIX.len() + 1)];
    // The slash at the very end of a directory's name cannot be the one to split at.
    let searched = if searched.len() == path.len() { &path[..path.len() - 1] } else { searched };
    let slash = searched.iter().rposition(|byte| *byte == b'/').filter(|slash| *slash > 0)?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!name.is_empty() && name.len() <= fields::NAME.len()).then_some((prefix, name))
}

fn put_start(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

fn pax_header(size: u64) -> Block {
    let mut block = [0; BLOCK_SIZE];
    put_start(&mut block[fields::NAME], PAX_NAME);
    // Within PAX_LIMIT, so it always fits.
    fields::put_octal(&mut block[fields::SIZE], size);
    fields::put_octal(&mut block[fields::MODE], 0o644);
    for field in [fields::UID, fields::GID, fields::MTIME, fields::DEVICE_MAJOR, fields::DEVICE_MINOR] {
        fields::put_octal(&mut block[field], 0);
    }
    block[fields::TYPE] = b'x';
    fields::seal(&mut block);
    block
}
