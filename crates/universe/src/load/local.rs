//! A repository that is a directory of this machine: its files are read from there, and become blobs of the store like all
//! that is downloaded.
//!
//! Nobody signs it. That its packages are wanted, whoever named the directory has said; what is locked of them is locked by
//! digest, so what is built later is what was there then.

use std::io::Read as _;
use std::path::Path;

use calypte_base::Digest;
use calypte_store::Store;

use super::Opened;
use crate::error::UniverseError;

/// The largest file that is taken out of a directory.
const LIMIT: u64 = 1 << 30;

/// Reads a file of the directory.
pub(super) fn read(directory: &Path, path: &str) -> Result<Vec<u8>, UniverseError> {
    let failed = |source| UniverseError::Local { path: directory.join(path), source };
    let file = fs_err::File::open(directory.join(path)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Puts a file of the directory into the store, if it is not there.
///
/// # Errors
/// When it cannot be read, or is not what its repository says of it.
pub fn import(directory: &Path, path: &str, digest: &Digest, store: &Store) -> Result<(), UniverseError> {
    if store.has(digest) {
        return Ok(());
    }
    let bytes = read(directory, path)?;
    if Digest::of(&bytes) != *digest {
        return Err(UniverseError::LocalChanged { path: directory.join(path) });
    }
    store.put(&bytes)?;
    Ok(())
}

/// Puts the indexes of an opened repository into the store.
pub(super) fn import_indexes(directory: &Path, opened: &Opened, store: &Store) -> Result<(), UniverseError> {
    let indexes =
        opened.indexes.iter().flat_map(|index| std::iter::once(&index.packages).chain(&index.files));
    for packed in indexes.chain(&opened.updates) {
        import(directory, &packed.download.path, &packed.download.digest, store)?;
    }
    Ok(())
}
