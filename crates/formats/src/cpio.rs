//! `cpio` archives as RPM payloads and initramfs images hold them: a stream of bytes comes in, entries go out one after
//! the other; and entries come in, a `newc` archive goes out.
//!
//! Three of the kinds are read: `newc` (magic `070701`), the same with a checksum (`070702`), which is checked, and
//! rpm's own stripped one (`07070X`), whose entries name a file of the package's header by its number and leave all
//! else, the size too, to that header. What would make two readers disagree (padding that is not zero, anything after
//! the end mark) is refused.

use std::io::{self, Read, Write};

use crate::tar::PATH_LIMIT;

/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Everything starts at a multiple of this many bytes.
const ALIGNMENT: u64 = 4;

/// Length of a header: magic, and thirteen numbers of eight digits.
const HEADER_LENGTH: u64 = 6 + 13 * 8;

/// Skipped bytes pass through a piece of the stack of this size.
const SKIP_BUFFER: usize = 8 * 1024;

/// An entry's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An entry that says itself what it is.
    Named(Entry),
    /// An entry of a stripped archive: the number of a file. Its size must be told with [`Reader::set_size`].
    Numbered(u32),
}

/// What the header of a `newc` entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path's raw bytes as the archive has them. Not checked for `..` or a leading slash.
    pub path: Vec<u8>,
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// How many names the file has.
    pub links: u32,
    /// Names with the same number and the same device are one file; the last of them carries the body.
    pub inode: u32,
    /// Major and minor number of the device that holds the file.
    pub device: (u32, u32),
    /// Major and minor number of the device that this is.
    pub special: (u32, u32),
    /// Modification time in seconds since 1970.
    pub mtime: u32,
    /// Size of the body in bytes: the contents of a file, the target of a symbolic link.
    pub size: u64,
}

/// Why bytes are no `cpio` archive. Offsets are in bytes from its start.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// The archive ends inside of something.
    #[error("cpio archive ends inside {inside}")]
    Truncated {
        /// What was cut off.
        inside: String,
    },
    /// An entry does not start with a magic that is known.
    #[error("no cpio entry at byte {offset}: it starts with `{magic}` (known: 070701, 070702, 07070X)")]
    Magic {
        /// Where the entry starts.
        offset: u64,
        /// What stands there, made printable.
        magic: String,
    },
    /// A header field does not hold what it must.
    #[error("cpio entry at byte {offset}: bad {field} `{text}`")]
    BadField {
        /// Where the entry starts.
        offset: u64,
        /// Which field.
        field: &'static str,
        /// What it holds, made printable and cut.
        text: String,
    },
    /// A checksum does not fit the body.
    #[error("cpio entry `{path}`: its checksum does not match")]
    Checksum {
        /// The entry's path, made printable.
        path: String,
    },
    /// Something other than zeros fills a gap or follows the end.
    #[error("cpio archive has data where only zeros belong, at byte {offset}")]
    NotZero {
        /// Where it was found.
        offset: u64,
    },
    /// The archive could not be read.
    #[error("cpio archive: {0}")]
    Io(#[from] io::Error),
}

/// Reads an archive entry by entry, in the order in which they lie.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    offset: u64,
    name: Vec<u8>,
    body_left: u64,
    /// What a checksum archive says that the body's bytes add up to.
    expected_sum: Option<u32>,
    sum: u32,
    done: bool,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of an archive.
    pub const fn new(inner: R) -> Self {
        Self { inner, offset: 0, name: Vec::new(), body_left: 0, expected_sum: None, sum: 0, done: false }
    }

    /// Goes to the next entry, past what is left of the current one; none at the end mark, after which the input was
    /// read to its end.
    ///
    /// # Errors
    /// When the archive is cut off or malformed.
    pub fn next_item(&mut self) -> Result<Option<Item>, CpioError> {
        if self.done {
            return Ok(None);
        }
        self.finish_body()?;
        let start = self.offset;
        let mut magic = [0; 6];
        self.fill(&mut magic, || format!("the header at byte {start}"))?;
        match &magic {
            b"070701" => self.named(start, false),
            b"070702" => self.named(start, true),
            b"07070X" => self.numbered(start),
            _ => Err(CpioError::Magic { offset: start, magic: magic.escape_ascii().to_string() }),
        }
    }

    /// Tells the size of the current entry's body in bytes, where the archive does not.
    pub const fn set_size(&mut self, size: u64) {
        self.body_left = size;
    }

    /// What is left of the current entry's body.
    pub fn body(&mut self) -> Body<'_, R> {
        Body { reader: self }
    }

    fn named(&mut self, start: u64, summed: bool) -> Result<Option<Item>, CpioError> {
        let mut fields = [0; 13];
        for field in &mut fields {
            *field = self.hexadecimal(start, "number")?;
        }
        let [
            inode,
            mode,
            uid,
            gid,
            links,
            mtime,
            size,
            major,
            minor,
            special_major,
            special_minor,
            name,
            sum,
        ] = fields;
        let length = usize::try_from(name).unwrap_or(usize::MAX);
        // The length counts the zero byte after the name.
        if !(2..=PATH_LIMIT + 1).contains(&length) {
            return Err(CpioError::BadField {
                offset: start,
                field: "length of name",
                text: name.to_string(),
            });
        }
        let mut path = vec![0; length];
        self.fill(&mut path, || format!("the name of the entry at byte {start}"))?;
        if path.pop() != Some(0) || path.contains(&0) {
            return Err(CpioError::BadField { offset: start, field: "name", text: shown(&path) });
        }
        self.skip_padding()?;
        if path == TRAILER {
            self.finish()?;
            return Ok(None);
        }
        self.begin_body(path.clone(), u64::from(size), summed.then_some(sum));
        Ok(Some(Item::Named(Entry {
            path,
            mode,
            uid,
            gid,
            links,
            inode,
            device: (major, minor),
            special: (special_major, special_minor),
            mtime,
            size: u64::from(size),
        })))
    }

    fn numbered(&mut self, start: u64) -> Result<Option<Item>, CpioError> {
        let number = self.hexadecimal(start, "file number")?;
        self.skip_padding()?;
        self.begin_body(format!("number {number}").into_bytes(), 0, None);
        Ok(Some(Item::Numbered(number)))
    }

    fn begin_body(&mut self, name: Vec<u8>, size: u64, expected_sum: Option<u32>) {
        self.name = name;
        self.body_left = size;
        self.expected_sum = expected_sum;
        self.sum = 0;
    }

    /// Reads the rest of the body, so that what is skipped is checked too.
    fn finish_body(&mut self) -> Result<(), CpioError> {
        let mut scratch = [0; SKIP_BUFFER];
        while self.body_left > 0 {
            if self.read_body(&mut scratch)? == 0 {
                return Err(self.truncated_body());
            }
        }
        if self.sum_is_wrong() {
            return Err(CpioError::Checksum { path: shown(&self.name) });
        }
        self.skip_padding()
    }

    /// After the end mark, archives are filled up with zeros to the size of a block.
    fn finish(&mut self) -> Result<(), CpioError> {
        let mut scratch = [0; SKIP_BUFFER];
        self.done = true;
        loop {
            let read = match self.inner.read(&mut scratch) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if read == 0 {
                return Ok(());
            }
            if scratch.iter().take(read).any(|byte| *byte != 0) {
                return Err(CpioError::NotZero { offset: self.offset });
            }
            self.offset += read as u64;
        }
    }

    fn skip_padding(&mut self) -> Result<(), CpioError> {
        let start = self.offset;
        while !self.offset.is_multiple_of(ALIGNMENT) {
            let mut byte = [0];
            self.fill(&mut byte, || format!("the padding at byte {start}"))?;
            if byte != [0] {
                return Err(CpioError::NotZero { offset: self.offset - 1 });
            }
        }
        Ok(())
    }

    fn hexadecimal(&mut self, start: u64, field: &'static str) -> Result<u32, CpioError> {
        let mut digits = [0; 8];
        self.fill(&mut digits, || format!("the header at byte {start}"))?;
        let bad = || CpioError::BadField { offset: start, field, text: digits.escape_ascii().to_string() };
        digits.iter().try_fold(0, |number: u32, digit| {
            let value = char::from(*digit).to_digit(16).ok_or_else(bad)?;
            Ok((number << 4) | value)
        })
    }

    fn fill(&mut self, buffer: &mut [u8], inside: impl FnOnce() -> String) -> Result<(), CpioError> {
        match self.inner.read_exact(buffer) {
            Ok(()) => {
                self.offset += buffer.len() as u64;
                Ok(())
            }
            // An error that says more than that the end came (the decoder's own) passes as it is.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && is_plain(&error) => {
                Err(CpioError::Truncated { inside: inside() })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read_body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..room).unwrap_or_default();
        let read = loop {
            match self.inner.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.body_left -= read as u64;
        self.offset += read as u64;
        if self.expected_sum.is_some() {
            let sum = |sum: u32, byte: &u8| sum.wrapping_add(u32::from(*byte));
            self.sum = piece.iter().take(read).fold(self.sum, sum);
        }
        Ok(read)
    }

    fn sum_is_wrong(&self) -> bool {
        self.body_left == 0 && self.expected_sum.is_some_and(|expected| expected != self.sum)
    }

    fn truncated_body(&self) -> CpioError {
        CpioError::Truncated {
            inside: format!("entry `{}`, {} bytes before its end", shown(&self.name), self.body_left),
        }
    }
}

/// The body of one entry. Reading past the end of a cut-off archive is an [`io::ErrorKind::UnexpectedEof`] that holds a
/// [`CpioError::Truncated`].
#[derive(Debug)]
pub struct Body<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.reader.body_left == 0 {
            return Ok(0);
        }
        match self.reader.read_body(buffer)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, self.reader.truncated_body())),
            // Said with the last bytes: who stops reading at the end would miss it later.
            _ if self.reader.sum_is_wrong() => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                CpioError::Checksum { path: shown(&self.reader.name) },
            )),
            read => Ok(read),
        }
    }
}

/// Writes a `newc` archive entry by entry.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// A writer at the start of an archive.
    pub const fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Appends an entry with its body, which must have as many bytes as the entry says.
    ///
    /// # Errors
    /// When the entry's path or size does not fit the format, when the body is longer or shorter, when the body cannot be
    /// read or the archive cannot be written.
    pub fn append(&mut self, entry: &Entry, mut body: impl Read) -> io::Result<()> {
        let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let length = entry.path.len();
        if !(1..=PATH_LIMIT).contains(&length) || entry.path.contains(&0) || entry.path == TRAILER {
            return Err(refused("a cpio archive cannot have this path"));
        }
        let size =
            u32::try_from(entry.size).map_err(|_| refused("a file in a cpio archive has less than 4 GiB"))?;
        self.header(entry, size)?;
        let copied = io::copy(&mut body.by_ref().take(entry.size), &mut self.inner)?;
        if copied < entry.size || body.read(&mut [0])? > 0 {
            return Err(refused(&format!("its content has not {} bytes, as was said before", entry.size)));
        }
        self.pad(copied)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        let end = Entry {
            path: TRAILER.to_vec(),
            mode: 0,
            uid: 0,
            gid: 0,
            links: 1,
            inode: 0,
            device: (0, 0),
            special: (0, 0),
            mtime: 0,
            size: 0,
        };
        self.header(&end, 0)?;
        Ok(self.inner)
    }

    fn header(&mut self, entry: &Entry, size: u32) -> io::Result<()> {
        let name = u32::try_from(entry.path.len() + 1).unwrap_or(u32::MAX);
        let fields = [
            entry.inode,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.links,
            entry.mtime,
            size,
            entry.device.0,
            entry.device.1,
            entry.special.0,
            entry.special.1,
            name,
            0,
        ];
        self.inner.write_all(b"070701")?;
        for field in fields {
            write!(self.inner, "{field:08X}")?;
        }
        self.inner.write_all(&entry.path)?;
        self.inner.write_all(&[0])?;
        self.pad(HEADER_LENGTH + u64::from(name))
    }

    /// Fills up after so many bytes that began at a multiple of the alignment.
    fn pad(&mut self, written: u64) -> io::Result<()> {
        let filler = usize::try_from(written.next_multiple_of(ALIGNMENT) - written).unwrap_or_default();
        self.inner.write_all(&[0; 4][..filler])
    }
}

fn is_plain(error: &io::Error) -> bool {
    error.get_ref().is_none_or(|inner| !inner.is::<crate::compression::CompressionError>())
}

/// A path for an error message: printable, and no longer than a message should be.
fn shown(path: &[u8]) -> String {
    const SHOWN: usize = 200;
    path.iter().take(SHOWN).flat_map(|byte| byte.escape_ascii()).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(magic: &str, name: &str, body: &[u8], sum: u32) -> Vec<u8> {
        let numbers = [7, 0o100_644, 1, 2, 1, 9, body.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, sum];
        let mut bytes = magic.as_bytes().to_vec();
        numbers.iter().for_each(|number| bytes.extend(format!("{number:08x}").bytes()));
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>, CpioError> {
        let mut reader = Reader::new(bytes);
        let mut names = Vec::new();
        while let Some(item) = reader.next_item()? {
            let mut body = Vec::new();
            reader.body().read_to_end(&mut body)?;
            match item {
                Item::Named(entry) => names.push(format!("{}={}", shown(&entry.path), shown(&body))),
                Item::Numbered(number) => names.push(number.to_string()),
            }
        }
        Ok(names)
    }

    #[test]
    fn reads_all_three_kinds() {
        let mut bytes = entry("070701", "./a", b"one", 0);
        bytes.extend(entry("070702", "b", b"two", u32::from(b't') + u32::from(b'w') + u32::from(b'o')));
        bytes.extend(b"07070X0000001f\0\0");
        bytes.extend(entry("070701", "TRAILER!!!", b"", 0));
        bytes.extend([0; 300]);
        assert_eq!(names(&bytes).unwrap(), ["./a=one", "b=two", "31"]);
    }

    #[test]
    fn reads_what_it_wrote() {
        let entry = |path: &str, size| Entry {
            path: path.as_bytes().to_vec(),
            mode: 0o100_644,
            uid: 1,
            gid: 2,
            links: 1,
            inode: 7,
            device: (0, 0),
            special: (3, 4),
            mtime: 9,
            size,
        };
        let mut writer = Writer::new(Vec::new());
        let entries = [entry("a", 0), entry("bc", 5), entry("d/e", 4)];
        for entry in &entries {
            let body = &b"12345"[..usize::try_from(entry.size).unwrap()];
            writer.append(entry, body).unwrap();
        }
        assert!(Writer::new(Vec::new()).append(&entry("short", 6), &b"12345"[..]).is_err());
        assert!(Writer::new(Vec::new()).append(&entry("long", 4), &b"12345"[..]).is_err());
        assert!(Writer::new(Vec::new()).append(&entry("TRAILER!!!", 0), &b""[..]).is_err());
        let bytes = writer.finish().unwrap();
        assert_eq!(names(&bytes).unwrap(), ["a=", "bc=12345", "d/e=1234"]);
        let mut reader = Reader::new(bytes.as_slice());
        for entry in entries {
            assert_eq!(reader.next_item().unwrap(), Some(Item::Named(entry)));
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut bytes = entry("070701", "./a", b"one", 0);
        bytes.extend(entry("070701", "TRAILER!!!", b"", 0));
        for cut in 0..bytes.len() {
            assert!(names(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(names(&bytes).is_ok());
    }
}
