//! tar-split: what is left of a tar when the contents are taken out, as JSON lines. Go's `vbatts/tar-split` reads and
//! writes these.
//!
//! Two kinds of lines take turns: raw bytes (a member's headers, before them the padding of the member before; at the
//! end the zero blocks), and one line for each member, where its content belongs if it has any.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{ENTRY_LIMIT, TABLE_LIMIT, TocError};
use crate::tar::BLOCK_SIZE;

/// `FileType` of tar-split.
const CONTENT: u64 = 1;
/// `SegmentType` of tar-split.
const BYTES: u64 = 2;

/// One line. The order of the fields is that of the Go type.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    /// Base64 of a name that is no UTF-8.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name_raw: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    size: u64,
    /// Base64 of the bytes, or of the content's checksum.
    payload: Option<String>,
    position: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Collects the tar-split of a tar whose members are told in order.
#[derive(Debug, Default)]
pub struct TarSplitWriter {
    lines: Vec<u8>,
    position: u64,
    /// Zero bytes that follow the last member's content.
    padding: usize,
}

impl TarSplitWriter {
    /// Of a tar without members yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member: all bytes of its headers (without the padding of the member before it, which is known from that
    /// one's size), its name as the header has it, with a directory's slash, and of its content the size and Go's
    /// `crc64.ISO` checksum. Without content the checksum is passed over.
    pub fn member(&mut self, raw_header: &[u8], name: impl AsRef<[u8]>, size: u64, crc64: Option<u64>) {
        self.bytes(raw_header);
        let crc64 = crc64.filter(|_| size > 0).map(|crc64| STANDARD.encode(crc64.to_be_bytes()));
        let (name, name_raw) = match std::str::from_utf8(name.as_ref()) {
            Ok(name) => (name.to_owned(), String::new()),
            Err(_) => (String::new(), STANDARD.encode(name.as_ref())),
        };
        self.line(CONTENT, name, name_raw, size, crc64);
        self.padding = (size.wrapping_neg() % BLOCK_SIZE as u64) as usize;
    }

    /// Adds what ends the tar, and gives the JSON lines, uncompressed.
    #[must_use]
    pub fn finish(mut self, trailer: &[u8]) -> Vec<u8> {
        self.bytes(trailer);
        self.lines
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let zeros = [0; BLOCK_SIZE];
        let bytes = [&zeros[..self.padding], bytes].concat();
        if !bytes.is_empty() {
            self.line(BYTES, String::new(), String::new(), 0, Some(STANDARD.encode(bytes)));
        }
    }

    fn line(&mut self, kind: u64, name: String, name_raw: String, size: u64, payload: Option<String>) {
        let line = Line { kind, name, name_raw, size, payload, position: self.position };
        // Writing strings and numbers into memory cannot fail.
        drop(serde_json::to_writer(&mut self.lines, &line));
        self.lines.push(b'\n');
        self.position += 1;
    }
}

/// A piece of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarSplitItem {
    /// These bytes: headers, padding, zero blocks.
    Bytes(Vec<u8>),
    /// The content of a member, and nothing when it has none.
    Content {
        /// The member's name as its header has it; what is no UTF-8 in it is replaced.
        name: String,
        /// Bytes of content.
        size: u64,
        /// Their `crc64.ISO` checksum, most significant byte first; none when the size is zero.
        crc64: Option<[u8; 8]>,
    },
}

/// Reads a tar-split.
///
/// # Errors
/// When a line is malformed, or there are too many or too long ones.
pub fn read_tar_split(json_lines: &[u8]) -> Result<Vec<TarSplitItem>, TocError> {
    if json_lines.len() as u64 > TABLE_LIMIT {
        let (size, limit) = (json_lines.len() as u64, TABLE_LIMIT);
        return Err(TocError::TooLarge { what: "the number of bytes in the tar-split", size, limit });
    }
    let mut items = Vec::new();
    for (index, line) in json_lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if items.len() >= ENTRY_LIMIT {
            let (size, limit) = (items.len() as u64 + 1, ENTRY_LIMIT as u64);
            return Err(TocError::TooLarge { what: "the number of lines in the tar-split", size, limit });
        }
        let wrong = |reason: String| TocError::TarSplit { line: index + 1, reason };
        let line: Line = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        if line.position != items.len() as u64 {
            return Err(wrong(format!("it has the position {} in place of {}", line.position, items.len())));
        }
        items.push(item(line).map_err(wrong)?);
    }
    Ok(items)
}

fn item(line: Line) -> Result<TarSplitItem, String> {
    let decode = |text: &str| STANDARD.decode(text).map_err(|error| format!("bad base64: {error}"));
    let payload = line.payload.as_deref().map(decode).transpose()?.unwrap_or_default();
    match line.kind {
        BYTES if line.size > 0 || !line.name.is_empty() || !line.name_raw.is_empty() => {
            Err("raw bytes have a name or a size".to_owned())
        }
        BYTES => Ok(TarSplitItem::Bytes(payload)),
        CONTENT => {
            let raw = decode(&line.name_raw)?;
            let name = if raw.is_empty() { line.name } else { String::from_utf8_lossy(&raw).into_owned() };
            if name.is_empty() {
                return Err("a member has no name".to_owned());
            }
            let crc64 = match (line.size, payload.as_slice()) {
                (0, _) => None,
                (_, bytes) => Some(bytes.try_into().map_err(|_| "a content has no checksum of 8 bytes")?),
            };
            Ok(TarSplitItem::Content { name, size: line.size, crc64 })
        }
        other => Err(format!("it is of the unknown type {other}")),
    }
}
