//! What is in a layer's blob. Of zstd layers with a table of contents only the tables are read, and the chunks of package
//! records; all others are decompressed and gone through.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, bail};
use calypte_base::{Digest, Hasher, TreePath};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::zstd_chunked::{Chunk, Positions, TarSplitItem, Toc};
use calypte_formats::{deb822, oci, tar};
use calypte_rootfs::records;

use super::{LayeredImage, Place};

/// Most bytes that a layer may unpack to: four times what the largest images on public registries have.
const MOST_LAYER_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Most bytes of package records that are kept of a layer; the databases of whole hosts have some ten.
const MOST_RECORD_BYTES: u64 = 128 * 1024 * 1024;

/// Most bytes of a frame with this much content: as much as zstd makes of what it cannot compress
/// (`ZSTD_compressBound`), and some for the headers of another compressor.
const fn largest_frame(content: u64) -> u64 {
    content.saturating_add(content / 128).saturating_add(1024)
}

/// What is in a layer.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Bytes of the tar archive.
    pub(super) unpacked_size: u64,
    /// Members that are no directories.
    pub(super) files: u64,
    /// The files that record packages.
    pub(super) records: BTreeMap<TreePath, Vec<u8>>,
    /// What a client that reads tables of contents needs; none where there is no table.
    pub(super) tables: Option<Tables>,
}

/// The tables of a zstd:chunked layer.
#[derive(Debug)]
pub(super) struct Tables {
    /// Compressed bytes of the tables themselves.
    pub(super) size: u64,
    /// The chunks of all contents.
    pub(super) chunks: Vec<Chunk>,
}

/// A package that an image says it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) version: String,
    /// The source package.
    pub(super) source: String,
}

/// The bytes of a blob, in a file of its own or in an archive.
struct Blob {
    file: File,
    start: u64,
    size: u64,
}

impl Blob {
    /// Some bytes of it; the caller knows that they lie in it, and that they are not too many.
    fn bytes(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length.min(self.size)).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, self.start.saturating_add(offset))?;
        Ok(bytes)
    }
}

impl LayeredImage {
    /// What is in a layer; nothing for one of a type that is not known.
    pub(super) fn facts(&self, layer: &oci::Descriptor) -> Result<Option<Facts>> {
        let read = || -> Result<Option<Facts>> {
            let Some(compression) = compression(&layer.media_type) else { return Ok(None) };
            let blob = self.blob(layer)?;
            let facts = match Positions::from_annotations(&layer.annotations, layer.size)? {
                Some(positions) => chunked(&blob, &positions, layer)?,
                None => streamed(blob, compression, layer)?,
            };
            Ok(Some(facts))
        };
        read().with_context(|| format!("layer {} of {}", layer.digest, self.name))
    }

    fn blob(&self, layer: &oci::Descriptor) -> Result<Blob> {
        let mut file = match &self.place {
            Place::Layout(layout) => layout.blob(layer)?.into_inner(),
            Place::Store(store) => {
                let file = store.blob(&layer.digest)?.context("the store has it no more")?.into_file();
                let found = file.metadata()?.len();
                if found != layer.size {
                    bail!("it has {found} bytes in place of {}", layer.size);
                }
                file
            }
        };
        Ok(Blob { start: file.stream_position()?, file, size: layer.size })
    }
}

fn compression(media_type: &str) -> Option<Compression> {
    let (_, form) = media_type.rsplit_once(".tar")?;
    match form {
        "" => Some(Compression::None),
        "+gzip" | ".gzip" => Some(Compression::Gzip),
        "+zstd" | ".zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

fn chunked(blob: &Blob, positions: &Positions, layer: &oci::Descriptor) -> Result<Facts> {
    let toc = positions.read_toc(&blob.bytes(positions.toc.offset, positions.toc.length)?)?;
    let mut size = positions.toc.length;
    let mut facts = match &positions.tar_split {
        Some(tar_split) => {
            size += tar_split.length;
            let items = positions.read_tar_split(&blob.bytes(tar_split.offset, tar_split.length)?, &toc)?;
            let bytes = |item: &TarSplitItem| match item {
                TarSplitItem::Bytes(bytes) => bytes.len() as u64,
                TarSplitItem::Content { size, .. } => *size,
            };
            let unpacked_size = items.iter().map(bytes).fold(0, u64::saturating_add);
            let files = toc.entries.iter().filter(|entry| entry.member.kind != tar::EntryKind::Directory);
            let files = files.count() as u64;
            Facts { unpacked_size, files, records: records_of(blob, &toc)?, tables: None }
        }
        // Without it nobody knows the size of the archive.
        None => {
            let again = Blob { file: blob.file.try_clone()?, ..*blob };
            streamed(again, Compression::Zstd, layer)?
        }
    };
    let chunks = toc.entries.into_iter().flat_map(|entry| entry.chunks).collect();
    facts.tables = Some(Tables { size, chunks });
    Ok(facts)
}

/// The package records, out of their chunks.
fn records_of(blob: &Blob, toc: &Toc) -> Result<BTreeMap<TreePath, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = MOST_RECORD_BYTES;
    for entry in &toc.entries {
        let member = &entry.member;
        let Some(path) = record(member) else { continue };
        left = left.checked_sub(member.size).with_context(|| format!("{path} is too large"))?;
        let mut bytes = Vec::new();
        for chunk in &entry.chunks {
            let length = chunk.end.saturating_sub(chunk.offset);
            if length > largest_frame(chunk.size) {
                bail!("{path}: its table of contents gives {length} bytes to a chunk of {}", chunk.size);
            }
            let frame = blob.bytes(chunk.offset, length)?;
            let start = bytes.len();
            decoder(Compression::Zstd, frame.as_slice(), chunk.size)?.read_to_end(&mut bytes)?;
            if Digest::of(bytes.get(start..).unwrap_or_default()) != chunk.digest {
                bail!("{path} is not what the table of contents says");
            }
        }
        found.insert(path, bytes);
    }
    Ok(found)
}

/// The path of a member that records packages.
fn record(member: &tar::Entry) -> Option<TreePath> {
    if member.kind != tar::EntryKind::File {
        return None;
    }
    TreePath::from_bytes(&member.path).ok().filter(records::is_record)
}

fn streamed(blob: Blob, compression: Compression, layer: &oci::Descriptor) -> Result<Facts> {
    let mut file = blob.file;
    file.seek(io::SeekFrom::Start(blob.start))?;
    let mut compressed = Hashing { inner: file.take(blob.size), hasher: Hasher::new(), size: 0 };
    let mut archive = Hashing {
        inner: decoder(compression, &mut compressed, MOST_LAYER_BYTES)?,
        hasher: Hasher::new(),
        size: 0,
    };
    let facts = members(&mut archive);
    let unpacked_size = archive.size;
    drop(archive);
    // A changed blob is the reason for whatever its reader stumbled over.
    io::copy(&mut compressed, &mut io::sink())?;
    let found = compressed.hasher.finish();
    if found != layer.digest {
        bail!("its bytes were changed: their digest is {found}");
    }
    Ok(Facts { unpacked_size, ..facts? })
}

fn members(archive: &mut impl Read) -> Result<Facts> {
    let mut facts = Facts::default();
    let mut left = MOST_RECORD_BYTES;
    let mut reader = tar::Reader::new(&mut *archive);
    while let Some(entry) = reader.next_entry()? {
        facts.files += u64::from(entry.kind != tar::EntryKind::Directory);
        let Some(path) = record(&entry) else { continue };
        left = left.checked_sub(entry.size).with_context(|| format!("{path} is too large"))?;
        let mut bytes = Vec::new();
        reader.body().read_to_end(&mut bytes)?;
        facts.records.insert(path, bytes);
    }
    drop(reader);
    io::copy(archive, &mut io::sink())?;
    Ok(facts)
}

/// Hashes and counts what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
    size: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }
}

/// The packages that records name, with their source packages. Of a Debian record what cannot be read names nothing.
pub(super) fn packages(records: &BTreeMap<TreePath, Vec<u8>>) -> Result<BTreeMap<String, Package>> {
    let mut packages = BTreeMap::new();
    for (path, bytes) in records {
        if path.file_name() == "rpmdb.sqlite" {
            for header in calypte_rpmdb::headers(bytes)? {
                let Ok(identity) = header.identity() else { continue };
                let package = Package { version: identity.version, source: identity.source };
                let name = match packages.contains_key(&identity.name) {
                    // A secondary architecture's.
                    true => format!("{}.{}", identity.name, identity.architecture),
                    false => identity.name,
                };
                packages.insert(name, package);
            }
            continue;
        }
        for paragraph in deb822::paragraphs(bytes).flatten() {
            let (Some(name), Some(version)) = (paragraph.get("Package"), paragraph.get("Version")) else {
                continue;
            };
            // Beside the name stands the version where it is another: `glibc (2.41-1)`.
            let source = paragraph.get("Source").and_then(|source| source.split(' ').next()).unwrap_or(name);
            let package = Package { version: version.to_owned(), source: source.to_owned() };
            packages.insert(name.to_owned(), package);
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use calypte_formats::zstd_chunked::TocEntry;

    use super::*;

    /// The records of a blob of this size, of which the first bytes are a frame with `content`, where a table of contents
    /// says that the frame is as long as the blob.
    fn records_in(content: &[u8], size: impl FnOnce(u64) -> u64) -> Result<BTreeMap<TreePath, Vec<u8>>> {
        let frame = calypte_image::chunked::frame(3, content).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&frame, 0).unwrap();
        let end = size(frame.len() as u64);
        file.set_len(end).unwrap();
        let (digest, size) = (Digest::of(content), content.len() as u64);
        let member = tar::Entry { size, ..tar::Entry::new("var/lib/dpkg/status", tar::EntryKind::File) };
        let chunks = vec![Chunk { size, offset: 0, end, digest }];
        let toc = Toc { entries: vec![TocEntry { member, digest: Some(digest), chunks }], tar_split: None };
        records_of(&Blob { file, start: 0, size: end }, &toc)
    }

    #[test]
    fn a_table_of_contents_that_lies_about_a_frame_costs_no_memory() {
        assert_eq!(records_in(b"one", |size| size).unwrap().len(), 1);
        // What no compressor makes smaller fits.
        let noise: Vec<u8> =
            (0..4_000_u32).flat_map(|number| *Digest::of(&number.to_le_bytes()).bytes()).collect();
        assert_eq!(records_in(&noise, |size| size).unwrap().into_values().next(), Some(noise));
        // A sparse file costs its maker nothing.
        let error = records_in(b"1", |_| 1 << 40).unwrap_err();
        assert!(error.to_string().contains("gives 1099511627776 bytes to a chunk of 1"), "{error:#}");
    }
}
