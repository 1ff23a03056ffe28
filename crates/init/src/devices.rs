//! The disks and partitions that the kernel has found, by its own tables in `/sys`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::gpt::{self, Partition};
use crate::superblock::{self, Superblock};

/// A block device that may hold the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, as in `vda2`.
    pub name: String,
    /// Its number, as in `254:2`.
    pub number: String,
    /// What the partition table says of it; none for a whole disk, or one without a table of this kind.
    pub partition: Option<Partition>,
}

impl Device {
    /// Where it is opened.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        // The kernel writes `!` for a `/` in a name.
        Path::new("/dev").join(self.name.replace('!', "/"))
    }

    /// Its name with that of its partition.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.partition {
            Some(partition) => format!("{} (PARTUUID={})", self.path().display(), partition.uuid),
            None => self.path().display().to_string(),
        }
    }

    /// Name and UUID of the file system on it, where it is one that has them.
    #[must_use]
    pub fn superblock(&self) -> Option<Superblock> {
        superblock::parse(&start(&self.path(), superblock::READ)?)
    }
}

/// A disk with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The disk itself.
    pub device: Device,
    /// Its partitions, as far as the kernel has them.
    pub partitions: Vec<Device>,
}

/// Block devices that are no disks, or hold no root that was ever installed.
const OTHERS: &[&str] = &["loop", "ram", "zram", "sr", "fd", "nbd"];

/// The disks that the kernel has found by now. One that cannot be read is passed over: another may hold the root.
#[must_use]
pub fn disks() -> Vec<Disk> {
    let mut disks: Vec<Disk> = names(Path::new("/sys/block"))
        .into_iter()
        .filter(|name| !OTHERS.iter().any(|other| is_numbered(name, other)))
        .filter_map(|name| disk(&Path::new("/sys/block").join(&name), &name))
        .collect();
    disks.sort_by(|one, other| one.device.name.cmp(&other.device.name));
    disks
}

/// Whether a name is the given word and a number.
fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| rest.bytes().all(|digit| digit.is_ascii_digit()))
}

fn disk(directory: &Path, name: &str) -> Option<Disk> {
    let number = attribute(&directory.join("dev"))?;
    let device = Device { name: name.to_owned(), number, partition: None };
    let sector = attribute(&directory.join("queue/logical_block_size"))?.parse().ok()?;
    let table =
        start(&device.path(), gpt::READ).and_then(|start| gpt::parse(&start, sector)).unwrap_or_default();
    let mut partitions: Vec<Device> = Vec::new();
    for name in names(directory) {
        let place = directory.join(&name);
        let Some(place_in_table) = attribute(&place.join("partition")) else { continue };
        let Some(number) = attribute(&place.join("dev")) else { continue };
        let partition =
            table.iter().find(|partition| partition.number.to_string() == place_in_table).cloned();
        partitions.push(Device { name, number, partition });
    }
    partitions.sort_by_key(|device| device.partition.as_ref().map(|partition| partition.number));
    Some(Disk { device, partitions })
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

fn attribute(path: &Path) -> Option<String> {
    Some(fs_err::read_to_string(path).ok()?.trim().to_owned())
}

/// The first bytes of a device, fewer where it ends before.
fn start(path: &Path, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(length).ok()?;
    fs_err::File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
