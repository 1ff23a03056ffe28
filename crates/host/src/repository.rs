//! The composefs repository: objects and images, as composefs-rs lays them out.
//!
//! Objects come in batches. Their bytes are written under other names, the file system is flushed once, and only then do
//! they get the names by which images find them: an object that has its name is whole, also after a power cut. fs-verity is
//! turned on for each where the file system has it.

use std::path::{Path, PathBuf};

use calypte_composefs::{Image, ObjectHasher, Tree, VerityDigest, metadata_json};

use crate::disk_changes::{self, NewFile};
use crate::{HostError, SystemRoot};

/// Objects that are written before the file system is flushed: what a run that is cut off loses at most.
const BATCH_BYTES: u64 = 512 * 1024 * 1024;

/// The repository of a root file system.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    staging: PathBuf,
    verity: bool,
}

/// Objects that are written and do not have their names yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    staged: Vec<(PathBuf, VerityDigest)>,
    bytes: u64,
}

/// What is in the directory of objects.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// Objects with their sizes, sorted.
    pub(crate) objects: Vec<(VerityDigest, u64)>,
    /// What has no object's name.
    pub(crate) strange: Vec<PathBuf>,
}

/// A file written to the staging directory whose digest is known.
#[derive(Debug)]
pub(crate) struct StagedObject {
    pub(crate) path: PathBuf,
    pub(crate) digest: VerityDigest,
    pub(crate) size: u64,
}

impl Repository {
    /// Opens the repository for writing, and makes it where there is none. The lock must be held.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(system: &SystemRoot) -> Result<Self, HostError> {
        let (root, staging) = (system.repository(), system.staging());
        for name in ["", "objects", "images", "images/refs", "images/refs/calypte", "streams"] {
            disk_changes::make_directory(&root.join(name))?;
        }
        let metadata = root.join("meta.json");
        if !metadata.exists() {
            let mut file = NewFile::create(&staging)?;
            file.append(&metadata_json()?)?;
            file.set_mode(0o644)?;
            file.sync()?;
            file.close();
            disk_changes::enable_verity(file.path())?;
            file.publish(&metadata)?;
            disk_changes::sync_directory(&root)?;
        }
        Ok(Self { verity: is_sealed(&metadata)?, root, staging })
    }

    /// The repository for reading.
    #[must_use]
    pub fn read_only(system: &SystemRoot) -> Self {
        Self { root: system.repository(), staging: system.staging(), verity: false }
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether its file system has fs-verity.
    #[must_use]
    pub const fn has_verity(&self) -> bool {
        self.verity
    }

    /// Where an object lies.
    #[must_use]
    pub fn object(&self, digest: &VerityDigest) -> PathBuf {
        self.root.join("objects").join(digest.object_path())
    }

    /// Whether an object of this size is there. Its bytes are not looked at.
    #[must_use]
    pub fn has(&self, digest: &VerityDigest, size: u64) -> bool {
        fs_err::symlink_metadata(self.object(digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// The bytes of an object, checked.
    ///
    /// # Errors
    /// When it is not there, or damaged.
    pub fn read(&self, digest: &VerityDigest) -> Result<Vec<u8>, HostError> {
        let path = self.object(digest);
        let bytes = fs_err::read(&path).map_err(HostError::io("read", &path))?;
        if VerityDigest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        Err(HostError::State { path, reason: "its bytes are not those that its name says".to_owned() })
    }

    /// The tree of a deployed image.
    ///
    /// # Errors
    /// When the image is not there, or damaged.
    pub fn tree(&self, digest: &VerityDigest) -> Result<Tree, HostError> {
        Ok(Tree::from_image(&self.read(digest)?)?)
    }

    /// Starts a file that will be an object.
    pub(crate) fn new_object(&self) -> Result<NewFile, HostError> {
        NewFile::create(&self.staging)
    }

    /// Writes an object's bytes to the staging directory; nothing where the repository has it.
    pub(crate) fn stage(
        &self,
        bytes: &[u8],
        digest: VerityDigest,
    ) -> Result<Option<StagedObject>, HostError> {
        let size = bytes.len() as u64;
        if self.has(&digest, size) {
            return Ok(None);
        }
        let mut file = self.new_object()?;
        file.append(bytes)?;
        self.finish(file, digest, size).map(Some)
    }

    /// Seals a file that holds all of an object.
    pub(crate) fn finish(
        &self,
        mut file: NewFile,
        digest: VerityDigest,
        size: u64,
    ) -> Result<StagedObject, HostError> {
        file.close();
        if self.verity {
            disk_changes::enable_verity(file.path())?;
        }
        Ok(StagedObject { path: file.keep(), digest, size })
    }

    /// Takes a staged object into a batch; a full one gets its names.
    pub(crate) fn add(&self, batch: &mut Batch, object: StagedObject) -> Result<(), HostError> {
        batch.bytes += object.size;
        batch.staged.push((object.path, object.digest));
        if batch.bytes < BATCH_BYTES { Ok(()) } else { self.commit(batch) }
    }

    /// Flushes the file system, and with it the objects of a batch, and gives them their names.
    pub(crate) fn commit(&self, batch: &mut Batch) -> Result<(), HostError> {
        disk_changes::sync_file_system(&self.root)?;
        if batch.staged.is_empty() {
            return Ok(());
        }
        for (path, digest) in batch.staged.drain(..) {
            let to = self.object(&digest);
            if let Some(directory) = to.parent() {
                disk_changes::make_directory(directory)?;
            }
            disk_changes::rename(&path, &to)?;
        }
        batch.bytes = 0;
        disk_changes::sync_file_system(&self.root)
    }

    /// Keeps an image: an object, the link by which composefs finds it, and one that its garbage collector respects.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_image(&self, image: &Image) -> Result<(), HostError> {
        let mut batch = Batch::default();
        if let Some(object) = self.stage(&image.bytes, image.digest)? {
            self.add(&mut batch, object)?;
        }
        self.commit(&mut batch)?;
        let (images, name) = (self.root.join("images"), image.digest.to_string());
        let object = format!("../objects/{}", image.digest.object_path());
        self.link(&object, &images.join(&name))?;
        self.link(&format!("../../{name}"), &images.join("refs/calypte").join(&name))?;
        disk_changes::sync_directory(&images)?;
        disk_changes::sync_directory(&images.join("refs/calypte"))
    }

    fn link(&self, target: &str, path: &Path) -> Result<(), HostError> {
        if fs_err::read_link(path).is_ok_and(|found| found.as_os_str() == target) {
            return Ok(());
        }
        disk_changes::remove_file(path)?;
        disk_changes::symlink(target, path)
    }

    /// Takes an image's links away; its objects go with the garbage.
    pub(crate) fn forget_image(&self, name: &str) -> Result<(), HostError> {
        let images = self.root.join("images");
        disk_changes::remove_file(&images.join("refs/calypte").join(name))?;
        disk_changes::remove_file(&images.join(name))
    }

    /// Everything in the directory of objects.
    pub(crate) fn objects(&self) -> Result<Objects, HostError> {
        let Objects { mut objects, mut strange } = Objects::default();
        let top = self.root.join("objects");
        for directory in list(&top)? {
            let Some(prefix) = directory.file_name().and_then(|name| name.to_str()) else { continue };
            if !directory.is_dir() {
                strange.push(directory);
                continue;
            }
            for path in list(&directory)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let metadata = fs_err::symlink_metadata(&path).map_err(HostError::io("look at", &path))?;
                match VerityDigest::from_object_path(prefix, name).filter(|_| metadata.is_file()) {
                    Some(digest) => objects.push((digest, metadata.len())),
                    None => strange.push(path),
                }
            }
        }
        Ok(Objects { objects, strange })
    }
}

/// What is in a directory, in order; nothing where there is no directory.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, HostError> {
    let entries = match fs_err::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(HostError::io("list", directory)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(HostError::io("list", directory))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The digest of a file's bytes, read piece by piece.
pub(crate) fn digest_of(path: &Path) -> Result<VerityDigest, HostError> {
    let mut file = fs_err::File::open(path).map_err(HostError::io("read", path))?;
    let mut hasher = ObjectHasher::default();
    std::io::copy(&mut file, &mut hasher).map_err(HostError::io("read", path))?;
    Ok(hasher.finish())
}

/// Whether the kernel checks a file as it is read.
fn is_sealed(path: &Path) -> Result<bool, HostError> {
    let file = fs_err::File::open(path).map_err(HostError::io("open", path))?;
    let measured = calypte_composefs::verity::measure(file.file());
    Ok(measured.map_err(HostError::io("measure", path))?.is_some())
}
