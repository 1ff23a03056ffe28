//! Files that appear whole or not at all, readable by everyone.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use calypte_base::Digest;
use calypte_store::{Store, StoreError};
use tempfile::NamedTempFile;

use super::OutputError;

/// Mode of every file that is written.
const FILE_MODE: u32 = 0o644;

/// Mode of every directory that is made.
pub(super) const DIRECTORY_MODE: u32 = 0o755;

/// Marks files in the making; a leftover of a killed run can be told by it.
const PREFIX: &str = ".calypte-";

/// The directory of a path; the current one for a bare file name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A temporary directory beside `path`, to be renamed to it.
pub(super) fn directory_beside(path: &Path) -> Result<tempfile::TempDir, OutputError> {
    let parent = parent(path);
    fs_err::create_dir_all(parent).map_err(OutputError::io("create directory", parent))?;
    let directory = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(parent)
        .map_err(OutputError::io("create a directory in", parent))?;
    set_mode(directory.path(), DIRECTORY_MODE)?;
    Ok(directory)
}

/// Makes a directory with its mode, unless it is there.
pub(super) fn create_directory(path: &Path) -> Result<(), OutputError> {
    match fs_err::create_dir(path) {
        Ok(()) => set_mode(path, DIRECTORY_MODE),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(OutputError::io("create directory", path)(error)),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), OutputError> {
    fs_err::set_permissions(path, Permissions::from_mode(mode))
        .map_err(OutputError::io("change the mode of", path))
}

/// Writes a file by way of a temporary one beside it, in place of what was there.
pub(super) fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut std::fs::File) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    let parent = parent(path);
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempfile_in(parent)
        .map_err(OutputError::io("create a file in", parent))?;
    fill(file.as_file_mut())?;
    publish(file, path)
}

fn publish(file: NamedTempFile, path: &Path) -> Result<(), OutputError> {
    // Set on the open file: the umask has no say in it.
    file.as_file()
        .set_permissions(Permissions::from_mode(FILE_MODE))
        .map_err(OutputError::io("change the mode of", path))?;
    file.persist(path).map_err(|error| OutputError::io("create", path)(error.error))?;
    Ok(())
}

/// Puts a blob of the store at `path`: as a hard link where that is possible, else as a copy. A file that is there
/// already and has the right length is kept: it is named by its digest, and was whole when it got that name.
pub(super) fn place_blob(store: &Store, digest: &Digest, size: u64, path: &Path) -> Result<(), OutputError> {
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.len() == size => return Ok(()),
        Ok(_) => fs_err::remove_file(path).map_err(OutputError::io("remove", path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(OutputError::io("read", path)(error)),
    }
    let source = store.blob_path(digest);
    let mut blob = open_blob(store, digest, size)?;
    let readable = blob.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o444 == 0o444);
    if readable && fs_err::hard_link(&source, path).is_ok() {
        return Ok(());
    }
    write_file(path, |target| {
        let copied = io::copy(&mut blob, target).map_err(OutputError::io("copy a blob to", path))?;
        if copied == size { Ok(()) } else { Err(missing(store, digest)) }
    })
}

/// Opens a blob of the store that must have this length. The length is what a crash of the machine takes from a file;
/// to hash every byte would cost more than all the rest of a build in which nothing changed, and whoever reads the
/// image checks the digests anyway.
pub(super) fn open_blob(store: &Store, digest: &Digest, size: u64) -> Result<std::fs::File, OutputError> {
    let file = store.blob(digest)?.ok_or_else(|| missing(store, digest))?;
    let length = file.metadata().map_err(OutputError::io("read", store.blob_path(digest)))?.len();
    if length != size {
        store.remove(digest)?;
        return Err(missing(store, digest));
    }
    Ok(file.into_file())
}

fn missing(store: &Store, digest: &Digest) -> OutputError {
    StoreError::Missing { what: "blob", digest: *digest, path: store.blob_path(digest) }.into()
}
