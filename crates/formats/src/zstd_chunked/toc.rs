//! The table of contents: JSON in and out. Version 1 of `containers/storage`, which took it over from CRFS.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::{Digest, Epoch};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{ENTRY_LIMIT, TABLE_LIMIT, TocError, shown};
use crate::tar::{Entry, EntryKind, PATH_LIMIT};

/// The only version.
const VERSION: u64 = 1;

/// The type of an entry that adds a chunk to the file before it.
const CHUNK: &str = "chunk";

/// What a layer holds, and where in the blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toc {
    /// The members in the order of the tar.
    pub entries: Vec<TocEntry>,
    /// Digest of the compressed tar-split.
    pub tar_split: Option<Digest>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TocEntry {
    /// All that the tar says about it, its path as the tar reader gives it.
    pub member: Entry,
    /// SHA-256 of the whole content; none when there is no content.
    pub digest: Option<Digest>,
    /// The content in order and without gaps: at least one for a file that is not empty, none for all else. Their
    /// frames follow each other without gaps too, since the format has no room to say otherwise.
    pub chunks: Vec<Chunk>,
}

/// A piece of a content; one zstd frame of the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes of content.
    pub size: u64,
    /// First byte of its frame in the blob.
    pub offset: u64,
    /// First byte after its frame.
    pub end: u64,
    /// SHA-256 of the piece of content.
    pub digest: Digest,
}

/// An entry as the JSON has it, in the order of the Go type.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    link_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u32,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u32,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    modtime: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_zero")]
    dev_major: u32,
    #[serde(skip_serializing_if = "is_zero")]
    dev_minor: u32,
    /// Base64 by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    xattrs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    end_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_digest: Option<Digest>,
}

fn is_zero<N: PartialEq + Default>(number: &N) -> bool {
    *number == N::default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RawToc<'a> {
    version: u64,
    entries: Vec<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tar_split_digest: Option<Digest>,
}

impl Toc {
    /// The table as JSON. Bytes of a name that are no UTF-8 are replaced, as Go does it, and a time that RFC 3339 has
    /// no words for is left out: `containers/storage` then takes the layer as a whole.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let entries = self.entries.iter().flat_map(raw_entries).collect();
        let table = RawToc { version: VERSION, entries, tar_split_digest: self.tar_split };
        // Writing strings and numbers into memory cannot fail.
        serde_json::to_vec(&table).unwrap_or_default()
    }

    /// Reads a table. `data_end` is the byte of the blob where the first table's frame starts
    /// ([`super::Positions::data_end`]); every chunk's frame must lie before it, and after those of the chunks before.
    ///
    /// # Errors
    /// When it is not of this form, too large, or its numbers do not fit each other.
    pub fn parse(json: &[u8], data_end: u64) -> Result<Self, TocError> {
        if json.len() as u64 > TABLE_LIMIT {
            let (size, limit) = (json.len() as u64, TABLE_LIMIT);
            return Err(TocError::TooLarge {
                what: "the number of bytes in the table of contents",
                size,
                limit,
            });
        }
        let mut builder = Builder::new(data_end);
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let read = Table(&mut builder).deserialize(&mut deserializer);
        let read = read.and_then(|tar_split| deserializer.end().map(|()| tar_split));
        if let Some(error) = builder.error.take() {
            return Err(error);
        }
        let tar_split = read.map_err(|error| TocError::Json { reason: error.to_string() })?;
        Ok(Self { entries: builder.finish()?, tar_split })
    }
}

fn raw_entries(entry: &TocEntry) -> Vec<Raw<'_>> {
    let member = &entry.member;
    let name = String::from_utf8_lossy(&member.path);
    let slash = member.kind == EntryKind::Directory && !name.ends_with('/');
    let name: Cow<'_, str> = if slash { format!("{name}/").into() } else { name };
    let (kind, link_name, dev_major, dev_minor) = match &member.kind {
        EntryKind::File => ("reg", None, 0, 0),
        EntryKind::Directory => ("dir", None, 0, 0),
        EntryKind::Symlink(target) => ("symlink", Some(String::from_utf8_lossy(target)), 0, 0),
        EntryKind::HardLink(target) => ("hardlink", Some(String::from_utf8_lossy(target)), 0, 0),
        EntryKind::CharDevice { major, minor } => ("char", None, *major, *minor),
        EntryKind::BlockDevice { major, minor } => ("block", None, *major, *minor),
        EntryKind::Fifo => ("fifo", None, 0, 0),
    };
    let encode = |(name, value): (&String, &Vec<u8>)| (name.clone(), STANDARD.encode(value));
    let mut first = Raw {
        kind: kind.into(),
        name: name.clone(),
        link_name,
        mode: u64::from(member.mode),
        size: member.size,
        uid: member.uid,
        gid: member.gid,
        modtime: Some(Epoch(member.mtime).to_string()).filter(|time| is_go_time(time)).map(Cow::Owned),
        dev_major,
        dev_minor,
        xattrs: Some(member.xattrs.iter().map(encode).collect())
            .filter(|map: &BTreeMap<_, _>| !map.is_empty()),
        digest: entry.digest,
        end_offset: entry.chunks.last().map_or(0, |chunk| chunk.end),
        offset: entry.chunks.first().map_or(0, |chunk| chunk.offset),
        ..Raw::default()
    };
    let (Some(chunk), true) = (entry.chunks.first(), entry.chunks.len() > 1) else { return vec![first] };
    first.chunk_size = chunk.size;
    first.chunk_digest = Some(chunk.digest);
    let mut entries = vec![first];
    let mut chunk_offset = chunk.size;
    for chunk in &entry.chunks[1..] {
        entries.push(Raw {
            kind: CHUNK.into(),
            name: name.clone(),
            offset: chunk.offset,
            chunk_size: chunk.size,
            chunk_offset,
            chunk_digest: Some(chunk.digest),
            ..Raw::default()
        });
        chunk_offset = chunk_offset.saturating_add(chunk.size);
    }
    entries
}

/// Whether Go reads this as a time: a year of four digits.
fn is_go_time(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit) && text.contains('T')
}

/// Reads the table's object; gives the tar-split's digest.
struct Table<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Table<'_> {
    type Value = Option<Digest>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Table<'_> {
    type Value = Option<Digest>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of contents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut version, mut entries, mut tar_split) = (None, None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let twice = match key.as_ref() {
                "version" => version.replace(map.next_value::<u64>()?).is_some(),
                "entries" => entries.replace(map.next_value_seed(Entries(&mut *self.0))?).is_some(),
                "tarSplitDigest" => tar_split.replace(map.next_value::<Digest>()?).is_some(),
                _ => map.next_value::<IgnoredAny>().map(|_| false)?,
            };
            if twice {
                return Err(A::Error::custom(format_args!("`{key}` is there twice")));
            }
        }
        match (version, entries) {
            (None, _) => Err(A::Error::missing_field("version")),
            (Some(version), _) if version != VERSION => {
                self.0.error = Some(TocError::Version { version });
                Err(A::Error::custom("version"))
            }
            (_, None) => Err(A::Error::missing_field("entries")),
            _ => Ok(tar_split),
        }
    }
}

/// Reads the entries one by one, so that no more of them are held than the limit allows.
struct Entries<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element::<Raw<'de>>()? {
            if let Err(error) = self.0.add(raw) {
                let text = error.to_string();
                self.0.error = Some(error);
                return Err(A::Error::custom(text));
            }
        }
        Ok(())
    }
}

/// Puts files and their chunks together, and checks that what comes fits what came.
struct Builder {
    entries: Vec<TocEntry>,
    paths: BTreeSet<Vec<u8>>,
    /// The file whose chunks are being read.
    open: Option<Open>,
    /// Entries so far, chunks included.
    count: usize,
    /// First byte of the blob that no chunk has taken yet.
    next: u64,
    data_end: u64,
    /// Why reading stopped, past the words of the JSON library.
    error: Option<TocError>,
}

/// A file with content, as far as it is known.
struct Open {
    name: String,
    size: u64,
    /// Bytes of content that the chunks so far have.
    reached: u64,
    end: u64,
}

impl Builder {
    const fn new(data_end: u64) -> Self {
        Self {
            entries: Vec::new(),
            paths: BTreeSet::new(),
            open: None,
            count: 0,
            next: 0,
            data_end,
            error: None,
        }
    }

    fn add(&mut self, raw: Raw<'_>) -> Result<(), TocError> {
        self.count += 1;
        if self.count > ENTRY_LIMIT {
            let (size, limit) = (self.count as u64, ENTRY_LIMIT as u64);
            return Err(TocError::TooLarge {
                what: "the number of entries in the table of contents",
                size,
                limit,
            });
        }
        if raw.kind != CHUNK {
            self.close()?;
        }
        let name = shown(&raw.name);
        let added = if raw.kind == CHUNK { self.add_chunk(&raw) } else { self.add_member(&raw) };
        added.map_err(|reason| TocError::Entry { name, reason })
    }

    fn finish(mut self) -> Result<Vec<TocEntry>, TocError> {
        self.close()?;
        Ok(self.entries)
    }

    /// Ends the file whose chunks were read.
    fn close(&mut self) -> Result<(), TocError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let wrong = |reason| TocError::Entry { name: shown(&open.name), reason };
        if open.reached != open.size {
            return Err(wrong(format!("its chunks have {} of its {} bytes", open.reached, open.size)));
        }
        if let Some(TocEntry { digest, chunks, .. }) = self.entries.last()
            && let [only] = &chunks[..]
            && *digest != Some(only.digest)
        {
            return Err(wrong("its only chunk has another digest than its content".to_owned()));
        }
        self.end_last_chunk(open.end).map_err(wrong)?;
        self.next = open.end;
        Ok(())
    }

    fn add_member(&mut self, raw: &Raw<'_>) -> Result<(), String> {
        let member = member(raw)?;
        if !self.paths.insert(member.path.clone()) {
            return Err("it is there twice".to_owned());
        }
        let content = member.size > 0;
        if !content {
            if raw.offset > 0 || raw.end_offset > 0 || raw.chunk_size > 0 || raw.digest.is_some() {
                return Err("it has no content, and a place or a digest of one".to_owned());
            }
            self.entries.push(TocEntry { member, digest: None, chunks: Vec::new() });
            return Ok(());
        }
        let digest = raw.digest.ok_or("its content has no digest")?;
        if raw.end_offset > self.data_end {
            return Err(format!(
                "its content should end at byte {}, and the tables start at {}",
                raw.end_offset, self.data_end
            ));
        }
        let (size, name) = (member.size, raw.name.clone().into_owned());
        self.entries.push(TocEntry { member, digest: Some(digest), chunks: Vec::new() });
        self.open = Some(Open { name, size, reached: 0, end: raw.end_offset });
        match (raw.chunk_size, raw.chunk_digest) {
            (0, None) => self.add_piece(raw.offset, size, digest),
            (0, _) | (_, None) => Err("its first chunk lacks its size or its digest".to_owned()),
            (chunk_size, Some(chunk_digest)) => {
                if raw.chunk_offset > 0 {
                    return Err("its first chunk does not start at its first byte".to_owned());
                }
                self.add_piece(raw.offset, chunk_size, chunk_digest)
            }
        }
    }

    fn add_chunk(&mut self, raw: &Raw<'_>) -> Result<(), String> {
        let open = self.open.as_ref().filter(|open| open.name == raw.name);
        let open = open.ok_or("a chunk does not follow its file")?;
        if raw.chunk_offset != open.reached {
            return Err(format!(
                "a chunk starts at byte {} of the content in place of {}",
                raw.chunk_offset, open.reached
            ));
        }
        let digest = raw.chunk_digest.ok_or("a chunk has no digest")?;
        self.end_last_chunk(raw.offset)?;
        self.next = raw.offset;
        self.add_piece(raw.offset, raw.chunk_size, digest)
    }

    /// Adds a chunk to the last file; where its frame ends comes later.
    fn add_piece(&mut self, offset: u64, size: u64, digest: Digest) -> Result<(), String> {
        let (Some(open), Some(entry)) = (&mut self.open, self.entries.last_mut()) else { return Ok(()) };
        if offset < self.next || offset >= open.end {
            return Err(format!(
                "a chunk should start at byte {offset} of the blob, and {} to {} is free for it",
                self.next, open.end
            ));
        }
        open.reached = open
            .reached
            .checked_add(size)
            .filter(|reached| size > 0 && *reached <= open.size)
            .ok_or_else(|| {
                format!("a chunk of {size} bytes does not fit into the {} bytes of the content", open.size)
            })?;
        entry.chunks.push(Chunk { size, offset, end: offset, digest });
        Ok(())
    }

    /// Says where the frame of the chunk before ends: where the next one starts, or at the end of the content.
    fn end_last_chunk(&mut self, end: u64) -> Result<(), String> {
        let Some(chunk) = self.entries.last_mut().and_then(|entry| entry.chunks.last_mut()) else {
            return Ok(());
        };
        if end <= chunk.offset {
            return Err(format!("a chunk's frame starts at byte {} and ends at {end}", chunk.offset));
        }
        chunk.end = end;
        Ok(())
    }
}

/// The tar entry that an entry of the table describes.
fn member(raw: &Raw<'_>) -> Result<Entry, String> {
    let mut path = checked(&raw.name, "its name")?;
    let link = || raw.link_name.as_deref().ok_or("it is a link without a target".to_owned());
    let kind = match raw.kind.as_ref() {
        "reg" => EntryKind::File,
        "dir" => EntryKind::Directory,
        "symlink" => EntryKind::Symlink(checked(link()?, "its target")?),
        "hardlink" => EntryKind::HardLink(checked(link()?, "its target")?),
        "char" => EntryKind::CharDevice { major: raw.dev_major, minor: raw.dev_minor },
        "block" => EntryKind::BlockDevice { major: raw.dev_major, minor: raw.dev_minor },
        "fifo" => EntryKind::Fifo,
        other => return Err(format!("it is of the unknown type `{}`", shown(other))),
    };
    if kind == EntryKind::Directory {
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
    } else if path.ends_with(b"/") {
        return Err(format!("it is {} with a slash after its name", kind.noun()));
    }
    if kind != EntryKind::File && raw.size > 0 {
        return Err(format!("it is {} with a content of {} bytes", kind.noun(), raw.size));
    }
    let time = raw.modtime.as_deref().map(|text| match text.parse::<Epoch>() {
        Ok(time) if is_go_time(text) && is_go_time(&time.to_string()) => Ok(time.0),
        _ => Err(format!("`{}` is no RFC 3339 time", shown(text))),
    });
    let mut xattrs = BTreeMap::new();
    for (name, value) in raw.xattrs.iter().flatten() {
        let value = STANDARD.decode(value);
        let value = value.map_err(|error| format!("attribute `{}`: bad base64: {error}", shown(name)))?;
        xattrs.insert(name.clone(), value);
    }
    // Some writers keep the bits of the file's type here.
    let mode = (raw.mode & 0o7777) as u32;
    let (uid, gid, mtime) = (raw.uid, raw.gid, time.transpose()?.unwrap_or(0));
    Ok(Entry { path, kind, mode, uid, gid, mtime, size: raw.size, xattrs })
}

fn checked(text: &str, what: &str) -> Result<Vec<u8>, String> {
    if text.is_empty() || text.contains('\0') {
        return Err(format!("{what} is empty or holds a NUL"));
    }
    // A directory's slash comes on top.
    if text.trim_end_matches('/').len() > PATH_LIMIT {
        return Err(format!("{what} is longer than {PATH_LIMIT} bytes"));
    }
    Ok(text.as_bytes().to_vec())
}
