//! What an update costs at least, by three measures that know nothing of layers: `bounds OLD NEW` reads two OCI layouts
//! and prints one JSON object with bytes, for `cargo xtask bench layers`.
//!
//! - `files`: the files of NEW whose content OLD has nowhere, each compressed by zstd -19.
//! - `chunks`: FastCDC chunks of 64 KiB on average that OLD has nowhere, each compressed by zstd -19, and 36 bytes of
//!   index for each chunk of NEW.
//! - `patches`: those files by `zstd -19 --patch-from` the file of the same path, numbers in it aside.
//! - `fetched`: what a client with OLD fetches of NEW as whole layers, and `chunked` as a reader of zstd:chunked.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use calypte_base::Digest;
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci::Descriptor;
use calypte_formats::tar::{EntryKind, Reader};
use calypte_formats::zstd_chunked::{Positions, Toc};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const LEVEL: i32 = 19;
const MOST: u64 = 8 << 30;

struct Image {
    layers: Vec<Descriptor>,
    /// Manifest and config.
    documents: Vec<(Digest, u64)>,
    directory: PathBuf,
}

impl Image {
    fn open(directory: &str) -> Result<Self, Failure> {
        let layout = calypte_image::read_layout(std::path::Path::new(directory))?;
        let image = layout.images().first().ok_or("the layout holds no image")?;
        let manifest = &image.descriptor;
        let config = &image.manifest.config;
        Ok(Self {
            layers: image.manifest.layers.clone(),
            documents: vec![(manifest.digest, manifest.size), (config.digest, config.size)],
            directory: directory.into(),
        })
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    /// Every file's content, by path.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let mut files = BTreeMap::new();
        for layer in &self.layers {
            let blob = fs_err::File::open(self.blob(&layer.digest))?;
            let mut reader = Reader::new(decoder(Compression::Zstd, std::io::BufReader::new(blob), MOST)?);
            while let Some(mut entry) = reader.next_entry()? {
                if entry.kind == EntryKind::File {
                    let path = String::from_utf8_lossy(&entry.path).into_owned();
                    let mut content = Vec::new();
                    reader.body().read_to_end(&mut content)?;
                    entry.size = 0;
                    files.insert(path, content);
                }
            }
        }
        Ok(files)
    }

    fn toc(&self, layer: &Descriptor) -> Result<Option<(Toc, u64)>, Failure> {
        let Some(positions) = Positions::from_annotations(&layer.annotations, layer.size)? else {
            return Ok(None);
        };
        let mut bytes = fs_err::read(self.blob(&layer.digest))?;
        let range = positions.toc.offset as usize..(positions.toc.offset + positions.toc.length) as usize;
        let compressed = bytes.drain(range).collect::<Vec<u8>>();
        let split = positions.tar_split.map_or(0, |place| place.length);
        Ok(Some((positions.read_toc(&compressed)?, positions.toc.length + split)))
    }
}

fn compressed(content: &[u8]) -> Result<u64, Failure> {
    Ok(zstd::bulk::compress(content, LEVEL)?.len() as u64)
}

fn patched(old: &[u8], new: &[u8]) -> Result<u64, Failure> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), LEVEL, old)?;
    encoder.window_log((old.len() + new.len()).next_power_of_two().ilog2().clamp(10, 27))?;
    encoder.long_distance_matching(true)?;
    std::io::Write::write_all(&mut encoder, new)?;
    Ok(encoder.finish()?.len() as u64)
}

/// A path without its numbers: `usr/lib/modules/6.1.0-1/x.ko` is the older self of `usr/lib/modules/6.1.0-2/x.ko`.
fn name(path: &str) -> String {
    path.chars().filter(|character| !character.is_ascii_digit()).collect()
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, old, new] = arguments.as_slice() else { return Err("usage: bounds OLD NEW".into()) };
    let (old, new) = (Image::open(old)?, Image::open(new)?);
    let fetched = fetched(&old, &new);
    let chunked = chunked(&old, &new)?;
    let (old, new) = (old.files()?, new.files()?);
    let known: BTreeSet<Digest> = old.values().map(|content| Digest::of(content)).collect();
    let changed: BTreeMap<Digest, (&String, &Vec<u8>)> = new
        .iter()
        .map(|(path, content)| (Digest::of(content), (path, content)))
        .filter(|(digest, _)| !known.contains(digest))
        .collect();
    let changed: Vec<_> = changed.values().collect();
    let files = sum(changed.par_iter().map(|(_, content)| compressed(content)).collect())?;
    let names: BTreeMap<String, &Vec<u8>> = old.iter().map(|(path, content)| (name(path), content)).collect();
    let patch = |(path, content): &&(&String, &Vec<u8>)| match names.get(&name(path)) {
        Some(old) => Ok(patched(old, content)?.min(compressed(content)?)),
        None => compressed(content),
    };
    let patches = sum(changed.par_iter().map(patch).collect())?;
    let have: BTreeSet<Digest> = old.values().flat_map(|content| cut(content)).map(Digest::of).collect();
    let count = new.values().map(|content| cut(content).count()).sum::<usize>() as u64;
    let missing: BTreeMap<Digest, &[u8]> = changed
        .iter()
        .flat_map(|(_, content)| cut(content))
        .map(|chunk| (Digest::of(chunk), chunk))
        .filter(|(digest, _)| !have.contains(digest))
        .collect();
    let missing: Vec<&[u8]> = missing.into_values().collect();
    let chunks = sum(missing.par_iter().map(|chunk| compressed(chunk)).collect())? + 36 * count;
    let size =
        |files: &BTreeMap<String, Vec<u8>>| files.values().map(|content| content.len() as u64).sum::<u64>();
    println!(
        "{}",
        serde_json::json!({
            "tree": size(&new), "files_in_tree": new.len(), "changed_files": changed.len(),
            "changed": changed.iter().map(|(_, content)| content.len() as u64).sum::<u64>(),
            "fetched": fetched, "chunked": chunked, "files": files, "chunks": chunks, "patches": patches,
        })
    );
    Ok(())
}

fn sum(sizes: Vec<Result<u64, Failure>>) -> Result<u64, Failure> {
    sizes.into_iter().sum()
}

fn cut(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let chunks = fastcdc::v2020::FastCDC::new(content, 16 * 1024, 64 * 1024, 256 * 1024);
    chunks.map(|chunk| &content[chunk.offset..chunk.offset + chunk.length])
}

/// Bytes of the layers and documents of `new` that `old` has not.
fn fetched(old: &Image, new: &Image) -> u64 {
    let have: BTreeSet<Digest> = old.layers.iter().map(|layer| layer.digest).collect();
    let layers = new.layers.iter().filter(|layer| !have.contains(&layer.digest)).map(|layer| layer.size);
    layers.sum::<u64>() + documents(old, new)
}

fn documents(old: &Image, new: &Image) -> u64 {
    let missing = new.documents.iter().filter(|document| !old.documents.contains(document));
    missing.map(|(_, size)| size).sum()
}

/// Bytes that a reader of zstd:chunked fetches: tables of the layers that it has not, and the chunks that it has nowhere.
fn chunked(old: &Image, new: &Image) -> Result<u64, Failure> {
    let have: BTreeSet<Digest> = old.layers.iter().map(|layer| layer.digest).collect();
    let mut known = BTreeSet::new();
    for layer in &old.layers {
        let chunks = old.toc(layer)?.into_iter().flat_map(|(toc, _)| toc.entries);
        known.extend(chunks.flat_map(|entry| entry.chunks).map(|chunk| chunk.digest));
    }
    let mut bytes = documents(old, new);
    for layer in new.layers.iter().filter(|layer| !have.contains(&layer.digest)) {
        let Some((toc, tables)) = new.toc(layer)? else {
            bytes += layer.size;
            continue;
        };
        bytes += tables;
        for chunk in toc.entries.iter().flat_map(|entry| &entry.chunks) {
            // A reader looks into what it had before, not into what it is fetching.
            if !known.contains(&chunk.digest) {
                bytes += chunk.end - chunk.offset;
            }
        }
    }
    Ok(bytes)
}
