//! Disks → the root's device: by name where the command line has one; otherwise the partition of the architecture's type
//! for roots (UAPI Discoverable Partitions specification) on the disk that the boot loader came from, or, where the boot
//! loader does not say, the only one of all disks.

use std::time::{Duration, Instant};

use crate::command_line::{CommandLine, RootName};
use crate::devices::{self, Device, Disk};
use crate::error::InitError;
use crate::{efi, kernel};

/// The type of the root partition of this architecture.
#[cfg(target_arch = "x86_64")]
pub const ROOT_TYPE: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
/// The type of the root partition of this architecture.
#[cfg(target_arch = "aarch64")]
pub const ROOT_TYPE: &str = "b921b045-1df0-41c3-af44-4c6f280d3fae";

/// How often the disks are looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long no disk must appear until the only root is taken for the only one.
const CALM: Duration = Duration::from_millis(500);

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The root of this name.
    Named(RootName),
    /// The root on the disk with this partition.
    Beside(String),
    /// The only root.
    Only,
}

/// What a look at the disks gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The root.
    Found(Device),
    /// The root, unless another appears.
    Perhaps(Device),
    /// Several that could be it.
    Many(Vec<Device>),
    /// Not there yet.
    Nothing,
}

/// Waits for the root.
///
/// # Errors
/// When the command line names it in an unknown way, it does not appear in time, or there are several.
pub fn find(line: &CommandLine) -> Result<Device, InitError> {
    let wanted = match line.root()? {
        Some(name) => Wanted::Named(name),
        None => {
            kernel::mount_variables();
            efi::loader_partition()?.map_or(Wanted::Only, Wanted::Beside)
        }
    };
    let patience = line.patience();
    let began = Instant::now();
    let mut disks = devices::disks();
    let mut changed = began;
    loop {
        let look = choose(&wanted, &disks);
        match look {
            Look::Found(device) => return Ok(device),
            Look::Perhaps(device) if changed.elapsed() >= CALM => return Ok(device),
            Look::Many(found) if changed.elapsed() >= CALM => {
                return Err(InitError::ManyRoots { found: found.iter().map(Device::describe).collect() });
            }
            _ if began.elapsed() >= patience => return Err(missing(&wanted, patience, &disks)),
            _ => std::thread::sleep(INTERVAL),
        }
        let now = devices::disks();
        if now != disks {
            disks = now;
            changed = Instant::now();
        }
    }
}

/// Which of the disks' partitions is the root.
#[must_use]
pub fn choose(wanted: &Wanted, disks: &[Disk]) -> Look {
    let all = || disks.iter().flat_map(|disk| std::iter::once(&disk.device).chain(&disk.partitions));
    match wanted {
        Wanted::Named(name) => match all().filter(|device| is_named(device, name)).collect::<Vec<_>>()[..] {
            [] => Look::Nothing,
            [device] => Look::Found(device.clone()),
            ref several => Look::Many(several.iter().map(|device| (*device).clone()).collect()),
        },
        Wanted::Beside(uuid) => {
            let has =
                |device: &&Device| device.partition.as_ref().is_some_and(|partition| partition.uuid == *uuid);
            let disk = disks.iter().find(|disk| disk.partitions.iter().any(|device| has(&device)));
            // The first, as the specification has it.
            disk.and_then(|disk| roots(disk).next())
                .map_or(Look::Nothing, |device| Look::Found(device.clone()))
        }
        Wanted::Only => match disks.iter().flat_map(roots).collect::<Vec<_>>()[..] {
            [] => Look::Nothing,
            [device] => Look::Perhaps(device.clone()),
            ref several => Look::Many(several.iter().map(|device| (*device).clone()).collect()),
        },
    }
}

fn roots(disk: &Disk) -> impl Iterator<Item = &Device> {
    let is_root = |device: &&Device| {
        device.partition.as_ref().is_some_and(|partition| partition.kind == ROOT_TYPE && !partition.no_auto)
    };
    disk.partitions.iter().filter(is_root)
}

fn is_named(device: &Device, name: &RootName) -> bool {
    let partition = device.partition.as_ref();
    match name {
        RootName::PartitionUuid(uuid) => partition.is_some_and(|partition| partition.uuid == *uuid),
        RootName::PartitionLabel(label) => partition.is_some_and(|partition| partition.name == *label),
        RootName::Uuid(uuid) => device.superblock().is_some_and(|found| found.uuid == *uuid),
        RootName::Label(label) => device.superblock().is_some_and(|found| found.label == *label),
        RootName::Device(path) => device.path().as_os_str() == path.as_str(),
    }
}

fn missing(wanted: &Wanted, patience: Duration, disks: &[Disk]) -> InitError {
    let wanted = match wanted {
        Wanted::Named(RootName::PartitionUuid(uuid)) => format!("the root PARTUUID={uuid}"),
        Wanted::Named(RootName::PartitionLabel(label)) => format!("the root PARTLABEL={label}"),
        Wanted::Named(RootName::Uuid(uuid)) => format!("the root UUID={uuid}"),
        Wanted::Named(RootName::Label(label)) => format!("the root LABEL={label}"),
        Wanted::Named(RootName::Device(path)) => format!("the root {path}"),
        Wanted::Beside(uuid) => {
            format!(
                "a root partition (type {ROOT_TYPE}) on the disk that the boot loader came from (PARTUUID={uuid})"
            )
        }
        Wanted::Only => format!("a root partition (type {ROOT_TYPE})"),
    };
    let names: Vec<&str> = disks
        .iter()
        .flat_map(|disk| std::iter::once(&disk.device).chain(&disk.partitions))
        .map(|device| device.name.as_str())
        .collect();
    let seen = match names.as_slice() {
        [] => "there is no disk".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    InitError::NoDevice { wanted, seconds: patience.as_secs(), seen, failed: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::Partition;

    const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

    fn disk(name: &str, kinds: &[&str]) -> Disk {
        let device = |name: String, partition| Device { name, number: "254:0".to_owned(), partition };
        let partitions = (1..).zip(kinds).map(|(number, kind)| {
            let partition = Partition {
                number,
                kind: (*kind).to_owned(),
                uuid: format!("{name}-{number}"),
                name: format!("label {number}"),
                no_auto: false,
            };
            device(format!("{name}{number}"), Some(partition))
        });
        Disk { partitions: partitions.collect(), device: device(name.to_owned(), None) }
    }

    fn name(look: &Look) -> &str {
        match look {
            Look::Found(device) | Look::Perhaps(device) => &device.name,
            Look::Many(_) => "many",
            Look::Nothing => "nothing",
        }
    }

    #[test]
    fn the_root_lies_on_the_boot_loader_s_disk() {
        let disks = [disk("vda", &[ROOT_TYPE]), disk("vdb", &[ESP, "other", ROOT_TYPE, ROOT_TYPE])];
        assert_eq!(name(&choose(&Wanted::Beside("vdb-1".to_owned()), &disks)), "vdb3");
        // Not the other disk's while its own is not there.
        assert_eq!(name(&choose(&Wanted::Beside("vdc-1".to_owned()), &disks)), "nothing");
        assert_eq!(name(&choose(&Wanted::Beside("vdb-1".to_owned()), &[disk("vdb", &[ESP])])), "nothing");
    }

    #[test]
    fn without_a_boot_loader_that_says_so_there_must_be_one_root() {
        let one = [disk("vda", &[ESP]), disk("vdb", &[ESP, ROOT_TYPE])];
        assert!(matches!(choose(&Wanted::Only, &one), Look::Perhaps(device) if device.name == "vdb2"));
        let two = [disk("vda", &[ROOT_TYPE]), disk("vdb", &[ROOT_TYPE])];
        assert!(matches!(choose(&Wanted::Only, &two), Look::Many(found) if found.len() == 2));
        assert_eq!(choose(&Wanted::Only, &[]), Look::Nothing);
    }

    #[test]
    fn a_partition_that_says_no_is_not_taken() {
        let mut disks = [disk("vda", &[ROOT_TYPE])];
        disks[0].partitions[0].partition.as_mut().unwrap().no_auto = true;
        assert_eq!(choose(&Wanted::Only, &disks), Look::Nothing);
        assert_eq!(
            name(&choose(&Wanted::Named(RootName::PartitionUuid("vda-1".to_owned())), &disks)),
            "vda1"
        );
    }

    #[test]
    fn a_name_is_one_device_s() {
        let disks = [disk("vda", &[ESP, ROOT_TYPE]), disk("vdb", &["other"])];
        let named = |name| choose(&Wanted::Named(name), &disks);
        assert_eq!(name(&named(RootName::PartitionUuid("vda-2".to_owned()))), "vda2");
        assert_eq!(name(&named(RootName::PartitionLabel("label 2".to_owned()))), "vda2");
        assert_eq!(name(&named(RootName::PartitionLabel("label 1".to_owned()))), "many");
        assert_eq!(name(&named(RootName::Device("/dev/vdb".to_owned()))), "vdb");
        assert_eq!(name(&named(RootName::Device("/dev/vdc".to_owned()))), "nothing");
    }

    #[test]
    fn what_is_missing_is_said_with_what_is_there() {
        let disks = [disk("vda", &[ESP])];
        let said = missing(&Wanted::Only, Duration::from_secs(30), &disks).to_string();
        let expected =
            format!("a root partition (type {ROOT_TYPE}) did not appear within 30 s; there are vda, vda1");
        assert_eq!(said, expected);
        let named = Wanted::Named(RootName::Label("root".to_owned()));
        let said = missing(&named, Duration::from_secs(5), &[]).to_string();
        assert_eq!(said, "the root LABEL=root did not appear within 5 s; there is no disk");
    }
}
