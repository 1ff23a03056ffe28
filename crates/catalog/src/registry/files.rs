//! Small files that appear whole: written under another name, then renamed.

use std::io::{self, ErrorKind};
use std::path::Path;

use calypte_base::Epoch;

/// The names in a directory, sorted; none where it is not there.
pub(super) fn list(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// The bytes of a file; `None` where there is none.
pub(super) fn get(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs_err::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// The size of a file in bytes; `None` where there is none.
pub(super) fn size(path: &Path) -> io::Result<Option<u64>> {
    match fs_err::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(|metadata| Some(metadata.len())),
    }
}

/// When a file was written last; `None` where that cannot be told.
pub(super) fn changed(path: &Path) -> Option<Epoch> {
    let time = fs_err::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Epoch)
}

/// Writes a file in place of what was there; `root` is the registry's directory, where it is made first.
pub(super) fn put(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let uploads = root.join("_uploads");
    fs_err::create_dir_all(&uploads)?;
    if let Some(directory) = path.parent() {
        fs_err::create_dir_all(directory)?;
    }
    let staged = uploads.join(format!("write-{}", super::new_id()?));
    let written = fs_err::write(&staged, bytes).and_then(|()| fs_err::rename(&staged, path));
    if written.is_err() {
        drop(fs_err::remove_file(&staged));
    }
    written
}

/// Removes a file; whether it was there.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}
