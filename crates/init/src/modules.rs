//! The kernel modules of the initramfs, loaded in the order of its list. Dependencies stand before what needs them: who
//! makes the list knows them, and nothing is searched for here.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::system::finit_module;

use crate::console::Console;
use crate::error::{InitError, chain};

/// The list: a path below [`DIRECTORY`] on each line. Empty lines and those that start with `#` say nothing.
const LIST: &str = "/modules.list";

/// Where the modules lie.
const DIRECTORY: &str = "/modules";

/// `MODULE_INIT_COMPRESSED_FILE` of `linux/module.h`: the kernel decompresses it itself.
const COMPRESSED: i32 = 4;

/// The modules that could not be loaded, and why.
#[derive(Debug, Default)]
pub struct Loaded {
    failed: Vec<String>,
}

impl Loaded {
    /// The same error, which names these modules where they may be the cause.
    #[must_use]
    pub fn explain(&self, error: InitError) -> InitError {
        match error {
            InitError::NoDevice { wanted, seconds, seen, .. } if !self.failed.is_empty() => {
                let failed = format!("; modules that did not load: {}", self.failed.join(", "));
                InitError::NoDevice { wanted, seconds, seen, failed }
            }
            error => error,
        }
    }
}

/// The paths in a list of modules, each below [`DIRECTORY`] whatever it says.
#[must_use]
pub fn parse(list: &[u8]) -> Vec<PathBuf> {
    let text = String::from_utf8_lossy(list);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let below = |line: &str| {
        let parts = Path::new(line).components().filter_map(|part| match part {
            std::path::Component::Normal(part) => Some(part),
            _ => None,
        });
        Path::new(DIRECTORY).join(parts.collect::<PathBuf>())
    };
    lines.map(below).collect()
}

/// Loads the modules. One that cannot be loaded is told, and does not end the boot: the machine may not need it.
///
/// # Errors
/// When the list cannot be read; no list at all is fine, as is a kernel that has everything built in.
pub fn load(console: &Console) -> Result<Loaded, InitError> {
    let list = match fs_err::read(LIST) {
        Ok(list) => list,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Loaded::default()),
        Err(error) => return Err(InitError::Modules(error)),
    };
    let mut loaded = Loaded::default();
    for path in parse(&list) {
        if let Err(error) = load_one(&path) {
            let error = chain(&error);
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            console.warn(&format!("the module {name} was not loaded: {error}"));
            loaded.failed.push(format!("{name} ({error})"));
        }
    }
    Ok(loaded)
}

fn load_one(path: &Path) -> std::io::Result<()> {
    const NO_PARAMETERS: &CStr = c"";
    let file = fs_err::File::open(path)?;
    let flags = if path.extension().is_some_and(|ending| ending == "ko") { 0 } else { COMPRESSED };
    match finit_module(file.file(), NO_PARAMETERS, flags) {
        // Built in or loaded already, or the machine has no such device.
        Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_path_on_each_line() {
        let list = b"# disks\nkernel/drivers/block/virtio_blk.ko\n\n  /ext4.ko \n../../etc/x.ko\n";
        let expected = ["kernel/drivers/block/virtio_blk.ko", "ext4.ko", "etc/x.ko"];
        assert_eq!(parse(list), expected.map(|path| Path::new("/modules").join(path)));
        assert_eq!(parse(b"\xff\n"), [Path::new("/modules/\u{fffd}")]);
    }

    #[test]
    fn a_missing_device_is_explained_by_missing_modules() {
        let missing = || InitError::NoDevice {
            wanted: "the root".to_owned(),
            seconds: 30,
            seen: "there is no disk".to_owned(),
            failed: String::new(),
        };
        let loaded = Loaded { failed: vec!["nvme (Exec format error)".to_owned()] };
        let said = loaded.explain(missing()).to_string();
        assert!(
            said.ends_with("there is no disk; modules that did not load: nvme (Exec format error)"),
            "{said}"
        );
        assert_eq!(Loaded::default().explain(missing()).to_string(), missing().to_string());
    }
}
