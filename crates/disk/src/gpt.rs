//! GUID partition tables (UEFI specification 2.10, chapter 5): written with their backup and a protective MBR, and read.

use std::io::{self, Seek, Write};

use calypte_base::Architecture;

use crate::output::Output;
use crate::uuid::Uuid;

/// Size of a sector in bytes: the tables that are written have no other.
pub const SECTOR: u64 = 512;

/// Type of the EFI system partition.
pub const ESP: Uuid = Uuid::from_bytes([
    0xc1, 0x2a, 0x73, 0x28, 0xf8, 0x1f, 0x11, 0xd2, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
]);

/// A disk's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The disk's UUID.
    pub disk: Uuid,
    /// The partitions in the order of their numbers; the first has the number one.
    pub partitions: Vec<Partition>,
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
    /// Attribute bits; bit 59 is "grow the file system" of the Discoverable Partitions specification.
    pub attributes: u64,
}

/// Attribute: the file system is to be grown to the partition's size.
pub const GROW_FILE_SYSTEM: u64 = 1 << 59;

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
    /// It is none.
    #[error("no partition table: {0}")]
    Malformed(&'static str),
    /// A partition cannot be where it should be.
    #[error("partition `{name}`: {what}")]
    BadPartition {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Writes the protective MBR, the table and its backup at the end of a disk of `size` bytes.
///
/// # Errors
/// When partitions overlap, do not fit, or start within a sector; when the target cannot be written.
pub fn write<W: Write + Seek>(_table: &Table, _size: u64, _output: &mut Output<W>) -> Result<(), GptError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// Reads the table out of a disk's first bytes, given the size of its sectors (512 or 4096): 34 sectors suffice for a
/// table of the usual size, six of the large ones.
///
/// # Errors
/// When there is no table, or it is damaged.
pub fn parse(_start: &[u8], _sector: u64) -> Result<Table, GptError> {
    Err(GptError::Malformed("unread"))
}
