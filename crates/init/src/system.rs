//! The root's device → the system at [`PLACE`]: the image, read-only, with its own `/etc`, the shared `/var`, and the root
//! file system itself at `/sysroot`.

use std::path::{Path, PathBuf};

use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};

use crate::command_line::{CommandLine, Image};
use crate::devices::Device;
use crate::error::InitError;
use crate::mount::{self, FileSystem};
use crate::verity;

/// Where the system is put together.
pub const PLACE: &str = "/sysroot";

/// The root file system while that is done.
const ROOT: &str = "/run/calypte/root";

/// The image's own file system, whose files' contents are elsewhere.
const IMAGE: &str = "/run/calypte/image";

/// What changes in `/etc` where it is transient.
const ETC: &str = "/run/calypte/etc";

/// Mounts everything.
///
/// # Errors
/// When something is missing or refused, or the image is not the one that the command line names.
pub fn mount(line: &CommandLine, image: &Image, device: &Device) -> Result<(), InitError> {
    mount_root(line, device)?;
    let file = check_image(image)?;
    mount_image(image, &file)?;
    mount_state(line, image)
}

fn mount_root(line: &CommandLine, device: &Device) -> Result<(), InitError> {
    let kind = line.file_system();
    let mount = || -> std::io::Result<()> {
        fs_err::create_dir_all(ROOT)?;
        let mut system = FileSystem::open(kind)?.set("source", &device.path())?;
        let mut attributes = MountAttrFlags::empty();
        for option in line.root_options() {
            match option {
                "rw" => {}
                "noatime" => attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME,
                "nodiratime" => attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
                "relatime" => attributes |= MountAttrFlags::MOUNT_ATTR_RELATIME,
                option => {
                    system = match option.split_once('=') {
                        Some((option, value)) => system.set(option, Path::new(value))?,
                        None => system.flag(option)?,
                    }
                }
            }
        }
        system.attach(attributes, Path::new(ROOT))
    };
    let device = device.path().display().to_string();
    mount().map_err(|source| InitError::MountRoot { device, kind: kind.to_owned(), source })
}

/// The file of the image, once the kernel has vouched for it where it must.
fn check_image(image: &Image) -> Result<PathBuf, InitError> {
    let missing = |source| InitError::NoImage { digest: image.short().to_owned(), source };
    let link = Path::new(ROOT).join("composefs/images").join(&image.digest);
    // The name under which it was opened is the one that is mounted.
    let path = fs_err::canonicalize(&link).map_err(missing)?;
    let file = fs_err::File::open(&path).map_err(missing)?;
    match verity::measure(file.file()) {
        Ok(found) if found == image.digest => Ok(path),
        Ok(found) => Err(InitError::WrongImage { wanted: image.digest.clone(), found }),
        Err(_) if !image.verified => Ok(path),
        Err(source) => Err(InitError::NoVerity { digest: image.short().to_owned(), source }),
    }
}

fn mount_image(image: &Image, file: &Path) -> Result<(), InitError> {
    let failed =
        |step| move |source| InitError::MountImage { digest: image.short().to_owned(), step, source };
    let mount_erofs = || -> std::io::Result<()> {
        fs_err::create_dir_all(IMAGE)?;
        let system = FileSystem::open("erofs")?.flag("ro")?.set("source", file)?;
        system.attach(MountAttrFlags::MOUNT_ATTR_RDONLY, Path::new(IMAGE))
    };
    mount_erofs().map_err(failed("EROFS"))?;
    let mount_overlay = || -> std::io::Result<()> {
        fs_err::create_dir_all(PLACE)?;
        let source = format!("composefs:{}", image.digest);
        let mut system = FileSystem::open("overlay")?
            .set("source", Path::new(&source))?
            .set("metacopy", Path::new("on"))?
            .set("redirect_dir", Path::new("on"))?;
        if image.verified {
            system = system.set("verity", Path::new("require"))?;
        }
        system
            .set("lowerdir+", Path::new(IMAGE))?
            .set("datadir+", &Path::new(ROOT).join("composefs/objects"))?
            .attach(MountAttrFlags::MOUNT_ATTR_RDONLY, Path::new(PLACE))
    };
    mount_overlay().map_err(failed("overlay"))?;
    // The overlay holds it from now on.
    unmount(IMAGE, UnmountFlags::DETACH).map_err(|errno| failed("detaching EROFS")(errno.into()))
}

fn mount_state(line: &CommandLine, image: &Image) -> Result<(), InitError> {
    let root = Path::new(ROOT);
    let place = Path::new(PLACE);
    let failed = |from: &Path, to: &Path| {
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        move |source| InitError::State { from, to, source }
    };
    let etc = place.join("etc");
    if line.transient_etc()? {
        mount_transient(&etc).map_err(failed(Path::new(ETC), &etc))?;
    } else {
        let own = root.join("state/deploy").join(&image.digest).join("etc");
        mount::bind(&own, &etc).map_err(failed(&own, &etc))?;
    }
    let var = root.join("state/os/default/var");
    mount::bind(&var, &place.join("var")).map_err(failed(&var, &place.join("var")))?;
    let whole = place.join("sysroot");
    mount::relocate(root, &whole).map_err(failed(root, &whole))
}

/// The image's `/etc`, with whatever changes in it kept in memory.
fn mount_transient(etc: &Path) -> std::io::Result<()> {
    let upper = Path::new(ETC).join("changes");
    let work = Path::new(ETC).join("work");
    fs_err::create_dir_all(&upper)?;
    fs_err::create_dir_all(&work)?;
    FileSystem::open("overlay")?
        .set("source", Path::new("transient"))?
        .set("lowerdir+", etc)?
        .set("upperdir", &upper)?
        .set("workdir", &work)?
        .attach(MountAttrFlags::empty(), etc)
}
