//! `ar(5)` archives, the outer shell of a `.deb`: bytes come in as a stream, members go out one after the other.
//!
//! Only what `deb(5)` needs: short names, no symbol tables, no GNU or BSD long names. Nothing is held in memory but
//! the 60 bytes of one header, so a member may be as large as it likes.

use std::io::{self, Read};

/// The bytes that every archive starts with.
pub const MAGIC: &[u8; 8] = b"!<arch>\n";

const HEADER_SIZE: usize = 60;

/// Skipped bytes pass through a piece of the stack of this size.
const SKIP_BUFFER: usize = 8 * 1024;

/// What a member's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name without the padding and without the slash that GNU and System V put after it.
    pub name: String,
    /// Modification time in seconds since 1970.
    pub mtime: u64,
    /// Size of the body in bytes; at most ten decimal digits.
    pub size: u64,
}

/// Why bytes are no `ar` archive.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// The first eight bytes are not [`MAGIC`].
    #[error("not an ar archive: it does not start with `!<arch>`")]
    BadMagic,
    /// The archive ends inside of something.
    #[error("ar archive ends inside {inside}")]
    Truncated {
        /// What was cut off.
        inside: String,
    },
    /// A header field holds something that it must not.
    #[error("ar header at byte {offset}: bad {field} `{text}`")]
    BadHeader {
        /// Where the header starts.
        offset: u64,
        /// Which field.
        field: &'static str,
        /// What it holds, made printable.
        text: String,
    },
    /// The archive could not be read.
    #[error("cannot read the ar archive: {0}")]
    Io(#[from] io::Error),
}

/// Reads an archive member by member, in the order in which they lie.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    offset: u64,
    name: String,
    body_left: u64,
    padding: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the archive's magic.
    ///
    /// # Errors
    /// When the input is too short or no `ar` archive.
    pub fn new(mut inner: R) -> Result<Self, ArError> {
        let mut magic = [0; MAGIC.len()];
        let read = read_full(&mut inner, &mut magic)?;
        // A cut-off download is told apart from another kind of file.
        if magic[..read] != MAGIC[..read] || read == 0 {
            return Err(ArError::BadMagic);
        }
        if read < MAGIC.len() {
            return Err(ArError::Truncated { inside: "its first line".to_owned() });
        }
        Ok(Self { inner, offset: MAGIC.len() as u64, name: String::new(), body_left: 0, padding: false })
    }

    /// Goes to the next member, past what is left of the current one; none at the end of the archive.
    ///
    /// # Errors
    /// When the archive is cut off or the header is malformed.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArError> {
        self.finish_member()?;
        let mut header = [0; HEADER_SIZE];
        let read = read_full(&mut self.inner, &mut header)?;
        if read == 0 {
            return Ok(None);
        }
        if read < HEADER_SIZE {
            return Err(ArError::Truncated { inside: format!("the header at byte {}", self.offset) });
        }
        let member = parse_header(&header, self.offset)?;
        self.offset += HEADER_SIZE as u64;
        self.body_left = member.size;
        self.padding = member.size % 2 == 1;
        self.name.clone_from(&member.name);
        Ok(Some(member))
    }

    /// What is left of the current member's body.
    pub fn body(&mut self) -> Body<'_, R> {
        Body { reader: self }
    }

    fn finish_member(&mut self) -> Result<(), ArError> {
        let mut scratch = [0; SKIP_BUFFER];
        while self.body_left > 0 {
            if self.read_body(&mut scratch)? == 0 {
                return Err(self.truncated_body());
            }
        }
        if std::mem::take(&mut self.padding) {
            let mut pad = [0];
            if read_full(&mut self.inner, &mut pad)? == 0 {
                return Err(ArError::Truncated { inside: format!("the padding of member `{}`", self.name) });
            }
            if pad != *b"\n" {
                return Err(bad_header(self.offset, "padding", &pad));
            }
            self.offset += 1;
        }
        Ok(())
    }

    fn read_body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..room])?;
        self.body_left -= read as u64;
        self.offset += read as u64;
        Ok(read)
    }

    fn truncated_body(&self) -> ArError {
        ArError::Truncated {
            inside: format!("member `{}`, {} bytes before its end", self.name, self.body_left),
        }
    }
}

/// The body of one member; reading past the end of a cut-off archive is an [`io::ErrorKind::UnexpectedEof`] that
/// holds an [`ArError::Truncated`].
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
            read => Ok(read),
        }
    }
}

fn parse_header(header: &[u8; HEADER_SIZE], offset: u64) -> Result<Member, ArError> {
    if header[58..60] != *b"`\n" {
        return Err(bad_header(offset, "end of header", &header[58..60]));
    }
    let field = trim(&header[..16]);
    let name = field.strip_suffix(b"/").unwrap_or(field);
    // An empty name is the symbol table or the name table of GNU ar, `#1/20` a long name of BSD: neither is in a .deb.
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    if name.is_empty() || !name.iter().all(plain) {
        return Err(bad_header(offset, "member name", field));
    }
    // Some writers leave the time blank.
    let time = trim(&header[16..28]);
    let mtime = if time.is_empty() { Some(0) } else { decimal(time) };
    Ok(Member {
        name: String::from_utf8_lossy(name).into_owned(),
        mtime: mtime.ok_or_else(|| bad_header(offset, "time", time))?,
        size: decimal(trim(&header[48..58])).ok_or_else(|| bad_header(offset, "size", &header[48..58]))?,
    })
}

fn bad_header(offset: u64, field: &'static str, bytes: &[u8]) -> ArError {
    ArError::BadHeader { offset, field, text: bytes.escape_ascii().to_string() }
}

fn trim(field: &[u8]) -> &[u8] {
    let end = field.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &field[..end]
}

/// Digits only: `str::parse` would also take a plus sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Fills the buffer as far as the input goes.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes an archive of members that are at hand, each root's, mode 0644 and of this time; none where a name or a number
/// does not fit into a header.
#[must_use]
pub fn write<'a>(mtime: u64, members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<Vec<u8>> {
    let mut archive = MAGIC.to_vec();
    for (name, bytes) in members {
        let header = format!("{name:<16}{mtime:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, "100644", bytes.len());
        if header.len() != HEADER_SIZE || !header.is_ascii() {
            return None;
        }
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(bytes);
        if !bytes.len().is_multiple_of(2) {
            archive.push(b'\n');
        }
    }
    Some(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 7, 0, 0, "100644", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        if body.len() % 2 == 1 {
            bytes.push(b'\n');
        }
        bytes
    }

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, body) in members {
            bytes.extend(member(name, body));
        }
        bytes
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>, ArError> {
        let mut reader = Reader::new(bytes)?;
        let mut names = Vec::new();
        while let Some(member) = reader.next_member()? {
            names.push(member.name);
        }
        Ok(names)
    }

    #[test]
    fn reads_names_and_bodies_with_padding() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("odd/", b"abc"), ("empty", b"")]);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        let mut found = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            let mut body = Vec::new();
            reader.body().read_to_end(&mut body).unwrap();
            found.push((member.name, member.mtime, body));
        }
        let expected = [("debian-binary", &b"2.0\n"[..]), ("odd", b"abc"), ("empty", b"")];
        assert_eq!(found, expected.map(|(name, body)| (name.to_owned(), 7, body.to_vec())));
    }

    #[test]
    fn skips_bodies_that_are_not_read() {
        let bytes = archive(&[("a", &[7; 100_001]), ("b", b"x"), ("c", b"")]);
        assert_eq!(names(&bytes).unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn every_cut_is_an_error_or_a_member_boundary() {
        let bytes = archive(&[("a", b"abc"), ("b", b"abcd")]);
        let boundaries = [8, 8 + 60 + 4, bytes.len()];
        for cut in 0..=bytes.len() {
            assert_eq!(names(&bytes[..cut]).is_ok(), boundaries.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn bad_headers_are_named() {
        let with = |range: std::ops::Range<usize>, text: &str| {
            let mut bytes = archive(&[("a", b"ab")]);
            bytes[8..][range].copy_from_slice(text.as_bytes());
            names(&bytes).unwrap_err().to_string()
        };
        assert_eq!(with(48..58, "+2        "), "ar header at byte 8: bad size `+2        `");
        assert_eq!(with(48..58, "          "), "ar header at byte 8: bad size `          `");
        assert_eq!(
            with(48..58, "99999999  "),
            "ar archive ends inside member `a`, 99999997 bytes before its end"
        );
        assert_eq!(with(0..2, "//"), "ar header at byte 8: bad member name `//`");
        assert_eq!(with(0..5, "#1/20"), "ar header at byte 8: bad member name `#1/20`");
        assert_eq!(with(58..60, "xx"), "ar header at byte 8: bad end of header `xx`");
        assert_eq!(
            names(b"PK\x03\x04").unwrap_err().to_string(),
            "not an ar archive: it does not start with `!<arch>`"
        );
    }
}
