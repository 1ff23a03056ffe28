//! The frame of a clearsigned message (RFC 9580 section 7): bytes in, the signed text and the armoured signatures out.
//! Pure and without cryptography, so that it can be fuzzed.
//!
//! The frame is read as strictly as apt reads it: whatever is not under the signature must not exist. So the message
//! starts with its first byte, only `Hash:` headers stand above the text, each line that starts with a dash is
//! escaped, and nothing but blank lines and further signatures follows. What trails on a line (spaces, tabs) is not
//! signed, and is not given out.

const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";

/// Signature blocks that one message may have. Archives put all signatures into one block; a sum of more is an attack
/// on the time that their verification takes.
const MAX_BLOCKS: usize = 16;

/// The parts of a clearsigned message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The signed text: escapes undone, trailing white space dropped, each line ended by `\n`.
    pub text: String,
    /// The armoured signature blocks with their first and last lines.
    pub signatures: Vec<&'a [u8]>,
}

/// Why bytes are no clearsigned message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// There is no signed message in it.
    #[error("it is not signed: it starts with `{start}` and not with `{BEGIN_MESSAGE}`")]
    NotSigned {
        /// How it starts instead.
        start: String,
    },
    /// Something stands above the message.
    #[error("{lines} unsigned line(s) stand above the signed message")]
    TextBefore {
        /// How many lines.
        lines: usize,
    },
    /// Something stands below the signatures.
    #[error("unsigned text stands below the signature, at line {line}: `{text}`")]
    TextAfter {
        /// The first such line, counted from 1.
        line: usize,
        /// Its start.
        text: String,
    },
    /// A header other than `Hash`.
    #[error("line {line} is no header that a signed message may have: `{text}`")]
    Header {
        /// The line, counted from 1.
        line: usize,
        /// Its start.
        text: String,
    },
    /// A line of the text starts with a dash that is not escaped.
    #[error("line {line} of the signed text starts with a dash that is not escaped: `{text}`")]
    NotEscaped {
        /// The line, counted from 1.
        line: usize,
        /// Its start.
        text: String,
    },
    /// The end is missing.
    #[error("it is cut off {place}")]
    Truncated {
        /// Where.
        place: &'static str,
    },
    /// Too many signature blocks.
    #[error("it has more than {MAX_BLOCKS} signature blocks")]
    TooManyBlocks,
    /// The text is not UTF-8.
    #[error("line {line} of the signed text is not UTF-8")]
    NotUtf8 {
        /// The line, counted from 1.
        line: usize,
    },
}

/// Reads the frame of a clearsigned message.
///
/// # Errors
/// When the bytes are anything but exactly one such message.
pub fn parse(message: &[u8]) -> Result<Framed<'_>, FramingError> {
    let mut lines = Lines { rest: message, line: 0, start: 0, next: 0 };
    read_first_line(message, &mut lines)?;
    skip_headers(&mut lines)?;
    let text = read_text(&mut lines)?;
    let signatures = read_signatures(message, &mut lines)?;
    Ok(Framed { text, signatures })
}

/// The bytes that the signature covers: the text with its lines joined by `\r\n`, and none after the last
/// (RFC 9580 section 7.2).
#[must_use]
pub fn signed_bytes(text: &str) -> Vec<u8> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.replace('\n', "\r\n").into_bytes()
}

fn read_first_line(message: &[u8], lines: &mut Lines<'_>) -> Result<(), FramingError> {
    let first = lines.next().unwrap_or_default();
    if first == BEGIN_MESSAGE.as_bytes() {
        return Ok(());
    }
    let mut all = Lines { rest: message, line: 0, start: 0, next: 0 };
    while let Some(line) = all.next() {
        if line == BEGIN_MESSAGE.as_bytes() {
            return Err(FramingError::TextBefore { lines: all.line - 1 });
        }
    }
    Err(FramingError::NotSigned { start: shown(first) })
}

fn skip_headers(lines: &mut Lines<'_>) -> Result<(), FramingError> {
    while let Some(line) = lines.next() {
        if line.is_empty() {
            return Ok(());
        }
        if !line.starts_with(b"Hash: ") {
            return Err(FramingError::Header { line: lines.line, text: shown(line) });
        }
    }
    Err(FramingError::Truncated { place: "in its headers" })
}

fn read_text(lines: &mut Lines<'_>) -> Result<String, FramingError> {
    let mut text = String::new();
    while let Some(line) = lines.next() {
        if line == BEGIN_SIGNATURE.as_bytes() {
            return Ok(text);
        }
        let content = match line.strip_prefix(b"- ") {
            Some(escaped) => escaped,
            // A lone `- ` has lost its space with the trailing white space.
            None if line == b"-" && lines.had_space() => b"",
            None if line.starts_with(b"-") => {
                return Err(FramingError::NotEscaped { line: lines.line, text: shown(line) });
            }
            None => line,
        };
        let content = std::str::from_utf8(content).map_err(|_| FramingError::NotUtf8 { line: lines.line })?;
        text.push_str(content);
        text.push('\n');
    }
    Err(FramingError::Truncated { place: "before its signature" })
}

fn read_signatures<'a>(message: &'a [u8], lines: &mut Lines<'a>) -> Result<Vec<&'a [u8]>, FramingError> {
    let mut blocks = Vec::new();
    let mut block_start = Some(lines.start);
    while let Some(line) = lines.next() {
        match block_start {
            Some(start) if line == END_SIGNATURE.as_bytes() => {
                if blocks.len() == MAX_BLOCKS {
                    return Err(FramingError::TooManyBlocks);
                }
                blocks.push(&message[start..lines.next]);
                block_start = None;
            }
            Some(_) => {}
            None if line == BEGIN_SIGNATURE.as_bytes() => block_start = Some(lines.start),
            None if line.is_empty() => {}
            None => return Err(FramingError::TextAfter { line: lines.line, text: shown(line) }),
        }
    }
    if block_start.is_some() {
        return Err(FramingError::Truncated { place: "in its signature" });
    }
    Ok(blocks)
}

/// The start of a line, for an error: printable and short.
fn shown(line: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]);
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Lines without what trails on them; knows where each was.
struct Lines<'a> {
    rest: &'a [u8],
    /// Number of the current line, from 1.
    line: usize,
    /// Offset of the current line.
    start: usize,
    /// Offset after it.
    next: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.next == self.rest.len() {
            return None;
        }
        self.start = self.next;
        self.line += 1;
        let rest = &self.rest[self.start..];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |place| place + 1);
        self.next = self.start + length;
        let line = &rest[..length];
        let kept = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        Some(&line[..kept.map_or(0, |last| last + 1)])
    }

    /// Whether the current line, of one byte, had a space after it.
    fn had_space(&self) -> bool {
        self.rest.get(self.start + 1) == Some(&b' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        format!("{BEGIN_MESSAGE}\nHash: SHA256\n\n{text}{BEGIN_SIGNATURE}\n\nabc\n{END_SIGNATURE}\n")
    }

    #[test]
    fn gives_the_text_as_it_was_signed() {
        let cases = [
            ("", "", ""),
            ("a\nb\n", "a\nb\n", "a\r\nb"),
            ("a\r\nb\r\n", "a\nb\n", "a\r\nb"),
            ("a \t \nb\n\n", "a\nb\n\n", "a\r\nb\r\n"),
            ("- -----BEGIN X-----\n- - x\n", "-----BEGIN X-----\n- x\n", "-----BEGIN X-----\r\n- x"),
            ("- \n", "\n", ""),
            (" indented\n", " indented\n", " indented"),
        ];
        for (inside, text, signed) in cases {
            let message = message(inside);
            let framed = parse(message.as_bytes()).unwrap();
            assert_eq!(framed.text, text, "{inside:?}");
            assert_eq!(signed_bytes(&framed.text), signed.as_bytes(), "{inside:?}");
            assert_eq!(
                framed.signatures,
                [format!("{BEGIN_SIGNATURE}\n\nabc\n{END_SIGNATURE}\n").as_bytes()]
            );
        }
    }

    #[test]
    fn refuses_whatever_is_not_signed() {
        let good = message("a\n");
        let cases: [(String, &str); 11] = [
            (
                String::new(),
                "it is not signed: it starts with `` and not with `-----BEGIN PGP SIGNED MESSAGE-----`",
            ),
            (
                "<html>\nlogin".into(),
                "it is not signed: it starts with `<html>` and not with `-----BEGIN PGP SIGNED MESSAGE-----`",
            ),
            (format!("x\ny\n{good}"), "2 unsigned line(s) stand above the signed message"),
            (format!("{good}x: y\n"), "unsigned text stands below the signature, at line 9: `x: y`"),
            (
                format!("{good}\n{good}"),
                "unsigned text stands below the signature, at line 10: `-----BEGIN PGP SIGNED MESSAGE-----`",
            ),
            (
                good.replace("Hash: SHA256", "Origin: evil"),
                "line 2 is no header that a signed message may have: `Origin: evil`",
            ),
            (message("-a\n"), "line 4 of the signed text starts with a dash that is not escaped: `-a`"),
            (format!("{BEGIN_MESSAGE}\nHash: SHA256\n"), "it is cut off in its headers"),
            (format!("{BEGIN_MESSAGE}\n\na\n"), "it is cut off before its signature"),
            (good.replace(END_SIGNATURE, "x"), "it is cut off in its signature"),
            (
                format!("{good}{}", format!("{BEGIN_SIGNATURE}\n{END_SIGNATURE}\n").repeat(16)),
                "it has more than 16 signature blocks",
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(parse(message.as_bytes()).unwrap_err().to_string(), expected, "{message}");
        }
        let bytes = [BEGIN_MESSAGE.as_bytes(), b"\n\n\xff\n", BEGIN_SIGNATURE.as_bytes()].concat();
        assert_eq!(parse(&bytes), Err(FramingError::NotUtf8 { line: 3 }));
    }

    #[test]
    fn a_second_signature_block_is_taken() {
        let message = format!("{}\n{BEGIN_SIGNATURE}\nx\n{END_SIGNATURE}", message("a\n"));
        assert_eq!(parse(message.as_bytes()).unwrap().signatures.len(), 2);
    }

    #[test]
    fn every_prefix_of_a_message_is_refused() {
        let whole = message("a\n- -b\n");
        for length in 0..whole.trim_end().len() {
            assert!(parse(&whole.as_bytes()[..length]).is_err(), "{length}");
        }
    }
}
