//! Files: what std does, with errors that name the path.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// A failure at a path.
pub fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot {what} {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => failure.hint(format!(
            "mount a volume or a tmpfs at {}, or at a directory above it",
            path.parent().unwrap_or(path).display()
        )),
        io::ErrorKind::PermissionDenied => {
            failure.hint("give it to the user that this container runs as (podman: the volume option `U`)")
        }
        _ => failure,
    }
}

/// The text of a file of at most `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text));
    read.map_err(|error| failed("read", path, &error))?;
    if text.len() as u64 > limit {
        return Err(Failure::new(format!("{} has more than {limit} bytes", path.display())));
    }
    Ok(text)
}

/// Writes a file, and has it on the disk before it returns.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| failed("write", path, &error))
}

/// Makes a directory with its parents, if it is not there.
pub fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| failed("make the directory", path, &error))
}

/// The paths in a directory, by name.
pub fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let read =
        || -> io::Result<Vec<PathBuf>> { fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = read().map_err(|error| failed("look into", path, &error))?;
    paths.sort();
    Ok(paths)
}

/// Renames a file or directory.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| failed("move a file to", to, &error))
}

/// Deletes a directory with all that is in it, if it is there.
pub fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", path, &error)),
        _ => Ok(()),
    }
}

/// Has the names in a directory on the disk.
pub fn sync_directory(path: &Path) -> Result<()> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed("write out", path, &error))
}

/// The permissions of what is at a path, links followed (`07777`).
pub fn mode(path: &Path) -> Result<u32> {
    let metadata = fs::metadata(path).map_err(|error| failed("look at", path, &error))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

/// Sets the permissions.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| failed("change the permissions of", path, &error))
}
