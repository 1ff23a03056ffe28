//! The first bytes of a disk → its partitions (UEFI specification 2.10, chapter 5).
//!
//! A reader of its own beside the one of calypte-disk: what links here runs before anything is verified, and that crate
//! brings compressors and RSA along. A test holds this one against what `sfdisk` writes.

use crate::uuid;

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from one.
    pub number: u32,
    /// What it is for: the UUID of its type, in small letters.
    pub kind: String,
    /// Its own UUID (`PARTUUID`), in small letters.
    pub uuid: String,
    /// Its name (`PARTLABEL`).
    pub name: String,
    /// Whether it is not to be used by itself: attribute bit 63 of the Discoverable Partitions specification.
    pub no_auto: bool,
}

/// How much of a disk [`parse`] wants at most: the table of 128 entries lies in it for sectors of up to 4096 bytes.
pub const READ: usize = 2 * 4096 + ENTRIES * ENTRY;

/// Entries and size of one, as every tool writes them. Others are allowed by the specification, and read if they fit.
const ENTRIES: usize = 128;
const ENTRY: usize = 128;

/// The partitions in a disk's first bytes, given the size of its sectors; `None` where there is no table, or its checksums
/// are wrong. The kernel then has no partitions of it either.
#[must_use]
pub fn parse(start: &[u8], sector: usize) -> Option<Vec<Partition>> {
    let header = start.get(sector..sector.checked_mul(2)?)?;
    let length = usize::try_from(u32_at(header, 12)?).ok()?;
    if header.get(..8)? != b"EFI PART" || length < 92 {
        return None;
    }
    let mut checked = header.get(..length)?.to_vec();
    checked.get_mut(16..20)?.fill(0);
    if crc32(&checked) != u32_at(header, 16)? {
        return None;
    }
    let first = usize::try_from(u64_at(header, 72)?).ok()?.checked_mul(sector)?;
    let count = usize::try_from(u32_at(header, 80)?).ok()?;
    let size = usize::try_from(u32_at(header, 84)?).ok()?;
    let entries = start.get(first..first.checked_add(count.checked_mul(size)?)?)?;
    if size < ENTRY || crc32(entries) != u32_at(header, 88)? {
        return None;
    }
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(entries.chunks_exact(size)) {
        let kind: [u8; 16] = entry.get(..16)?.try_into().ok()?;
        if kind == [0; 16] {
            continue;
        }
        let units = entry.get(56..128)?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        partitions.push(Partition {
            number,
            kind: uuid::from_table(kind),
            uuid: uuid::from_table(entry.get(16..32)?.try_into().ok()?),
            name: String::from_utf16_lossy(&name),
            no_auto: u64_at(entry, 48)? >> 63 == 1,
        });
    }
    Some(partitions)
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(place..place + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(place..place + 8)?.try_into().ok()?))
}

/// CRC-32 as in zip files, bit by bit: 16 KiB of it take no time that counts.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    const ROOT: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";

    /// A disk of 8 MiB as `sfdisk` makes it, or nothing where that is not installed.
    fn disk() -> Option<Vec<u8>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 << 20).unwrap();
        let script = format!(
            "label: gpt\n\
             size=2048, type={ESP}, uuid=11111111-2222-4333-8444-555555555555, name=\"ESP\"\n\
             size=2048, type={ROOT}, uuid=AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE, name=\"Wurzel \u{e4}\"\n\
             type={ROOT}, attrs=\"GUID:63\"\n"
        );
        let mut command = Command::new("/usr/sbin/sfdisk");
        command.arg("--quiet").arg(file.path()).env("LC_ALL", "C.UTF-8").stdin(Stdio::piped());
        let Ok(mut sfdisk) = command.spawn() else {
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: sfdisk is not installed\n").unwrap();
            return None;
        };
        std::io::Write::write_all(&mut sfdisk.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(sfdisk.wait().unwrap().success());
        Some(fs_err::read(file.path()).unwrap())
    }

    #[test]
    fn partitions_are_read_as_sfdisk_wrote_them() {
        let Some(disk) = disk() else { return };
        let partitions = parse(&disk[..READ], 512).unwrap();
        assert_eq!(partitions.len(), 3);
        let esp = &partitions[0];
        assert_eq!((esp.number, esp.kind.as_str(), esp.name.as_str(), esp.no_auto), (1, ESP, "ESP", false));
        assert_eq!(esp.uuid, "11111111-2222-4333-8444-555555555555");
        let root = &partitions[1];
        assert_eq!((root.number, root.kind.as_str(), root.name.as_str()), (2, ROOT, "Wurzel \u{e4}"));
        assert_eq!(root.uuid, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
        assert!(partitions[2].no_auto);
    }

    #[test]
    fn what_is_damaged_is_no_table() {
        let Some(mut disk) = disk() else { return };
        disk.truncate(READ);
        for length in [0, 511, 512, 1000, 1024, 1500, 2048] {
            assert_eq!(parse(&disk[..length], 512), None, "cut at {length}");
        }
        for place in [512, 524, 528, 584, 592, 596, 600, 1024, 1024 + 130, 1024 + 16000] {
            let mut damaged = disk.clone();
            damaged[place] ^= 0x40;
            assert_eq!(parse(&damaged, 512), None, "byte {place}");
        }
        assert_eq!(parse(&disk, 4096), None);
        assert_eq!(parse(&disk, 0), None);
        assert_eq!(parse(&disk, usize::MAX), None);
    }
}
