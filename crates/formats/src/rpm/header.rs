//! The header structure, of which each package has two: bytes come in, values by tag go out.
//!
//! A header is an index (16 bytes an entry: tag, type, offset, count, all big-endian) and a store that the offsets
//! point into. The first entry is the region: it tells which part of the header is as it was when the package was
//! built. The checks are those of rpm's `hdrblobVerifyRegion` and `hdrblobVerifyInfo`, and one more: no tag twice,
//! since readers differ about which one counts.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use crate::rpm::tag;

/// What every header starts with: magic, version 1, four reserved bytes.
pub const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// Magic, number of index entries, size of the store.
const INTRO_SIZE: usize = 16;
/// An entry of the index, and the trailer of a region.
const ENTRY_SIZE: usize = 16;
/// rpm's own limit on the entries of a main header.
const MAIN_ENTRIES: u32 = 0xffff;
/// rpm's own limit on the entries of a signature header.
const SIGNATURE_ENTRIES: u32 = 32;
/// Nothing protects a signature header, so what a stranger can put into memory and caches by it is kept to a quarter of
/// rpm's own limit. Most of one are IMA signatures, in Fedora about 200 bytes a file: there is room for 80,000.
const SIGNATURE_STORE: u64 = 16 << 20;
/// Tags below are rpm's own business.
const FIRST_TAG: u32 = tag::I18N_TABLE;

/// Which of the headers of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The one with signatures and digests, which nothing protects.
    Signature,
    /// The one that describes the package, which signatures are about.
    Main,
    /// The main one as a database of installed packages holds it, with what the installation added behind its region.
    Installed,
}

impl Part {
    const fn region(self) -> u32 {
        match self {
            Self::Signature => tag::SIGNATURES_REGION,
            Self::Main | Self::Installed => tag::IMMUTABLE_REGION,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Signature => "signature header",
            Self::Main => "main header",
            Self::Installed => "installed header",
        })
    }
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {reason}")]
pub struct HeaderError {
    /// Which of the two.
    pub part: Part,
    /// What is wrong.
    pub reason: String,
}

/// The type of an entry's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One byte each; a character in old headers.
    Char,
    /// One byte each.
    Int8,
    /// Two bytes each.
    Int16,
    /// Four bytes each.
    Int32,
    /// Eight bytes each.
    Int64,
    /// One string.
    String,
    /// Bytes.
    Binary,
    /// Strings.
    StringArray,
    /// One string for each locale.
    I18nString,
}

impl Kind {
    fn new(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Char,
            2 => Self::Int8,
            3 => Self::Int16,
            4 => Self::Int32,
            5 => Self::Int64,
            6 => Self::String,
            7 => Self::Binary,
            8 => Self::StringArray,
            9 => Self::I18nString,
            _ => return None,
        })
    }

    /// The number that stands for it in an index.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Char => 1,
            Self::Int8 => 2,
            Self::Int16 => 3,
            Self::Int32 => 4,
            Self::Int64 => 5,
            Self::String => 6,
            Self::Binary => 7,
            Self::StringArray => 8,
            Self::I18nString => 9,
        }
    }

    /// What the offset of such values must be a multiple of, in bytes; for numbers, also their size.
    #[must_use]
    pub const fn alignment(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int32 => 4,
            Self::Int64 => 8,
            _ => 1,
        }
    }

    const fn is_text(self) -> bool {
        matches!(self, Self::String | Self::StringArray | Self::I18nString)
    }
}

/// One entry of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its tag; see [`tag`].
    pub tag: u32,
    /// The type of its values.
    pub kind: Kind,
    /// How many values it has.
    pub count: u32,
    /// Its place in the store in bytes.
    pub offset: usize,
    /// The values as they are stored.
    pub data: &'a [u8],
}

/// One header structure, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    part: Part,
    bytes: Vec<u8>,
    slots: BTreeMap<u32, Slot>,
}

/// Where an entry lies; checked to be inside of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    kind: Kind,
    count: u32,
    offset: usize,
    start: usize,
    end: usize,
}

impl fmt::Debug for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Header")
            .field("part", &self.part)
            .field("tags", &self.slots.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The numbers of an index entry as they are stored.
#[derive(Debug, Clone, Copy)]
struct Raw {
    tag: u32,
    kind: u32,
    offset: i32,
    count: u32,
}

impl Raw {
    fn at(bytes: &[u8], start: usize) -> Option<Self> {
        let word = |at: usize| {
            let word = bytes.get(start..)?.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*word))
        };
        Some(Self { tag: word(0)?, kind: word(4)?, offset: word(8)?.cast_signed(), count: word(12)? })
    }

    /// Whether this is the entry, or with the trailer's sign the trailer, of a region.
    const fn is_region(&self, region: u32) -> bool {
        self.tag == region && self.kind == Kind::Binary.number() && self.count == ENTRY_SIZE as u32
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, kind, offset, count } = self;
        write!(formatter, "tag {tag} type {kind} offset {offset} count {count}")
    }
}

impl Header {
    /// Reads a header off a stream: no byte more than it has. `limit` is the largest store that is taken, in bytes.
    ///
    /// # Errors
    /// An I/O error when the stream ends or fails inside of it; within, what is wrong with a header that came whole.
    pub(super) fn read(
        part: Part,
        mut reader: impl Read,
        limit: u64,
    ) -> io::Result<Result<Self, HeaderError>> {
        let mut intro = [0; INTRO_SIZE];
        reader.read_exact(&mut intro)?;
        let size = match body_size(part, &intro, limit) {
            Ok(size) => size,
            Err(error) => return Ok(Err(error)),
        };
        // The memory grows with what really comes, not with what was announced.
        let mut bytes = intro.to_vec();
        reader.take(size).read_to_end(&mut bytes)?;
        if (bytes.len() - INTRO_SIZE) as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self::check(part, bytes))
    }

    /// A header from its bytes, magic included; they must be used up.
    ///
    /// # Errors
    /// When it is malformed or of another size than it says.
    pub fn parse(part: Part, bytes: &[u8]) -> Result<Self, HeaderError> {
        let fail = |reason: &str| HeaderError { part, reason: reason.to_owned() };
        let intro = bytes.first_chunk::<INTRO_SIZE>().ok_or_else(|| fail("it is cut off"))?;
        let size = body_size(part, intro, u64::MAX)?;
        if (bytes.len() - INTRO_SIZE) as u64 != size {
            return Err(fail("it is not of the size that it says"));
        }
        Self::check(part, bytes.to_vec())
    }

    fn check(part: Part, bytes: Vec<u8>) -> Result<Self, HeaderError> {
        let slots = Checker::new(&bytes).and_then(|checker| checker.list(checker.region_end(part)?));
        let slots = slots.map_err(|reason| HeaderError { part, reason })?;
        Ok(Self { part, bytes, slots })
    }

    /// The header as it lies in the file: magic, index and store, without padding. Signatures are about these bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is an entry of this tag.
    #[must_use]
    pub fn has(&self, tag: u32) -> bool {
        self.slots.contains_key(&tag)
    }

    /// All entries but the region, by tag.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.slots.iter().map(|(tag, slot)| Entry {
            tag: *tag,
            kind: slot.kind,
            count: slot.count,
            offset: slot.offset,
            data: self.data(*slot),
        })
    }

    /// A text; of several, the first, which for translated ones is that of the C locale. From the first byte that is
    /// not UTF-8 on, it is cut.
    #[must_use]
    pub fn string(&self, tag: u32) -> Option<&str> {
        self.texts(tag).next().map(valid)
    }

    /// All texts of a tag, each cut as by [`Header::string`]; none when there is no such tag or it has no texts.
    #[must_use]
    pub fn strings(&self, tag: u32) -> Vec<&str> {
        self.texts(tag).map(valid).collect()
    }

    /// All texts of a tag as bytes, for what need not be UTF-8, such as paths.
    #[must_use]
    pub fn byte_strings(&self, tag: u32) -> Vec<&[u8]> {
        self.texts(tag).collect()
    }

    /// All 16-bit numbers of a tag; none when there is no such tag or it is of another type.
    #[must_use]
    pub fn u16s(&self, tag: u32) -> Vec<u16> {
        self.numbers(tag, Kind::Int16, u16::from_be_bytes)
    }

    /// All 32-bit numbers of a tag, likewise.
    #[must_use]
    pub fn u32s(&self, tag: u32) -> Vec<u32> {
        self.numbers(tag, Kind::Int32, u32::from_be_bytes)
    }

    /// All 64-bit numbers of a tag, likewise.
    #[must_use]
    pub fn u64s(&self, tag: u32) -> Vec<u64> {
        self.numbers(tag, Kind::Int64, u64::from_be_bytes)
    }

    /// The first 32-bit number of a tag.
    #[must_use]
    pub fn u32(&self, tag: u32) -> Option<u32> {
        self.u32s(tag).first().copied()
    }

    /// The bytes of a tag.
    #[must_use]
    pub fn binary(&self, tag: u32) -> Option<&[u8]> {
        let slot = self.slots.get(&tag).filter(|slot| slot.kind == Kind::Binary)?;
        Some(self.data(*slot))
    }

    fn texts(&self, tag: u32) -> impl Iterator<Item = &[u8]> {
        let slot = self.slots.get(&tag).filter(|slot| slot.kind.is_text());
        // Each text has a zero byte after it, so that the last piece is empty and no text.
        let count = slot.map_or(0, |slot| slot.count as usize);
        slot.map_or(&[][..], |slot| self.data(*slot)).split(|byte| *byte == 0).take(count)
    }

    fn numbers<T, const SIZE: usize>(&self, tag: u32, kind: Kind, read: fn([u8; SIZE]) -> T) -> Vec<T> {
        let data =
            self.slots.get(&tag).filter(|slot| slot.kind == kind).map_or(&[][..], |slot| self.data(*slot));
        data.as_chunks::<SIZE>().0.iter().map(|bytes| read(*bytes)).collect()
    }

    fn data(&self, slot: Slot) -> &[u8] {
        self.bytes.get(slot.start..slot.end).unwrap_or_default()
    }
}

/// The part of a text that is UTF-8.
fn valid(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// Size of index and store in bytes, as the first 16 bytes give it.
fn body_size(part: Part, intro: &[u8; INTRO_SIZE], limit: u64) -> Result<u64, HeaderError> {
    let fail = |reason: String| Err(HeaderError { part, reason });
    let [magic @ .., _, _, _, _, _, _, _, _] = intro;
    if *magic != MAGIC {
        return fail(format!("it starts with `{}`, not with the magic of a header", magic.escape_ascii()));
    }
    let (entries, store) = sizes(intro);
    let (most_entries, most_store) = match part {
        Part::Signature => (SIGNATURE_ENTRIES, SIGNATURE_STORE.min(limit)),
        Part::Main | Part::Installed => (MAIN_ENTRIES, limit),
    };
    if entries == 0 || entries > most_entries {
        return fail(format!("it has {entries} entries where 1 to {most_entries} are allowed"));
    }
    if u64::from(store) > most_store {
        return fail(format!("its store of {store} bytes is larger than the allowed {most_store}"));
    }
    Ok(u64::from(entries) * ENTRY_SIZE as u64 + u64::from(store))
}

/// Number of entries and size of the store.
fn sizes(bytes: &[u8]) -> (u32, u32) {
    let word = |at: usize| {
        bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).map_or(0, |word| u32::from_be_bytes(*word))
    };
    (word(8), word(12))
}

/// Checks the entries of a header whose size was checked.
struct Checker<'a> {
    bytes: &'a [u8],
    entries: usize,
    /// Where the store begins.
    store: usize,
    /// How long it is.
    length: usize,
}

impl<'a> Checker<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let (entries, length) = sizes(bytes);
        let (entries, length) = (entries as usize, length as usize);
        let store = INTRO_SIZE + entries * ENTRY_SIZE;
        if store + length != bytes.len() {
            return Err("it is not of the size that it says".to_owned());
        }
        Ok(Self { bytes, entries, store, length })
    }

    fn raw(&self, number: usize) -> Result<Raw, String> {
        Raw::at(self.bytes, INTRO_SIZE + number * ENTRY_SIZE).ok_or_else(|| "its index is cut off".to_owned())
    }

    /// Where in the store the region ends, its trailer included.
    fn region_end(&self, part: Part) -> Result<usize, String> {
        let first = self.raw(0)?;
        if !first.is_region(part.region()) {
            return Err(format!("its first entry is no region {}: {first}", part.region()));
        }
        let trailer_start = usize::try_from(first.offset).unwrap_or(usize::MAX);
        let end = trailer_start.checked_add(ENTRY_SIZE).filter(|end| *end <= self.length);
        let end = end.ok_or_else(|| format!("its region's offset {} is out of the store", first.offset))?;
        let mut trailer = Raw::at(self.bytes, self.store + trailer_start)
            .ok_or_else(|| "its region is cut off".to_owned())?;
        if part == Part::Signature && trailer.tag == tag::IMAGE_REGION {
            trailer.tag = tag::SIGNATURES_REGION;
        }
        if !trailer.is_region(part.region()) {
            return Err(format!("its region's trailer is wrong: {trailer}"));
        }
        // The trailer says how long the region's index is, as an offset back from it.
        let index = trailer.offset.checked_neg().and_then(|index| usize::try_from(index).ok());
        let index = index.filter(|index| index.is_multiple_of(ENTRY_SIZE) && *index > 0);
        let index = index.ok_or_else(|| format!("its region's trailer is wrong: {trailer}"))?;
        let whole = self.entries * ENTRY_SIZE;
        // Nothing may follow in a package's main header: no signature would be about it.
        let exact = part != Part::Main || (index == whole && end == self.length);
        if index > whole || !exact {
            return Err(format!(
                "its region covers {index} bytes of an index of {whole}, and {end} of a store of {}",
                self.length
            ));
        }
        Ok(end)
    }

    fn list(&self, region_end: usize) -> Result<BTreeMap<u32, Slot>, String> {
        let mut slots = BTreeMap::new();
        let mut end = 0;
        for number in 1..self.entries {
            let raw = self.raw(number)?;
            let slot = self.slot(raw).map_err(|reason| format!("{raw}: {reason}"))?;
            if slot.offset < end {
                return Err(format!("{raw}: it overlaps the entry before it"));
            }
            end = slot.end - self.store;
            if slot.offset < region_end && end > region_end - ENTRY_SIZE {
                return Err(format!("{raw}: it overlaps the region's trailer"));
            }
            if slots.insert(raw.tag, slot).is_some() {
                return Err(format!("{raw}: the tag is there twice"));
            }
        }
        Ok(slots)
    }

    fn slot(&self, raw: Raw) -> Result<Slot, &'static str> {
        if raw.tag < FIRST_TAG {
            return Err("the tag is reserved");
        }
        let kind = Kind::new(raw.kind).ok_or("the type is unknown")?;
        let offset = usize::try_from(raw.offset).map_err(|_| "the offset is negative")?;
        if !offset.is_multiple_of(kind.alignment()) {
            return Err("the offset is not aligned");
        }
        let start = self.store + offset;
        let data = self.bytes.get(start..).ok_or("the offset is out of the store")?;
        let count = usize::try_from(raw.count).map_err(|_| "the count is too large")?;
        let length = match kind {
            Kind::String if count != 1 => return Err("a single text has a count other than 1"),
            _ if kind.is_text() => texts_length(data, count).ok_or("a text has no end")?,
            _ => count.checked_mul(kind.alignment()).ok_or("the count is too large")?,
        };
        if length == 0 {
            return Err("it has no values");
        }
        if length > data.len() {
            return Err("its values go beyond the store");
        }
        Ok(Slot { kind, count: raw.count, offset, start, end: start + length })
    }
}

/// How many bytes these many texts take, each with its zero byte.
fn texts_length(data: &[u8], count: usize) -> Option<usize> {
    let mut length: usize = 0;
    for _ in 0..count {
        length += memchr::memchr(0, data.get(length..)?)? + 1;
    }
    Some(length)
}
