//! Archives: plain directories of blobs (`sha256/<hex>`), which make a rebuild independent of any mirror. They can be
//! copied, served and read by anything; their own names check them (`sha256sum`).

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Hasher};

use crate::error::StoreError;
use crate::fetch::Download;
use crate::staging::{Staged, sweep};
use crate::{CHUNK, Store};

/// What an export or import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Files that were written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already.
    pub present: usize,
}

fn path_in(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("sha256").join(digest.hex())
}

/// Writes the files of these downloads from the store to `directory/sha256/<hex>`, verified. Files that are there
/// with the right size are left alone, so that it can be repeated as locks change.
///
/// # Errors
/// When one is not in the store (fetch first) or damaged, or the directory cannot be written.
pub fn export(store: &Store, downloads: &[Download], directory: &Path) -> Result<Copied, StoreError> {
    let folder = directory.join("sha256");
    fs_err::create_dir_all(&folder).map_err(StoreError::io("create directory", &folder))?;
    sweep(&folder)?;
    let mut copied = Copied::default();
    let mut seen = BTreeSet::new();
    for download in downloads.iter().filter(|download| seen.insert(download.digest)) {
        let target = path_in(directory, &download.digest);
        if fs_err::metadata(&target).is_ok_and(|there| there.len() == download.size) {
            copied.present += 1;
            continue;
        }
        let mut source = store.open_verified(&download.digest)?;
        let mut staged = Staged::new(&folder)?;
        copied.bytes += transfer(&mut source, &store.blob_path(&download.digest), &mut staged)?.1;
        staged.publish(&target)?;
        copied.files += 1;
    }
    Ok(copied)
}

/// Takes every file of an archive into the store, verified.
///
/// # Errors
/// When a file is not what its name says, or something cannot be read or written.
pub fn import(store: &Store, directory: &Path) -> Result<Copied, StoreError> {
    let folder = directory.join("sha256");
    let mut copied = Copied::default();
    for entry in fs_err::read_dir(&folder).map_err(StoreError::io("read directory", &folder))? {
        let entry = entry.map_err(StoreError::io("read directory", &folder))?;
        let Ok(digest) = entry.file_name().to_string_lossy().parse::<Digest>() else { continue };
        if store.has(&digest) {
            copied.present += 1;
        } else if take(store, directory, &digest)? {
            copied.files += 1;
            copied.bytes += fs_err::metadata(store.blob_path(&digest)).map_or(0, |metadata| metadata.len());
        }
    }
    Ok(copied)
}

/// Whether an archive has this file.
pub(crate) fn has(directory: &Path, digest: &Digest) -> bool {
    path_in(directory, digest).exists()
}

/// Takes a file of an archive into the store, verified; whether it was there.
pub(crate) fn take(store: &Store, directory: &Path, digest: &Digest) -> Result<bool, StoreError> {
    let path = path_in(directory, digest);
    let mut source = match fs_err::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::io("open", path)(error)),
    };
    let mut staged = Staged::new(&store.directory("partial"))?;
    let (found, _) = transfer(&mut source, &path, &mut staged)?;
    if found != *digest {
        return Err(StoreError::DamagedArchive { path, expected: *digest, found });
    }
    staged.publish(&store.blob_path(digest))?;
    Ok(true)
}

/// Copies all that a reader gives, and hashes it on the way.
fn transfer(source: &mut dyn Read, path: &Path, target: &mut Staged) -> Result<(Digest, u64), StoreError> {
    let mut hasher = Hasher::new();
    let mut size = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        hasher.update(&buffer[..count]);
        target.write_all(&buffer[..count])?;
        size += count as u64;
    }
}
