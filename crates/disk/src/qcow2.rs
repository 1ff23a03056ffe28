//! A raw disk → a `qcow2` image (QEMU's `docs/interop/qcow2.rst`, version 3): what is zero takes no place.
//!
//! Clusters come in the order of the disk, each table after what it lists, and the header is written last: the image is
//! written front to back in one pass, and an image that was cut off is none.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use flate2::{Compress, Compression, FlushCompress, Status};

const CLUSTER: usize = 64 * 1024;
const CLUSTER_BITS: u32 = 16;
/// Entries of a second-level table, each for a cluster.
const ENTRIES: u64 = (CLUSTER / 8) as u64;
/// Counters of a block of them.
const COUNTERS: usize = CLUSTER / 2;
const HEADER_LENGTH: u32 = 104;
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Where the number of sectors stands in the entry of a compressed cluster.
const SECTORS_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);
/// QEMU unpacks with a window of this size alone.
const WINDOW_BITS: u8 = 12;

/// Writes the image of a raw disk of `size` bytes, of which only the ranges in `data` are read: all else is zero. Clusters
/// are compressed when `compress` says so (deflate, which every reader has).
///
/// # Errors
/// When the disk cannot be read or the target cannot be written.
pub fn write<R: Read + Seek, W: Write + Seek>(
    raw: &mut R,
    size: u64,
    data: &[Range<u64>],
    compress: bool,
    target: W,
) -> io::Result<W> {
    let mut image = Image { target, end: CLUSTER as u64, counters: vec![1] };
    let compressor = Compress::new_with_window_bits(Compression::new(6), false, WINDOW_BITS);
    let mut compressor = compress.then_some(compressor);
    let mut first_level =
        vec![0_u64; usize::try_from(size.div_ceil(CLUSTER as u64 * ENTRIES)).map_err(too_large)?];
    let mut tables: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut cluster = vec![0; CLUSTER];
    image.target.seek(SeekFrom::Start(image.end))?;
    for number in clusters(data, size) {
        let start = number * CLUSTER as u64;
        let length = usize::try_from(size - start).unwrap_or(CLUSTER).min(CLUSTER);
        cluster[length..].fill(0);
        raw.seek(SeekFrom::Start(start))?;
        raw.read_exact(&mut cluster[..length])?;
        if cluster.iter().all(|byte| *byte == 0) {
            continue;
        }
        let entry = image.cluster(&cluster, compressor.as_mut())?;
        let table = tables.entry(number / ENTRIES).or_insert_with(|| vec![0; ENTRIES as usize]);
        table[(number % ENTRIES) as usize] = entry;
    }
    image.align()?;
    for (number, table) in &tables {
        first_level[usize::try_from(*number).map_err(too_large)?] = image.table(table)? | COPIED;
    }
    let first = image.table(&first_level)?;
    image.finish(size, first, first_level.len())
}

fn too_large(_: std::num::TryFromIntError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the disk is too large for a qcow2 image")
}

/// The clusters of the disk that ranges touch, each once, in order.
fn clusters(data: &[Range<u64>], size: u64) -> Vec<u64> {
    let touched = data
        .iter()
        .filter(|range| range.start < range.end.min(size))
        .flat_map(|range| range.start / CLUSTER as u64..range.end.min(size).div_ceil(CLUSTER as u64));
    let mut numbers: Vec<u64> = touched.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

struct Image<W> {
    target: W,
    /// Where the next byte goes.
    end: u64,
    /// How often each cluster of the image is in use.
    counters: Vec<u16>,
}

impl<W: Write + Seek> Image<W> {
    /// Appends bytes, and counts the clusters that they touch.
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let start = self.end;
        self.target.write_all(bytes)?;
        self.end += bytes.len() as u64;
        let cluster = |offset: u64| usize::try_from(offset / CLUSTER as u64).unwrap_or(usize::MAX);
        self.counters.resize(cluster(self.end - 1) + 1, 0);
        for counter in &mut self.counters[cluster(start)..] {
            *counter += 1;
        }
        Ok(start)
    }

    /// Fills the current cluster up.
    fn align(&mut self) -> io::Result<()> {
        let filler = self.end.next_multiple_of(CLUSTER as u64) - self.end;
        self.target.write_all(&vec![0; usize::try_from(filler).unwrap_or_default()])?;
        self.end += filler;
        Ok(())
    }

    /// Appends a cluster of the disk, compressed where that makes it smaller, and gives its entry.
    fn cluster(&mut self, bytes: &[u8], compressor: Option<&mut Compress>) -> io::Result<u64> {
        const SECTOR: u64 = 512;
        let Some(packed) = compressor.and_then(|compressor| packed(bytes, compressor)) else {
            self.align()?;
            return Ok(self.append(bytes)? | COPIED);
        };
        // Counters have 16 bits, and a cluster cannot hold as many compressed ones: each has a byte at least.
        let start = self.append(&packed)?;
        let further = (self.end - 1) / SECTOR - start / SECTOR;
        Ok(COMPRESSED | further << SECTORS_SHIFT | start)
    }

    /// Appends a table that begins with a cluster of its own.
    fn table(&mut self, entries: &[u64]) -> io::Result<u64> {
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        self.align()?;
        if bytes.is_empty() {
            return Ok(self.end);
        }
        self.append(&bytes)
    }

    /// Appends the counters, which count themselves too, and writes the header.
    fn finish(mut self, size: u64, first_level: u64, entries: usize) -> io::Result<W> {
        self.align()?;
        let used = self.counters.len();
        let (mut blocks, mut tables) = (0, 0);
        loop {
            let needed_blocks = (used + blocks + tables).div_ceil(COUNTERS);
            let needed_tables = needed_blocks.div_ceil(CLUSTER / 8);
            if (needed_blocks, needed_tables) == (blocks, tables) {
                break;
            }
            (blocks, tables) = (needed_blocks, needed_tables);
        }
        let mut counters = self.counters.clone();
        counters.resize(used + blocks + tables, 1);
        counters.resize(blocks * COUNTERS, 0);
        let mut places = Vec::new();
        for block in counters.chunks(COUNTERS) {
            let bytes: Vec<u8> = block.iter().flat_map(|counter| counter.to_be_bytes()).collect();
            places.push(self.append(&bytes)?);
        }
        let table = self.table(&places)?;
        self.align()?;
        let header = header(size, (first_level, entries), (table, tables));
        self.target.seek(SeekFrom::Start(0))?;
        self.target.write_all(&header)?;
        self.target.flush()?;
        Ok(self.target)
    }
}

fn packed(bytes: &[u8], compressor: &mut Compress) -> Option<Vec<u8>> {
    compressor.reset();
    let mut packed = vec![0; bytes.len() - 1];
    match compressor.compress(bytes, &mut packed, FlushCompress::Finish) {
        Ok(Status::StreamEnd) => {
            packed.truncate(usize::try_from(compressor.total_out()).ok()?);
            Some(packed)
        }
        _ => None,
    }
}

fn header(size: u64, first_level: (u64, usize), counters: (u64, usize)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CLUSTER);
    bytes.extend_from_slice(b"QFI\xfb");
    bytes.extend_from_slice(&3_u32.to_be_bytes());
    // No other image below.
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&CLUSTER_BITS.to_be_bytes());
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(first_level.1 as u32).to_be_bytes());
    bytes.extend_from_slice(&first_level.0.to_be_bytes());
    bytes.extend_from_slice(&counters.0.to_be_bytes());
    bytes.extend_from_slice(&(counters.1 as u32).to_be_bytes());
    // No snapshots, no features; counters of two to the fourth bits.
    bytes.extend_from_slice(&[0; 12 + 24]);
    bytes.extend_from_slice(&4_u32.to_be_bytes());
    bytes.extend_from_slice(&HEADER_LENGTH.to_be_bytes());
    // The end of the extensions is a zero, as is all that follows.
    bytes.resize(CLUSTER, 0);
    bytes
}
