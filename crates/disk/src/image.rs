//! An ESP's tree and a root's tree → a whole disk: partition table, FAT, ext4.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use calypte_base::{Architecture, Digest, Epoch};

use crate::gpt::{self, Partition, Table};
use crate::output::Output;
use crate::tree::Tree;
use crate::uuid::Uuid;
use crate::{ext4, fat};

/// Partitions start at multiples of this, as on every disk of today.
const ALIGNMENT: u64 = 1024 * 1024;

/// Number of the EFI system partition.
pub const ESP_NUMBER: u32 = 1;
/// Number of the root partition.
pub const ROOT_NUMBER: u32 = 2;

/// What a disk is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides the type of the root partition.
    pub architecture: Architecture,
    /// Every UUID comes from it.
    pub seed: Digest,
    /// Size of the disk's sectors in bytes: 512, or 4096 on devices that have no smaller ones.
    pub sector: u32,
    /// Size of the disk in bytes; without it the smallest that suffices.
    pub size: Option<u64>,
    /// Size of the ESP in bytes; at least what its tree needs, in whole mebibytes.
    pub esp_size: u64,
    /// Bytes that the root file system leaves free.
    pub root_free: u64,
    /// Whether the root takes all of the disk; otherwise it is as small as can be, and the rest of the disk is free.
    pub root_fills: bool,
    /// When it was made.
    pub time: Epoch,
}

/// The UUIDs that come from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Of the disk.
    pub disk: Uuid,
    /// Of the ESP's partition.
    pub esp: Uuid,
    /// Of the root's partition: what `root=PARTUUID=` names.
    pub root: Uuid,
    /// Of the root's file system.
    pub root_file_system: Uuid,
    /// The serial number of the ESP's file system.
    pub esp_serial: u32,
}

/// A disk that was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its size in bytes: what a file must be set to.
    pub size: u64,
    /// Its partitions: the ESP, then the root.
    pub table: Table,
    /// What was found out about the root.
    pub root: ext4::Written,
}

/// Why a disk cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The ESP.
    #[error("EFI system partition: {0}")]
    Fat(#[from] fat::FatError),
    /// The root.
    #[error("root partition: {0}")]
    Ext4(#[from] ext4::Ext4Error),
    /// The partition table.
    #[error(transparent)]
    Gpt(#[from] gpt::GptError),
    /// Not all of it fits onto the disk.
    #[error("a disk of {size} bytes is too small: {needed} bytes are needed")]
    TooSmall {
        /// The size asked for.
        size: u64,
        /// The least that suffices.
        needed: u64,
    },
}

impl Identity {
    /// The UUIDs of a seed.
    #[must_use]
    pub fn of(seed: &Digest) -> Self {
        let [a, b, c, d, ..] = Uuid::from_seed(seed, "esp file system").bytes();
        Self {
            disk: Uuid::from_seed(seed, "disk"),
            esp: Uuid::from_seed(seed, "esp"),
            root: Uuid::from_seed(seed, "root"),
            root_file_system: Uuid::from_seed(seed, "root file system"),
            esp_serial: u32::from_le_bytes([a, b, c, d]),
        }
    }
}

/// How a disk is divided: its size and its partitions, without writing anything.
///
/// # Errors
/// When something does not fit.
pub fn layout(esp: &Tree, root: &Tree, options: &Options) -> Result<(u64, Table), ImageError> {
    let identity = Identity::of(&options.seed);
    let esp_start = gpt::usable(0, options.sector).start.next_multiple_of(ALIGNMENT);
    let esp_size =
        options.esp_size.next_multiple_of(ALIGNMENT).max(fat::minimal_size(esp, options.sector, 0)?);
    let root_start = esp_start + esp_size;
    let least = ext4::minimal_size(root, &root_options(options), options.root_free)?;
    let backup = gpt::start_length(options.sector).next_multiple_of(ALIGNMENT);
    let needed = root_start + least + backup;
    let size = options.size.unwrap_or(needed);
    if size < needed {
        return Err(ImageError::TooSmall { size, needed });
    }
    let end = gpt::usable(size, options.sector).end / ALIGNMENT * ALIGNMENT;
    let root_size = if options.root_fills { end - root_start } else { least };
    let partitions = BTreeMap::from([
        (
            ESP_NUMBER,
            Partition {
                kind: gpt::ESP,
                uuid: identity.esp,
                name: "ESP".to_owned(),
                start: esp_start,
                size: esp_size,
                attributes: 0,
            },
        ),
        (
            ROOT_NUMBER,
            Partition {
                kind: gpt::root_type(options.architecture),
                uuid: identity.root,
                name: "root".to_owned(),
                start: root_start,
                size: root_size,
                attributes: gpt::GROW_FILE_SYSTEM,
            },
        ),
    ]);
    Ok((size, Table { sector: options.sector, disk: identity.disk, partitions }))
}

/// Writes a disk. The size of a file as target is for the caller to set ([`Written::size`]): holes at the end are not
/// written.
///
/// # Errors
/// When something does not fit, a content cannot be read, or the target cannot be written.
pub fn write<W: Write + Seek>(
    esp: &Tree,
    root: &Tree,
    options: &Options,
    output: &mut Output<W>,
) -> Result<Written, ImageError> {
    let (size, table) = layout(esp, root, options)?;
    let (esp_place, root_place) = (&table.partitions[&ESP_NUMBER], &table.partitions[&ROOT_NUMBER]);
    let fat_options = fat::Options {
        sector: options.sector,
        start: esp_place.start,
        serial: Identity::of(&options.seed).esp_serial,
        label: "ESP".to_owned(),
        time: options.time,
    };
    fat::write(esp, &fat_options, &mut output.area(esp_place.start, esp_place.size))?;
    let mut area = output.area(root_place.start, root_place.size);
    let written = ext4::write(root, &root_options(options), &mut area)?;
    // Last, so that a disk whose writing was cut off is not taken for one.
    gpt::write(&table, size, output)?;
    Ok(Written { size, table, root: written })
}

fn root_options(options: &Options) -> ext4::Options {
    let identity = Identity::of(&options.seed);
    ext4::Options { uuid: identity.root_file_system, label: "root".to_owned(), time: options.time }
}
