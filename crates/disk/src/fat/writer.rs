//! Writes what was laid out: boot sector, tables, directories, files.

use std::io::{self, Read, Seek, Write};

use calypte_base::Epoch;

use super::layout::{FIRST_CLUSTER, Geometry, Item, Plan, RESERVED_SECTORS, TABLES};
use super::name::ENTRY;
use super::{FatError, Options};
use crate::content::Content;
use crate::little_endian::Put;
use crate::output::Area;

const END_OF_CHAIN: u32 = 0x0fff_ffff;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const LABEL: u8 = 0x08;
const BACKUP_SECTOR: u64 = 6;
const BUFFER: usize = 1024 * 1024;

pub(super) fn write<W: Write + Seek>(
    plan: &Plan<'_>,
    geometry: &Geometry,
    options: &Options,
    area: &mut Area<'_, W>,
) -> Result<(), FatError> {
    let mut starts = Vec::with_capacity(plan.items.len());
    let mut table: Vec<u8> = [0x0fff_fff8, END_OF_CHAIN].iter().copied().flat_map(u32::to_le_bytes).collect();
    let mut next = FIRST_CLUSTER;
    for item in &plan.items {
        let clusters = plan.item_clusters(item, geometry);
        // An empty file has no cluster.
        starts.push(if clusters == 0 { 0 } else { next });
        for cluster in next + 1..next + clusters {
            table.extend_from_slice(&low(cluster).to_le_bytes());
        }
        if clusters > 0 {
            table.extend_from_slice(&END_OF_CHAIN.to_le_bytes());
        }
        next += clusters;
    }
    head(geometry, options, next, area)?;
    for copy in 0..TABLES {
        let start = (RESERVED_SECTORS + copy * geometry.table_sectors) * geometry.sector;
        area.write_at(start, &table)?;
        let rest = geometry.table_sectors * geometry.sector - table.len() as u64;
        area.zero_at(start + table.len() as u64, rest)?;
    }
    for (item, start) in plan.items.iter().zip(&starts) {
        match item.content {
            Some(content) => {
                file(content, geometry.place((*start).max(FIRST_CLUSTER)), geometry.cluster(), area)
                    .map_err(|error| match error {
                        Failed::Read(error) => FatError::Read { path: item.path.clone(), error },
                        Failed::Write(error) => FatError::Write(error),
                    })?;
            }
            None => {
                let mut bytes = directory(item, *start, plan, &starts, options);
                bytes.resize(bytes.len().next_multiple_of(geometry.cluster() as usize), 0);
                area.write_at(geometry.place(*start), &bytes)?;
            }
        }
    }
    Ok(())
}

/// Boot sector, information sector, and the copies of both.
fn head<W: Write + Seek>(
    geometry: &Geometry,
    options: &Options,
    next: u64,
    area: &mut Area<'_, W>,
) -> io::Result<()> {
    let sector = geometry.sector as usize;
    let mut boot = vec![0; sector];
    boot.put(0, &[0xeb, 0x58, 0x90]);
    boot.put(3, b"CALYPTE ");
    boot.put16(11, (geometry.sector & 0xffff) as u16);
    boot[13] = (geometry.sectors_per_cluster & 0xff) as u8;
    boot.put16(14, RESERVED_SECTORS as u16);
    boot[16] = TABLES as u8;
    boot[21] = 0xf8;
    // A geometry that no one uses any more.
    boot.put16(24, 63);
    boot.put16(26, 255);
    boot.put32(28, u32::try_from(options.start / geometry.sector).unwrap_or_default());
    boot.put32(32, low(geometry.sectors));
    boot.put32(36, low(geometry.table_sectors));
    boot.put32(44, low(FIRST_CLUSTER));
    boot.put16(48, 1);
    boot.put16(50, BACKUP_SECTOR as u16);
    boot[64] = 0x80;
    boot[66] = 0x29;
    boot.put32(67, options.serial);
    boot.put(71, &label(options));
    boot.put(82, b"FAT32   ");
    // Whoever starts it as a BIOS would is sent on to the next device, or stopped.
    boot.put(90, &[0xcd, 0x18, 0xf4, 0xeb, 0xfd]);
    boot.put(510, &[0x55, 0xaa]);

    let mut information = vec![0; sector];
    information.put32(0, 0x4161_5252);
    information.put32(484, 0x6141_7272);
    information.put32(488, low(geometry.clusters - (next - FIRST_CLUSTER)));
    information.put32(492, low(next));
    information.put32(508, 0xaa55_0000);

    let mut head = boot;
    head.extend_from_slice(&information);
    head.resize(BACKUP_SECTOR as usize * sector, 0);
    head.extend_from_within(..2 * sector);
    head.resize(RESERVED_SECTORS as usize * sector, 0);
    area.write_at(0, &head)
}

fn label(options: &Options) -> [u8; 11] {
    let mut label = [b' '; 11];
    label[..options.label.len()].copy_from_slice(options.label.as_bytes());
    label
}

fn directory(item: &Item<'_>, own: u64, plan: &Plan<'_>, starts: &[u64], options: &Options) -> Vec<u8> {
    let mut bytes = Vec::new();
    if item.path.is_root() {
        bytes.extend(entry(&label(options), LABEL, 0, 0, options.time));
    } else {
        // The root is called by the number zero.
        let parent = if item.parent == 0 { 0 } else { starts[item.parent] };
        bytes.extend(entry(b".          ", DIRECTORY, own, 0, item.mtime));
        bytes.extend(entry(b"..         ", DIRECTORY, parent, 0, item.mtime));
    }
    for child in &item.children {
        let (start, child) = (starts[*child], &plan.items[*child]);
        let Some(name) = &child.name else { continue };
        name.long_entries().iter().for_each(|entry| bytes.extend_from_slice(entry));
        let (kind, size) = match child.content {
            Some(content) => (ARCHIVE, low(content.size())),
            None => (DIRECTORY, 0),
        };
        bytes.extend(entry(&name.short, kind, start, size, child.mtime));
    }
    bytes
}

fn entry(name: &[u8; 11], attributes: u8, cluster: u64, size: u32, time: Epoch) -> [u8; ENTRY] {
    let (date, clock) = date_and_time(time);
    let mut bytes = [0; ENTRY];
    bytes.put(0, name);
    bytes[11] = attributes;
    bytes.put16(14, clock);
    bytes.put16(16, date);
    bytes.put16(18, date);
    bytes.put16(20, (cluster >> 16) as u16);
    bytes.put16(22, clock);
    bytes.put16(24, date);
    bytes.put16(26, (cluster & 0xffff) as u16);
    bytes.put32(28, size);
    bytes
}

/// A date in days, months and years since 1980, and a time in hours, minutes and pairs of seconds.
fn date_and_time(time: Epoch) -> (u16, u16) {
    const FIRST: i64 = 315_532_800; // 1980-01-01
    const LAST: i64 = 4_354_819_198; // 2107-12-31 23:59:58
    let seconds = time.0.clamp(FIRST, LAST);
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, in years that begin with March so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = ((year - 1980) << 9) | (month << 5) | day;
    let clock = ((clock / 3_600) << 11) | ((clock / 60 % 60) << 5) | (clock % 60 / 2);
    (u16::try_from(date).unwrap_or_default(), u16::try_from(clock).unwrap_or_default())
}

enum Failed {
    Read(io::Error),
    Write(io::Error),
}

/// A file's bytes and the zeros to the end of its last cluster.
fn file<W: Write + Seek>(
    content: &dyn Content,
    start: u64,
    cluster: u64,
    area: &mut Area<'_, W>,
) -> Result<(), Failed> {
    let size = content.size();
    let mut stream = content.open().map_err(Failed::Read)?;
    let mut buffer = vec![0; BUFFER.min(size.next_multiple_of(cluster).max(1) as usize)];
    let mut at = 0;
    while at < size {
        let length = usize::try_from(size - at).unwrap_or(BUFFER).min(buffer.len());
        stream.read_exact(&mut buffer[..length]).map_err(Failed::Read)?;
        let filled = length.next_multiple_of(cluster as usize);
        buffer[length..filled].fill(0);
        area.write_at(start + at, &buffer[..filled]).map_err(Failed::Write)?;
        at += length as u64;
    }
    match stream.read(&mut [0]).map_err(Failed::Read)? {
        0 => Ok(()),
        _ => Err(Failed::Read(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its content has more than {size} bytes, as was said before"),
        ))),
    }
}

const fn low(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let packed = |year: u16, month: u16, day: u16| (year - 1980) << 9 | month << 5 | day;
        assert_eq!(date_and_time(Epoch(0)), (packed(1980, 1, 1), 0));
        assert_eq!(date_and_time(Epoch(1_709_251_199)).0, packed(2024, 2, 29));
        assert_eq!(date_and_time(Epoch(1_709_251_200)), (packed(2024, 3, 1), 0));
        let late = (23 << 11) | (59 << 5) | 29;
        assert_eq!(date_and_time(Epoch(i64::MAX)), (packed(2107, 12, 31), late));
    }
}
