//! GUID partition tables (UEFI specification 2.10, chapter 5): written with their backup and a protective MBR, and read.
//!
//! What was read can be changed and written again, onto a disk that has grown too: so a root partition is made larger.

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};

use calypte_base::Architecture;
use crc::{CRC_32_ISO_HDLC, Crc};

use crate::little_endian::{Get, Put};
use crate::output::Output;
use crate::uuid::Uuid;

/// Type of the EFI system partition.
pub const ESP: Uuid = Uuid::from_bytes([
    0xc1, 0x2a, 0x73, 0x28, 0xf8, 0x1f, 0x11, 0xd2, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
]);

/// Attribute: the file system is to be grown to the partition's size (Discoverable Partitions specification).
pub const GROW_FILE_SYSTEM: u64 = 1 << 59;

/// Entries of the tables that are written.
const ENTRIES: u32 = 128;
const ENTRY_SIZE: u32 = 128;
const HEADER_SIZE: u32 = 92;
/// Tables with more bytes of entries than this are not read.
const ENTRIES_LIMIT: u64 = 1024 * 1024;
const SIGNATURE: &[u8; 8] = b"EFI PART";
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A disk's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Size of a sector in bytes: 512 or 4096.
    pub sector: u32,
    /// The disk's UUID.
    pub disk: Uuid,
    /// The partitions by their numbers, which begin with one.
    pub partitions: BTreeMap<u32, Partition>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: Uuid,
    /// Its own UUID (`PARTUUID`).
    pub uuid: Uuid,
    /// Its name (`PARTLABEL`), at most 36 UTF-16 units.
    pub name: String,
    /// Where it starts on the disk, in bytes.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Attribute bits, such as [`GROW_FILE_SYSTEM`].
    pub attributes: u64,
}

/// The type of an architecture's root partition (UAPI Discoverable Partitions specification).
#[must_use]
pub const fn root_type(architecture: Architecture) -> Uuid {
    Uuid::from_bytes(match architecture {
        Architecture::Amd64 => {
            [0x4f, 0x68, 0xbc, 0xe3, 0xe8, 0xcd, 0x4d, 0xb1, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09]
        }
        Architecture::Arm64 => {
            [0xb9, 0x21, 0xb0, 0x45, 0x1d, 0xf0, 0x41, 0xc3, 0xaf, 0x44, 0x4c, 0x6f, 0x28, 0x0d, 0x3f, 0xae]
        }
    })
}

/// Why a table cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    /// The target could not be written.
    #[error("partition table: {0}")]
    Write(#[from] io::Error),
    /// It is none, or it is damaged.
    #[error("no partition table: {0}")]
    Malformed(&'static str),
    /// A partition cannot be where it should be.
    #[error("partition {number} `{name}` {what}")]
    BadPartition {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The bytes of a disk that partitions may take: behind the first table and before its backup.
#[must_use]
pub fn usable(size: u64, sector: u32) -> std::ops::Range<u64> {
    let sector = u64::from(sector);
    let table = u64::from(ENTRIES * ENTRY_SIZE);
    2 * sector + table..(size / sector * sector).saturating_sub(table + sector)
}

/// Writes the protective MBR, the table and its backup at the end of a disk of `size` bytes.
///
/// # Errors
/// When partitions overlap, do not fit, or do not consist of sectors; when the target cannot be written.
pub fn write<W: Write + Seek>(table: &Table, size: u64, output: &mut Output<W>) -> Result<(), GptError> {
    if !matches!(table.sector, 512 | 4096) {
        return Err(GptError::Malformed("sectors must have 512 or 4096 bytes"));
    }
    let sector = u64::from(table.sector);
    let sectors = size / sector;
    let usable = usable(size, table.sector);
    if usable.is_empty() {
        return Err(GptError::Malformed("the disk is too small for one"));
    }
    check(table, &usable)?;
    let entries = entries(table);
    let last = sectors - 1;
    let header = |own, other, entries_at| {
        let place = HeaderPlace { own, other, entries: entries_at };
        header(table, &place, &usable, CHECKSUM.checksum(&entries))
    };
    let mut area = output.area(0, size);
    let mut start = protective_mbr(last, table.sector);
    start.extend(header(1, last, 2));
    start.extend_from_slice(&entries);
    area.write_at(0, &start)?;
    let backup = last * sector - entries.len() as u64;
    area.write_at(backup, &entries)?;
    area.write_at(last * sector, &header(last, 1, backup / sector))?;
    Ok(())
}

fn check(table: &Table, usable: &std::ops::Range<u64>) -> Result<(), GptError> {
    let sector = u64::from(table.sector);
    for (number, partition) in &table.partitions {
        let end = partition.start.checked_add(partition.size);
        let bad = |what| GptError::BadPartition { number: *number, name: partition.name.clone(), what };
        if !(1..=ENTRIES).contains(number) {
            return Err(bad("has a number for which there is no place"));
        }
        if partition.size == 0
            || !partition.start.is_multiple_of(sector)
            || !partition.size.is_multiple_of(sector)
        {
            return Err(bad("does not consist of whole sectors"));
        }
        if partition.start < usable.start || end.is_none_or(|end| end > usable.end) {
            return Err(bad("does not lie within the disk"));
        }
        if partition.name.encode_utf16().count() > 36 || partition.name.contains('\0') {
            return Err(bad("has a name of more than 36 characters"));
        }
    }
    match overlapping(&table.partitions) {
        Some((number, partition)) => Err(GptError::BadPartition {
            number,
            name: partition.name.clone(),
            what: "overlaps with the one before it",
        }),
        None => Ok(()),
    }
}

fn overlapping(partitions: &BTreeMap<u32, Partition>) -> Option<(u32, &Partition)> {
    let mut sorted: Vec<(u32, &Partition)> =
        partitions.iter().map(|(number, partition)| (*number, partition)).collect();
    sorted.sort_by_key(|(_, partition)| partition.start);
    let pairs = sorted.windows(2);
    pairs
        .filter_map(|pair| {
            let [(_, before), after] = pair else { return None };
            (before.start.saturating_add(before.size) > after.1.start).then_some(*after)
        })
        .next()
}

/// One partition that takes all, for those who know no GUID partition tables.
fn protective_mbr(last: u64, sector: u32) -> Vec<u8> {
    let mut bytes = vec![0; sector as usize];
    bytes.put(446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    bytes.put32(454, 1);
    bytes.put32(458, u32::try_from(last).unwrap_or(u32::MAX));
    bytes.put(510, &[0x55, 0xaa]);
    bytes
}

fn entries(table: &Table) -> Vec<u8> {
    let mut bytes = vec![0; (ENTRIES * ENTRY_SIZE) as usize];
    let sector = u64::from(table.sector);
    for (number, partition) in &table.partitions {
        let at = ((number - 1) * ENTRY_SIZE) as usize;
        bytes.put(at, &partition.kind.efi_bytes());
        bytes.put(at + 16, &partition.uuid.efi_bytes());
        bytes.put64(at + 32, partition.start / sector);
        bytes.put64(at + 40, (partition.start + partition.size) / sector - 1);
        bytes.put64(at + 48, partition.attributes);
        for (place, unit) in partition.name.encode_utf16().enumerate() {
            bytes.put16(at + 56 + place * 2, unit);
        }
    }
    bytes
}

struct HeaderPlace {
    own: u64,
    other: u64,
    entries: u64,
}

fn header(table: &Table, place: &HeaderPlace, usable: &std::ops::Range<u64>, entries_sum: u32) -> Vec<u8> {
    let sector = u64::from(table.sector);
    let mut bytes = vec![0; table.sector as usize];
    bytes.put(0, SIGNATURE);
    bytes.put32(8, 0x0001_0000);
    bytes.put32(12, HEADER_SIZE);
    bytes.put64(24, place.own);
    bytes.put64(32, place.other);
    bytes.put64(40, usable.start / sector);
    bytes.put64(48, usable.end / sector - 1);
    bytes.put(56, &table.disk.efi_bytes());
    bytes.put64(72, place.entries);
    bytes.put32(80, ENTRIES);
    bytes.put32(84, ENTRY_SIZE);
    bytes.put32(88, entries_sum);
    let sum = CHECKSUM.checksum(&bytes[..HEADER_SIZE as usize]);
    bytes.put32(16, sum);
    bytes
}

/// How many of a disk's first bytes [`parse`] wants to see, for a table of the usual size.
#[must_use]
pub const fn start_length(sector: u32) -> u64 {
    2 * sector as u64 + (ENTRIES * ENTRY_SIZE) as u64
}

/// Reads the table out of a disk's first bytes ([`start_length`]), given the size of its sectors (512 or 4096).
///
/// # Errors
/// When there is no table, or it is damaged.
pub fn parse(start: &[u8], sector: u32) -> Result<Table, GptError> {
    const SHORT: GptError = GptError::Malformed("the bytes end within it");
    if !matches!(sector, 512 | 4096) {
        return Err(GptError::Malformed("sectors must have 512 or 4096 bytes"));
    }
    let header = start.get(sector as usize..2 * sector as usize).ok_or(SHORT)?;
    if !header.starts_with(SIGNATURE) {
        return Err(GptError::Malformed("there is no signature"));
    }
    let number32 = |offset| header.get32(offset).ok_or(SHORT);
    let number64 = |offset| header.get64(offset).ok_or(SHORT);
    let length = number32(12)?;
    if !(HEADER_SIZE..=sector).contains(&length) {
        return Err(GptError::Malformed("its header has no possible length"));
    }
    let mut summed = header.get(..length as usize).ok_or(SHORT)?.to_vec();
    summed.put32(16, 0);
    if CHECKSUM.checksum(&summed) != number32(16)? || number64(24)? != 1 {
        return Err(GptError::Malformed("its header is damaged"));
    }
    let (count, size) = (u64::from(number32(80)?), u64::from(number32(84)?));
    if size < u64::from(ENTRY_SIZE) || !size.is_power_of_two() || count * size > ENTRIES_LIMIT {
        return Err(GptError::Malformed("its entries have no possible size"));
    }
    let from = number64(72)?.checked_mul(u64::from(sector)).ok_or(SHORT)?;
    let place = |offset: u64| usize::try_from(offset).ok();
    let end = from.checked_add(count * size).ok_or(SHORT)?;
    let (from, end) = (place(from).ok_or(SHORT)?, place(end).ok_or(SHORT)?);
    let entries = start.get(from..end).ok_or(SHORT)?;
    if CHECKSUM.checksum(entries) != number32(88)? {
        return Err(GptError::Malformed("its entries are damaged"));
    }
    let usable = number64(40)?..=number64(48)?;
    let mut partitions = BTreeMap::new();
    for (number, entry) in (1..).zip(entries.chunks_exact(place(size).ok_or(SHORT)?)) {
        if let Some(partition) = partition(number, entry, &usable, sector)? {
            partitions.insert(number, partition);
        }
    }
    if let Some((number, partition)) = overlapping(&partitions) {
        let what = "overlaps with the one before it";
        return Err(GptError::BadPartition { number, name: partition.name.clone(), what });
    }
    let disk = header.get_array(56).ok_or(SHORT)?;
    Ok(Table { sector, disk: Uuid::from_efi_bytes(disk), partitions })
}

fn partition(
    number: u32,
    entry: &[u8],
    usable: &std::ops::RangeInclusive<u64>,
    sector: u32,
) -> Result<Option<Partition>, GptError> {
    const SHORT: GptError = GptError::Malformed("the bytes end within it");
    let kind: [u8; 16] = entry.get_array(0).ok_or(SHORT)?;
    if kind == [0; 16] {
        return Ok(None);
    }
    let units: Vec<u16> = entry
        .get(56..128)
        .unwrap_or_default()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_le_bytes(*pair))
        .take_while(|unit| *unit != 0)
        .collect();
    let name = String::from_utf16_lossy(&units);
    let (first, last) = (entry.get64(32).ok_or(SHORT)?, entry.get64(40).ok_or(SHORT)?);
    let bytes = |sectors: u64| sectors.checked_mul(u64::from(sector));
    let whole = (last.checked_add(1).and_then(bytes), bytes(first));
    let (Some(end), Some(start)) = whole else {
        return Err(GptError::BadPartition { number, name, what: "does not lie within the disk" });
    };
    if first > last || !usable.contains(&first) || !usable.contains(&last) {
        return Err(GptError::BadPartition { number, name, what: "does not lie within the disk" });
    }
    Ok(Some(Partition {
        kind: Uuid::from_efi_bytes(kind),
        uuid: Uuid::from_efi_bytes(entry.get_array(16).ok_or(SHORT)?),
        name,
        start,
        size: end - start,
        attributes: entry.get64(48).ok_or(SHORT)?,
    }))
}
