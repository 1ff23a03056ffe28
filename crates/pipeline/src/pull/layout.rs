//! Writing an image as it is, byte for byte, into an OCI layout (image-layout.md): a directory, or a tar archive.
//!
//! In a directory that is there, blobs are added first and `index.json` is replaced last, so that a reader finds the old
//! image or the new one. Everything is readable by everyone, as all images that this program writes.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::Digest;
use calypte_formats::{oci, tar};
use calypte_image::Output;
use calypte_store::Store;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::RemoteImage;

const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// Content of the file `oci-layout`.
const LAYOUT_FILE: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// Modes of all that is written.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// Largest `index.json` of a layout that others may have written.
const LARGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// Writes the image, whose blobs are all in the store.
pub(super) fn write(output: &Output, image: &RemoteImage, store: &Store) -> Result<()> {
    match output {
        Output::Oci { directory, tag } => write_directory(directory, tag, image, store),
        Output::OciArchive { file, tag } => write_archive(file, tag, image, store),
        Output::DockerArchive { .. } => bail!("a docker-archive cannot hold an image as it is"),
    }
}

fn new_index() -> Value {
    json!({ "schemaVersion": 2, "mediaType": oci::MEDIA_TYPE_INDEX, "manifests": [] })
}

/// The index with the image in place of what had its tag.
fn with_entry(mut index: Value, tag: &str, image: &RemoteImage) -> Result<Value> {
    let mut root = image.root.clone();
    root.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
    let entry = serde_json::to_value(&root)?;
    let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
    let entries = entries.context("its index.json lists no manifests")?;
    let has_tag = |entry: &Value| {
        entry.get("annotations").and_then(|all| all.get(REFERENCE_NAME)).and_then(Value::as_str) == Some(tag)
    };
    let place = entries.iter().position(has_tag).unwrap_or(entries.len());
    entries.retain(|entry| !has_tag(entry));
    entries.insert(place.min(entries.len()), entry);
    Ok(index)
}

/// Documents and blobs, each once.
fn all(image: &RemoteImage) -> impl Iterator<Item = &oci::Descriptor> {
    image.documents.iter().chain(&image.blobs)
}

fn write_directory(directory: &Path, tag: &str, image: &RemoteImage, store: &Store) -> Result<()> {
    fs_err::create_dir_all(directory)?;
    let handle = fs_err::File::open(directory)?;
    // Two runs that write different tags would else lose one of them.
    handle.file().lock()?;
    let old = read_index(directory)?;
    let index = with_entry(old.unwrap_or_else(new_index), tag, image)?;
    for below in ["", "blobs", "blobs/sha256"] {
        let path = directory.join(below);
        if !path.exists() {
            fs_err::create_dir(&path)?;
            fs_err::set_permissions(&path, Permissions::from_mode(DIRECTORY_MODE))?;
        }
    }
    for blob in all(image) {
        place(store, &blob.digest, blob.size, &directory.join("blobs/sha256").join(blob.digest.hex()))?;
    }
    write_file(&directory.join("oci-layout"), LAYOUT_FILE.as_bytes())?;
    write_file(&directory.join("index.json"), index.to_string().as_bytes())
}

/// The index of a layout that is there; nothing where nothing is.
fn read_index(directory: &Path) -> Result<Option<Value>> {
    if fs_err::read_dir(directory)?.next().is_none() {
        return Ok(None);
    }
    let path = directory.join("index.json");
    let known = directory.join("oci-layout").is_file() && path.is_file();
    if !known || fs_err::metadata(&path)?.len() > LARGEST_DOCUMENT {
        bail!("{} is not empty and is no OCI image layout", directory.display());
    }
    Ok(Some(serde_json::from_slice(&fs_err::read(&path)?).with_context(|| path.display().to_string())?))
}

/// Puts a blob of the store into the layout: as a hard link where that is possible, else as a copy.
fn place(store: &Store, digest: &Digest, size: u64, path: &Path) -> Result<()> {
    if fs_err::metadata(path).is_ok_and(|metadata| metadata.len() == size) {
        return Ok(());
    }
    let source = store.blob_path(digest);
    if path.exists() {
        fs_err::remove_file(path)?;
    }
    let readable = fs_err::metadata(&source)?.permissions().mode() & 0o444 == 0o444;
    if readable && fs_err::hard_link(&source, path).is_ok() {
        return Ok(());
    }
    let mut staged = beside(path)?;
    io::copy(&mut fs_err::File::open(&source)?, staged.as_file_mut())?;
    publish(staged, path)
}

fn beside(path: &Path) -> Result<NamedTempFile> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent)?;
    tempfile::Builder::new()
        .prefix(".calypte-")
        .tempfile_in(parent)
        .with_context(|| format!("cannot create a file in {}", parent.display()))
}

fn publish(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.persist(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staged = beside(path)?;
    io::Write::write_all(&mut staged, bytes)?;
    publish(staged, path)
}

/// Members in a fixed order and without times, as the other archives that this program writes.
fn write_archive(file: &Path, tag: &str, image: &RemoteImage, store: &Store) -> Result<()> {
    let index = with_entry(new_index(), tag, image)?.to_string();
    let mut staged = beside(file)?;
    let mut writer = tar::Writer::new(io::BufWriter::new(staged.as_file_mut()));
    for directory in ["blobs", "blobs/sha256"] {
        writer.append_bytes(&tar::Entry::new(directory, tar::EntryKind::Directory), &[])?;
    }
    let mut blobs: Vec<&oci::Descriptor> = all(image).collect();
    blobs.sort_by_key(|blob| blob.digest);
    for blob in blobs {
        let path: PathBuf = ["blobs/sha256", &blob.digest.hex()].iter().collect();
        let entry = member(&path.to_string_lossy(), blob.size);
        writer.append(&entry, &mut fs_err::File::open(store.blob_path(&blob.digest))?)?;
    }
    for (name, bytes) in [("index.json", index.as_bytes()), ("oci-layout", LAYOUT_FILE.as_bytes())] {
        writer.append_bytes(&member(name, bytes.len() as u64), bytes)?;
    }
    writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    publish(staged, file)
}

fn member(name: &str, size: u64) -> tar::Entry {
    let mut entry = tar::Entry::new(name, tar::EntryKind::File);
    entry.size = size;
    entry
}
