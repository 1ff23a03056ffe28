//! The OCI image layout as a directory (OCI image spec 1.1, image-layout.md).
//!
//! A new layout is filled beside its place and renamed to it. In a layout that is there, blobs are added first and
//! `index.json` is replaced last, by a rename, so that a reader finds the old image or the new one; then the blobs that
//! only the replaced entry needed are removed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use calypte_base::Digest;
use calypte_store::Store;
use serde_json::{Value, json};

use super::OutputError;
use super::staged::{create_directory, directory_beside, place_blob, write_file};
use crate::image::{Blob, Index};

/// Content of the file `oci-layout`.
pub(super) const LAYOUT_FILE: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// Largest JSON document that is read from a layout that others may have written; registries draw the line here too.
const LARGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// Writes the images into the layout, under `tag`; other entries stay.
pub(super) fn write(directory: &Path, tag: &str, index: &Index, store: &Store) -> Result<(), OutputError> {
    if is_vacant(directory)? {
        let staged = directory_beside(directory)?;
        write_file(&staged.path().join("oci-layout"), |file| {
            write_bytes(file, LAYOUT_FILE.as_bytes(), directory)
        })?;
        fill(staged.path(), &new_index(), tag, index, store)?;
        match fs_err::rename(staged.path(), directory) {
            Ok(()) => {
                // Nothing is left to be removed at the old name.
                let _renamed = staged.keep();
                return Ok(());
            }
            // Another run was faster; its layout gets our entry.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(OutputError::io("create", directory)(error)),
        }
    }
    update(directory, tag, index, store)
}

fn update(directory: &Path, tag: &str, index: &Index, store: &Store) -> Result<(), OutputError> {
    let handle = fs_err::File::open(directory).map_err(OutputError::io("open", directory))?;
    // Two runs that write different tags would else lose one of them.
    handle.file().lock().map_err(OutputError::io("lock", directory))?;
    let old = read_index(directory)?;
    let new = fill(directory, &old, tag, index, store)?;
    remove_unneeded(directory, &old, &new)
}

/// Puts the blobs and then the index into a layout; gives the new index.
fn fill(
    directory: &Path,
    old: &Value,
    tag: &str,
    index: &Index,
    store: &Store,
) -> Result<Value, OutputError> {
    for below in ["blobs", "blobs/sha256"] {
        create_directory(&directory.join(below))?;
    }
    for Blob { digest, size } in index.blobs() {
        place_blob(store, &digest, size, &blob_path(directory, &digest))?;
    }
    let new = with_entry(old, tag, index)?;
    let path = directory.join("index.json");
    write_file(&path, |file| write_bytes(file, new.to_string().as_bytes(), &path))?;
    Ok(new)
}

fn write_bytes(file: &mut std::fs::File, bytes: &[u8], path: &Path) -> Result<(), OutputError> {
    io::Write::write_all(file, bytes).map_err(OutputError::io("write", path))
}

/// Whether nothing or an empty directory is there.
fn is_vacant(directory: &Path) -> Result<bool, OutputError> {
    match fs_err::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(OutputError::NotALayout { path: directory.to_owned(), reason: "it is a file".to_owned() })
        }
        Err(error) => Err(OutputError::io("read directory", directory)(error)),
    }
}

fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("blobs/sha256").join(digest.hex())
}

/// An index that lists nothing.
pub(super) fn new_index() -> Value {
    json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [] })
}

/// The index with our entry in place of the one that had its tag. All else is kept as it was, also what this program
/// knows nothing of; therefore it is edited as JSON and not as a type.
pub(super) fn with_entry(old: &Value, tag: &str, index: &Index) -> Result<Value, OutputError> {
    let mut descriptor = index.descriptor();
    descriptor.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
    let entry = serde_json::to_value(&descriptor).map_err(|source| OutputError::Json { source })?;
    let mut new = old.clone();
    if let Some(entries) = new.get_mut("manifests").and_then(Value::as_array_mut) {
        let place = entries.iter().position(|entry| entry_tag(entry) == Some(tag)).unwrap_or(entries.len());
        entries.retain(|entry| entry_tag(entry) != Some(tag));
        entries.insert(place.min(entries.len()), entry);
    }
    Ok(new)
}

fn entry_tag(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REFERENCE_NAME)?.as_str()
}

/// Reads the index of a layout that is to be changed.
fn read_index(directory: &Path) -> Result<Value, OutputError> {
    let bad = |reason: String| OutputError::NotALayout { path: directory.to_owned(), reason };
    let read = |name: &str| {
        let document =
            read_document(&directory.join(name)).map_err(|error| bad(format!("{name}: {error}")))?;
        document.ok_or_else(|| bad(format!("it has no {name}")))
    };
    let layout = read("oci-layout")?;
    let version = layout.get("imageLayoutVersion").and_then(Value::as_str);
    if version != Some("1.0.0") {
        return Err(bad(format!(
            "oci-layout names version {}, and 1.0.0 is known",
            version.unwrap_or("none")
        )));
    }
    let index = read("index.json")?;
    if index.get("manifests").is_none_or(|manifests| !manifests.is_array()) {
        return Err(bad("index.json lists no manifests".to_owned()));
    }
    Ok(index)
}

/// A small JSON file; `None` when there is none.
fn read_document(path: &Path) -> io::Result<Option<Value>> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LARGEST_DOCUMENT + 1), &mut bytes)?;
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other)
}

/// Removes the blobs that the old index led to and the new one does not. What no index ever led to is not ours and
/// stays; where a document cannot be followed, so that something might be needed by it, everything stays.
fn remove_unneeded(directory: &Path, old: &Value, new: &Value) -> Result<(), OutputError> {
    let (Some(before), Some(after)) = (reachable(directory, old), reachable(directory, new)) else {
        return Ok(());
    };
    for digest in before.difference(&after) {
        let path = blob_path(directory, digest);
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OutputError::io("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every digest that an index leads to; `None` when one of its documents cannot be read.
fn reachable(directory: &Path, index: &Value) -> Option<BTreeSet<Digest>> {
    let mut found = BTreeSet::new();
    let mut documents = vec![index.clone()];
    while let Some(document) = documents.pop() {
        let lists = ["manifests", "layers"].into_iter().filter_map(|name| document.get(name)?.as_array());
        for descriptor in lists.flatten().chain(document.get("config")) {
            let digest: Digest = descriptor.get("digest")?.as_str()?.parse().ok()?;
            let kind = descriptor.get("mediaType")?.as_str()?;
            let leads_on = [".index.", ".manifest."].iter().any(|word| kind.contains(word));
            if found.insert(digest) && leads_on {
                documents.push(read_document(&blob_path(directory, &digest)).ok()??);
            }
        }
    }
    Some(found)
}
