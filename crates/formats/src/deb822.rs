//! Debian's control data, deb822(5): bytes in, paragraphs of fields out, nothing copied.
//!
//! `Packages` of a whole distribution is 65 MB of it, so [`Reader`] takes it as it is decompressed and holds one
//! paragraph at a time; small files (`control`, `status`, `Release`) are read in place by [`paragraphs`].

use std::io::{self, Read};

use memchr::memmem::Finder;

/// The longest paragraph that [`Reader`] takes. The longest in Debian is under 200 kB; without a limit a hostile
/// index could fill the memory with one.
pub const PARAGRAPH_LIMIT: usize = 4 * 1024 * 1024;

/// How much [`Reader`] asks for at a time.
const CHUNK: usize = 256 * 1024;

/// What is wrong with control data.
#[derive(Debug, thiserror::Error)]
pub enum Deb822Error {
    /// A line is neither a field nor the continuation of one.
    #[error("line {line}: `{text}` is neither a field (`Name: value`) nor a continuation line")]
    NotAField {
        /// Line number, from 1.
        line: usize,
        /// The line, cut at 100 characters.
        text: String,
    },
    /// A field stands twice in one paragraph, so that readers would differ in what they see.
    #[error("line {line}: field `{field}` stands twice in one paragraph")]
    Duplicate {
        /// Line number of the second, from 1.
        line: usize,
        /// The field's name.
        field: String,
    },
    /// The paragraph is not UTF-8.
    #[error("the paragraph at line {line} is not UTF-8")]
    NotUtf8 {
        /// Line number of the paragraph's start, from 1.
        line: usize,
    },
    /// A paragraph is longer than [`PARAGRAPH_LIMIT`].
    #[error("the paragraph at line {line} is longer than {PARAGRAPH_LIMIT} bytes")]
    TooLong {
        /// Line number of the paragraph's start, from 1.
        line: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A run of fields, up to an empty line. Its form has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paragraph<'a> {
    text: &'a str,
    line: usize,
}

/// Splits control data into its paragraphs; empty lines before, between and after them carry no meaning. Stops after
/// the first error.
pub fn paragraphs(bytes: &[u8]) -> impl Iterator<Item = Result<Paragraph<'_>, Deb822Error>> {
    let (mut rest, mut line, mut failed) = (bytes, 1, false);
    let finder = Finder::new(b"\n\n");
    std::iter::from_fn(move || {
        line += skip_empty_lines(&mut rest);
        if rest.is_empty() || failed {
            return None;
        }
        let (paragraph, after) = rest.split_at(finder.find(rest).map_or(rest.len(), |end| end + 1));
        rest = after;
        match Paragraph::new(paragraph, line) {
            Ok((paragraph, lines)) => {
                line += lines;
                Some(Ok(paragraph))
            }
            Err(error) => {
                failed = true;
                Some(Err(error))
            }
        }
    })
}

impl<'a> Paragraph<'a> {
    /// Checks the form of one paragraph's bytes, which begin at this line; also gives the number of its lines.
    fn new(bytes: &'a [u8], line: usize) -> Result<(Self, usize), Deb822Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| Deb822Error::NotUtf8 { line })?;
        let mut names: [&[u8]; 64] = [&[]; 64];
        let (mut fields, mut lines, mut start) = (0, 0, 0);
        while start < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
            let content = &bytes[start..end];
            if fields == 0 || !matches!(content.first(), Some(b' ' | b'\t')) {
                let number = line + lines;
                let Some(name) = field_name(content) else {
                    let text = text[start..end].trim_end_matches('\r').chars().take(100).collect();
                    return Err(Deb822Error::NotAField { line: number, text });
                };
                let known = &names[..fields.min(names.len())];
                if known.iter().any(|other| other.len() == name.len() && other.eq_ignore_ascii_case(name)) {
                    let field = text[start..start + name.len()].chars().take(100).collect();
                    return Err(Deb822Error::Duplicate { line: number, field });
                }
                // Past the 64th field, which no real paragraph has, only the first 64 are told apart.
                if let Some(slot) = names.get_mut(fields) {
                    *slot = name;
                }
                fields += 1;
            }
            lines += 1;
            start = end + 1;
        }
        Ok((Self { text, line }, lines))
    }

    /// The line at which it begins, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The paragraph as it was written, without the empty line after it.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The fields in their order: name and value. A value is trimmed, and holds its continuation lines as they were
    /// written.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.text.as_bytes();
        let mut text = self.text;
        std::iter::from_fn(move || {
            let colon = memchr::memchr(b':', rest)?;
            let mut end = colon;
            loop {
                match memchr::memchr(b'\n', &rest[end..]) {
                    None => {
                        end = rest.len();
                        break;
                    }
                    Some(line) => end += line + 1,
                }
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (field, after) = text.split_at(end);
            (text, rest) = (after, after.as_bytes());
            Some((&field[..colon], field[colon + 1..].trim_ascii()))
        })
    }

    /// The value of a field, whatever the case of its name's letters; none when it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The name before the colon, when it is one: printable ASCII that does not begin with `#` or `-` (deb822(5)).
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b':' || !byte.is_ascii_graphic())?;
    let valid = end > 0 && line[end] == b':' && !matches!(line[0], b'#' | b'-');
    valid.then(|| &line[..end])
}

fn skip_empty_lines(rest: &mut &[u8]) -> usize {
    let empty = rest.iter().take_while(|byte| **byte == b'\n').count();
    *rest = &rest[empty..];
    empty
}

/// Reads paragraphs from a stream, holding no more than one of them and a chunk.
#[derive(Debug)]
pub struct Reader<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    line: usize,
    ended: bool,
    finder: Finder<'static>,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of control data.
    pub fn new(reader: R) -> Self {
        let buffer = Vec::with_capacity(2 * CHUNK);
        Self { reader, buffer, start: 0, line: 1, ended: false, finder: Finder::new(b"\n\n") }
    }

    /// The next paragraph; none at the end.
    ///
    /// # Errors
    /// When the stream cannot be read, or is no control data.
    pub fn next_paragraph(&mut self) -> Result<Option<Paragraph<'_>>, Deb822Error> {
        let (start, end) = loop {
            let mut rest = &self.buffer[self.start..];
            let empty = skip_empty_lines(&mut rest);
            self.line += empty;
            self.start += empty;
            match self.finder.find(rest) {
                Some(length) => break (self.start, self.start + length + 1),
                None if self.ended && rest.is_empty() => return Ok(None),
                None if self.ended => break (self.start, self.buffer.len()),
                None if rest.len() > PARAGRAPH_LIMIT => return Err(Deb822Error::TooLong { line: self.line }),
                None => self.fill()?,
            }
        };
        let (paragraph, lines) = Paragraph::new(&self.buffer[start..end], self.line)?;
        self.line += lines;
        self.start = end;
        Ok(Some(paragraph))
    }

    fn fill(&mut self) -> Result<(), io::Error> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str =
        "\n\nPackage: a\nDepends: b (>= 1),\n c | d\nDescription: first\n .\n more\n\n\nPackage: b\nEmpty:\n";

    fn read_all(text: &[u8]) -> Result<Vec<Vec<(String, String)>>, Deb822Error> {
        paragraphs(text)
            .map(|paragraph| {
                Ok(paragraph?.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
            })
            .collect()
    }

    #[test]
    fn paragraphs_fields_and_continuation_lines() {
        let found: Vec<_> = paragraphs(SAMPLE.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(found.iter().map(Paragraph::line).collect::<Vec<_>>(), [3, 11]);
        assert_eq!(found[0].get("depends"), Some("b (>= 1),\n c | d"));
        assert_eq!(found[0].get("Description"), Some("first\n .\n more"));
        assert_eq!(found[1].get("Empty"), Some(""));
        assert_eq!(found[1].get("Depends"), None);
        assert_eq!(found[1].as_str(), "Package: b\nEmpty:\n");
    }

    #[test]
    fn a_stream_in_any_pieces_gives_the_same_paragraphs() {
        struct Drip<'a>(&'a [u8], usize);
        impl Read for Drip<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = self.1.min(buffer.len()).min(self.0.len());
                buffer[..length].copy_from_slice(&self.0[..length]);
                self.0 = &self.0[length..];
                Ok(length)
            }
        }
        let expected: Vec<_> = paragraphs(SAMPLE.as_bytes()).map(|paragraph| paragraph.unwrap()).collect();
        for piece in [1, 2, 7, 1000] {
            let mut reader = Reader::new(Drip(SAMPLE.as_bytes(), piece));
            let mut lines = Vec::new();
            while let Some(paragraph) = reader.next_paragraph().unwrap() {
                assert_eq!(paragraph, expected[lines.len()]);
                lines.push(paragraph.line());
            }
            assert_eq!(lines, [3, 11]);
        }
    }

    #[test]
    fn malformed_data_is_refused_with_its_line() {
        for (text, message) in [
            (
                &b"Package: a\nno field\n"[..],
                "line 2: `no field` is neither a field (`Name: value`) nor a continuation line",
            ),
            (
                b" leading: a\n",
                "line 1: ` leading: a` is neither a field (`Name: value`) nor a continuation line",
            ),
            (
                b"A: 1\n\n\n# note: x\n",
                "line 4: `# note: x` is neither a field (`Name: value`) nor a continuation line",
            ),
            (b": 1\n", "line 1: `: 1` is neither a field (`Name: value`) nor a continuation line"),
            (b"A: 1\n b\na: 2\n", "line 3: field `a` stands twice in one paragraph"),
            (b"A: 1\n\nB: \xff\n", "the paragraph at line 3 is not UTF-8"),
        ] {
            assert_eq!(read_all(text).unwrap_err().to_string(), message);
            let mut reader = Reader::new(text);
            let error = loop {
                match reader.next_paragraph() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{message}: accepted"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn an_endless_paragraph_is_given_up() {
        let endless = io::repeat(b'a');
        let error = Reader::new(endless).next_paragraph().unwrap_err();
        assert!(matches!(error, Deb822Error::TooLong { line: 1 }), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(proptest::sample::select(b"ab: \t\n#-\xc3\xa4".to_vec()), 0..80)) {
            let whole = read_all(&bytes);
            let mut reader = Reader::new(&bytes[..]);
            let mut streamed = Vec::new();
            let result = loop {
                match reader.next_paragraph() {
                    Ok(Some(paragraph)) => streamed.push(
                        paragraph.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>(),
                    ),
                    Ok(None) => break Ok(streamed),
                    Err(error) => break Err(error),
                }
            };
            proptest::prop_assert_eq!(whole.map_err(|error| error.to_string()), result.map_err(|error| error.to_string()));
        }
    }
}
