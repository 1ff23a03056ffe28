//! What nobody has used for long is removed. A use is noted as the time of the file, once a day at most: the time of last
//! access is not kept by many file systems, and a file of this store never changes, so its own time is free for this.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use calypte_base::{Digest, Epoch};
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;

/// A use is noted when the one that was noted before is so old.
const NOTED: Duration = Duration::from_secs(86_400);

/// The shortest time for which unused files can be asked to be kept, in days: what a running build has looked for and not
/// opened yet has a note of at most a day before.
pub const SHORTEST: u32 = 2;

/// Files that were removed, or would be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Their number.
    pub files: u64,
    /// Their bytes. One that another store has too (a hard link) counts, though its space is free only without both.
    pub bytes: u64,
}

/// What was removed from a store, or would be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Packages, indexes, layers, documents.
    pub blobs: Removed,
    /// Contents of unpacked packages.
    pub packs: Removed,
    /// Derived results.
    pub cache: Removed,
    /// Downloads that nobody went on with.
    pub partial: Removed,
}

/// What to remove from a store.
#[derive(Debug, Clone, Copy)]
pub struct Sweep<'a> {
    /// Blobs that stay, used or not.
    pub keep: &'a BTreeSet<Digest>,
    /// What was used since then stays.
    pub since: Epoch,
    /// Nothing is removed.
    pub dry_run: bool,
}

impl Removed {
    /// Counts one more.
    pub const fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Swept {
    /// All of it together.
    #[must_use]
    pub fn total(&self) -> Removed {
        [self.blobs, self.packs, self.cache, self.partial].into_iter().sum()
    }
}

impl std::iter::Sum for Removed {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            files: sum.files + part.files,
            bytes: sum.bytes.saturating_add(part.bytes),
        })
    }
}

impl Sweep<'_> {
    /// Removes the file when it is old.
    fn file(&self, path: &Path, removed: &mut Removed) -> Result<(), StoreError> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        // Asked for immediately before: what was used until now is seen to be.
        let metadata = match fs_err::symlink_metadata(path) {
            Err(error) if gone(&error) => return Ok(()),
            other => other.map_err(StoreError::io("read", path))?,
        };
        let is_old = used(&metadata).is_some_and(|used| used < self.since);
        if !metadata.is_file() || !is_old {
            return Ok(());
        }
        if !self.dry_run {
            match fs_err::remove_file(path) {
                Err(error) if gone(&error) => return Ok(()),
                other => other.map_err(StoreError::io("remove", path))?,
            }
        }
        removed.add(metadata.len());
        Ok(())
    }

    /// Does so with all files of a directory, and of those below it where `deep`.
    fn directory(&self, directory: &Path, deep: bool, removed: &mut Removed) -> Result<(), StoreError> {
        for entry in fs_err::read_dir(directory).map_err(StoreError::io("read directory", directory))? {
            let entry = entry.map_err(StoreError::io("read directory", directory))?;
            let path = entry.path();
            let is_directory = entry.file_type().map_err(StoreError::io("read", &path))?.is_dir();
            if is_directory && deep {
                self.directory(&path, false, removed)?;
                continue;
            }
            let digest = entry.file_name().to_str().and_then(|name| format!("sha256:{name}").parse().ok());
            // A file of another name is none of ours.
            if let Some(digest) = digest
                && !self.keep.contains(&digest)
            {
                self.file(&path, removed)?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Removes what was not used for long. What a killed process left half-written goes when the store is opened; `state`
    /// stays.
    ///
    /// # Errors
    /// When a directory cannot be read or a file not be removed; what was removed before that stays removed.
    pub fn sweep(&self, sweep: &Sweep<'_>) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        sweep.directory(&self.directory("blobs"), true, &mut swept.blobs)?;
        sweep.directory(&self.directory("packs"), true, &mut swept.packs)?;
        sweep.directory(&self.directory("cache"), true, &mut swept.cache)?;
        sweep.directory(&self.directory("partial"), false, &mut swept.partial)?;
        Ok(swept)
    }
}

/// When a file was used last, to a day.
fn used(metadata: &std::fs::Metadata) -> Option<Epoch> {
    let since = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Epoch)
}

/// Notes that a file is used now; gives its size, or nothing where it is not there.
#[expect(clippy::disallowed_methods, reason = "it goes into the time of a file and nowhere else")]
pub(crate) fn note_use(path: &Path) -> Option<u64> {
    let metadata = fs_err::metadata(path).ok()?;
    let now = SystemTime::now();
    let noted = metadata.modified().ok().and_then(|used| now.duration_since(used).ok());
    if noted.is_some_and(|age| age > NOTED) {
        // Who may not note it (a store that is only read) may still use it.
        drop(std::fs::File::open(path).and_then(|file| file.set_modified(now)));
    }
    Some(metadata.len())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files get times before now")]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn age(path: &Path, days: u32) {
        let file = std::fs::File::open(path).unwrap();
        file.set_modified(SystemTime::now() - DAY * days).unwrap();
    }

    fn sweep(store: &Store, keep: &[Digest], days: u32, dry_run: bool) -> Swept {
        let keep = keep.iter().copied().collect();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - DAY * days;
        let since = Epoch(i64::try_from(now.as_secs()).unwrap());
        store.sweep(&Sweep { keep: &keep, since, dry_run }).unwrap()
    }

    #[test]
    fn what_was_not_used_goes_and_what_is_kept_or_was_used_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let [old, kept, used, looked_for, new] =
            ["old", "kept", "used", "looked for", "new"].map(|text| store.put(text.as_bytes()).unwrap());
        let key = Digest::of(b"key");
        let mut pack = store.pack_writer().unwrap();
        pack.append(&mut &b"content"[..], 7).unwrap();
        let pack = pack.finish(&key, b"index").unwrap();
        store.cache_put("results", &key, b"result").unwrap();
        store.state_put("newest", b"state").unwrap();
        for digest in [&old, &kept, &used, &looked_for] {
            age(&store.blob_path(digest), 40);
        }
        age(pack.path(), 40);
        let cached = directory.path().join("cache/results").join(key.hex());
        age(&cached, 40);
        let strange = directory.path().join("blobs/README");
        std::fs::write(&strange, "not ours").unwrap();
        age(&strange, 40);
        assert!(store.has(&looked_for) && store.blob(&used).unwrap().is_some());

        let would = sweep(&store, &[kept], 30, true);
        assert!(store.blob_path(&old).exists());
        let swept = sweep(&store, &[kept], 30, false);
        assert_eq!(swept, would);
        assert_eq!((swept.blobs.files, swept.blobs.bytes), (1, 3));
        assert_eq!((swept.packs.files, swept.cache.files), (1, 1));
        assert!(!store.blob_path(&old).exists());
        for digest in [&kept, &used, &looked_for, &new] {
            assert!(store.blob_path(digest).exists());
        }
        assert_eq!(store.state_get("newest").unwrap().as_deref(), Some(&b"state"[..]));
        assert!(strange.exists());
        // A reader of a pack that was removed in the meantime goes on: the file is open.
        let mut content = [0; 7];
        pack.read_at(&mut content, 0).unwrap();
        assert_eq!(&content, b"content");
        assert_eq!(sweep(&store, &[kept], 30, false), Swept::default());
    }

    #[test]
    fn packs_and_results_that_are_used_stay() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let key = Digest::of(b"key");
        let pack = store.pack_writer().unwrap().finish(&key, b"index").unwrap();
        store.cache_put("results", &key, b"result").unwrap();
        age(pack.path(), 40);
        age(&directory.path().join("cache/results").join(key.hex()), 40);
        assert!(store.pack(&key).unwrap().is_some() && store.cache_get("results", &key).is_some());
        assert_eq!(sweep(&store, &[], 30, false), Swept::default());
    }
}
