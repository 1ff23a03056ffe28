//! Into an OCI image layout, whole or not at all: everything is written beside its place first; then blobs are moved
//! in, and the index that leads to them is replaced last.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Hasher};
use calypte_formats::oci;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::artifact::{self, EMPTY};
use crate::create::Created;
use crate::error::DeltaError;
use crate::layout::REFERENCE_NAME;
use crate::limits::LARGEST_DOCUMENT;

/// How the names of directories in the making begin.
const PREFIX: &str = ".calypte-delta-";

/// A layout's entry in the making.
#[derive(Debug)]
pub struct LayoutWriter {
    directory: PathBuf,
    staged: TempDir,
    /// Locked for as long as this program lives: what is not locked was left behind by one that was killed.
    _lock: fs_err::File,
}

/// A blob in the making: what is written to it is hashed.
#[derive(Debug)]
pub struct BlobWriter {
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl LayoutWriter {
    /// For a layout at `directory`, which need not be there. What runs that were killed left beside it is removed.
    ///
    /// # Errors
    /// When nothing can be written beside it.
    pub fn new(directory: &Path) -> Result<Self, DeltaError> {
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        fs_err::create_dir_all(parent).map_err(DeltaError::io("create directory", parent))?;
        sweep(parent);
        let (staged, lock) = staged(parent).map_err(DeltaError::io("create a directory in", parent))?;
        let writer = Self { directory: directory.to_owned(), staged, _lock: lock };
        set_mode(writer.staged.path(), 0o755)?;
        writer.create(&writer.staged.path().join("blobs"))?;
        writer.create(&writer.blobs())?;
        Ok(writer)
    }

    /// A directory on the same disk, for files without a name.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.staged.path()
    }

    fn blobs(&self) -> PathBuf {
        self.staged.path().join("blobs/sha256")
    }

    fn create(&self, path: &Path) -> Result<(), DeltaError> {
        match fs_err::create_dir(path) {
            Ok(()) => set_mode(path, 0o755),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(DeltaError::io("create directory", path)(error)),
        }
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// When no file can be created.
    pub fn blob(&self) -> Result<BlobWriter, DeltaError> {
        let blobs = self.blobs();
        let file = NamedTempFile::new_in(&blobs).map_err(DeltaError::io("create a file in", &blobs))?;
        Ok(BlobWriter { file, hasher: Hasher::new(), size: 0 })
    }

    /// Ends a blob and gives it its name: digest and size.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, blob: BlobWriter) -> Result<(Digest, u64), DeltaError> {
        let BlobWriter { file, hasher, size } = blob;
        let digest = hasher.finish();
        let path = self.blobs().join(digest.hex());
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))
            .map_err(DeltaError::io("change the mode of", &path))?;
        file.persist(&path).map_err(|error| DeltaError::io("create", &path)(error.error))?;
        Ok((digest, size))
    }

    /// A blob whose bytes are at hand.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(Digest, u64), DeltaError> {
        let mut blob = self.blob()?;
        blob.write_all(bytes).map_err(DeltaError::io("write", &self.blobs()))?;
        self.keep(blob)
    }

    /// Writes the blobs of a delta; the descriptor by which an index lists it.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn delta(&self, created: Created) -> Result<oci::Descriptor, DeltaError> {
        let manifest = artifact::manifest(&created);
        let bytes = serde_json::to_vec(&manifest).map_err(|source| DeltaError::Json { source })?;
        self.bytes(EMPTY)?;
        self.bytes(&created.plan)?;
        if created.frames_size > 0 {
            let mut blob = self.blob()?;
            let mut frames = created.frames.rewound()?;
            io::copy(&mut frames, &mut blob).map_err(DeltaError::io("write", &self.blobs()))?;
            self.keep(blob)?;
        }
        let (digest, size) = self.bytes(&bytes)?;
        Ok(oci::Descriptor {
            media_type: oci::MEDIA_TYPE_MANIFEST.to_owned(),
            digest,
            size,
            artifact_type: Some(artifact::ARTIFACT_TYPE.to_owned()),
            platform: created.target.platform,
            ..oci::Descriptor::default()
        })
    }

    /// Lists `entry` under a tag, in place of what had the tag before, and moves everything to its place.
    ///
    /// # Errors
    /// When something else is there, or it cannot be written.
    pub fn finish(self, mut entry: oci::Descriptor, tag: &str) -> Result<(), DeltaError> {
        entry.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
        let entry = serde_json::to_value(&entry).map_err(|source| DeltaError::Json { source })?;
        let staged = self.staged.path();
        if is_vacant(&self.directory)? {
            write(&staged.join("oci-layout"), LAYOUT_FILE)?;
            write(&staged.join("index.json"), &with_entry(new_index(), tag, entry.clone()).to_string())?;
            match fs_err::rename(staged, &self.directory) {
                Ok(()) => {
                    // Nothing is left to be removed at the old name.
                    let _renamed = self.staged.keep();
                    return Ok(());
                }
                // Another run was faster; its layout gets our entry.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => return Err(DeltaError::io("create", &self.directory)(error)),
            }
        }
        self.update(tag, entry)
    }

    fn update(&self, tag: &str, entry: Value) -> Result<(), DeltaError> {
        let failed = |doing| DeltaError::io(doing, &self.directory);
        let handle = fs_err::File::open(&self.directory).map_err(failed("open"))?;
        // Two runs that write different tags would else lose one of them.
        handle.file().lock().map_err(failed("lock"))?;
        let old = read_index(&self.directory)?;
        let blobs = self.directory.join("blobs/sha256");
        fs_err::create_dir_all(&blobs).map_err(failed("create a directory in"))?;
        for blob in fs_err::read_dir(self.blobs()).map_err(failed("write"))? {
            let blob = blob.map_err(failed("write"))?;
            fs_err::rename(blob.path(), blobs.join(blob.file_name())).map_err(failed("write a blob to"))?;
        }
        let index = self.staged.path().join("index.json");
        write(&index, &with_entry(old, tag, entry).to_string())?;
        fs_err::rename(&index, self.directory.join("index.json")).map_err(failed("write the index of"))
    }
}

/// A locked directory in the making.
fn staged(parent: &Path) -> io::Result<(TempDir, fs_err::File)> {
    loop {
        let staged = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        match fs_err::File::open(staged.path()) {
            Ok(lock) => {
                // Where nothing can be locked, nothing is swept either.
                drop(lock.file().lock());
                // Another run may have taken it for a leftover before it was locked.
                if staged.path().exists() {
                    return Ok((staged, lock));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes what runs that were killed left in a directory. What cannot be removed stays: it is in nobody's way.
fn sweep(parent: &Path) {
    for entry in fs_err::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(lock) = fs_err::File::open(entry.path()) else { continue };
        if lock.file().try_lock().is_ok() {
            drop(fs_err::remove_dir_all(entry.path()));
        }
    }
}

/// Content of the file `oci-layout`.
const LAYOUT_FILE: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

fn set_mode(path: &Path, mode: u32) -> Result<(), DeltaError> {
    let permissions = std::fs::Permissions::from_mode(mode);
    fs_err::set_permissions(path, permissions).map_err(DeltaError::io("change the mode of", path))
}

fn write(path: &Path, text: &str) -> Result<(), DeltaError> {
    fs_err::write(path, text).map_err(DeltaError::io("write", path))?;
    set_mode(path, 0o644)
}

/// Whether nothing or an empty directory is there.
fn is_vacant(directory: &Path) -> Result<bool, DeltaError> {
    match fs_err::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(DeltaError::io("read directory", directory)(error)),
    }
}

fn new_index() -> Value {
    json!({ "schemaVersion": 2, "mediaType": oci::MEDIA_TYPE_INDEX, "manifests": [] })
}

/// Edited as JSON and not as a type, so that what this program knows nothing of is kept.
fn with_entry(mut index: Value, tag: &str, entry: Value) -> Value {
    if let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) {
        let has_tag = |entry: &Value| {
            entry.get("annotations").and_then(|all| all.get(REFERENCE_NAME)).and_then(Value::as_str)
                == Some(tag)
        };
        entries.retain(|entry| !has_tag(entry));
        entries.push(entry);
    }
    index
}

fn read_index(directory: &Path) -> Result<Value, DeltaError> {
    let bad = |reason: String| DeltaError::NotALayout { path: directory.to_owned(), reason };
    let path = directory.join("index.json");
    let size = fs_err::metadata(&path).map_err(|error| bad(error.to_string()))?.len();
    if size > LARGEST_DOCUMENT {
        return Err(bad(format!("index.json is larger than {LARGEST_DOCUMENT} bytes")));
    }
    let bytes = fs_err::read(&path).map_err(|error| bad(error.to_string()))?;
    let index: Value = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if index.get("manifests").is_none_or(|manifests| !manifests.is_array()) {
        return Err(bad("index.json lists no manifests".to_owned()));
    }
    Ok(index)
}
