//! Where the files of a layout lie: in a directory, or in a tar archive of one, in one that Docker wrote, or
//! among the blobs of a store.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use calypte_base::{Digest, TreePath};
use calypte_formats::tar;
use calypte_store::Store;

use super::docker::{self, Docker, Member, Members};
use super::{LayoutImage, MOST_MANIFESTS, ReadError};
use crate::error::bare;

/// Largest JSON document that is read; registries draw the line here too.
pub(super) const LARGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// Most members of an archive: a few blobs for each manifest.
const MOST_MEMBERS: usize = 16 * MOST_MANIFESTS;

/// Bytes read at once while the members of an archive are looked for.
const BUFFER: usize = 256 * 1024;

/// An opened layout.
#[derive(Debug)]
pub(super) struct Source {
    index: Vec<u8>,
    blobs: Blobs,
    /// Of an archive of Docker's: the images, which no index lists.
    docker: Vec<LayoutImage>,
}

#[derive(Debug)]
enum Blobs {
    Directory(PathBuf),
    /// Offset and size of each blob.
    Archive(PathBuf, BTreeMap<Digest, (u64, u64)>),
    Store(Store),
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let metadata = fs_err::metadata(path).map_err(failed(path))?;
        if metadata.is_dir() { Self::open_directory(path) } else { Self::open_archive(path) }
    }

    /// The blobs of a store, which lists nothing.
    pub(super) fn store(store: Store) -> Self {
        Self { index: Vec::new(), blobs: Blobs::Store(store), docker: Vec::new() }
    }

    /// The images of an archive of Docker's.
    pub(super) fn take_docker(&mut self) -> Vec<LayoutImage> {
        std::mem::take(&mut self.docker)
    }

    /// The bytes of `index.json`; without any for an archive of Docker's.
    pub(super) fn index(&self) -> &[u8] {
        &self.index
    }

    /// A blob and its size in bytes.
    pub(super) fn blob(
        &self,
        layout: &Path,
        digest: &Digest,
    ) -> Result<(io::Take<std::fs::File>, u64), ReadError> {
        let missing = || ReadError::MissingBlob { path: layout.to_owned(), digest: *digest };
        let (path, place) = match &self.blobs {
            Blobs::Directory(directory) => (directory.join(digest.hex()), None),
            Blobs::Store(store) if !store.has(digest) => return Err(missing()),
            Blobs::Store(store) => (store.blob_path(digest), None),
            Blobs::Archive(file, places) => (file.clone(), Some(*places.get(digest).ok_or_else(missing)?)),
        };
        let file = match fs_err::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            result => result.map_err(failed(&path))?,
        };
        let mut file = file.into_file();
        let (offset, size) = match place {
            Some(place) => place,
            None => (0, file.metadata().map_err(failed(&path))?.len()),
        };
        file.seek(SeekFrom::Start(offset)).map_err(failed(&path))?;
        Ok((file.take(size), size))
    }

    fn open_directory(path: &Path) -> Result<Self, ReadError> {
        check_version(path, &read_small(path, &path.join("oci-layout"))?)?;
        let index = read_small(path, &path.join("index.json"))?;
        Ok(Self { index, blobs: Blobs::Directory(path.join("blobs/sha256")), docker: Vec::new() })
    }

    fn open_archive(path: &Path) -> Result<Self, ReadError> {
        let bad = |reason: String| ReadError::NotALayout { path: path.to_owned(), reason };
        let file = fs_err::File::open(path).map_err(failed(path))?.into_file();
        let offset = Rc::new(Cell::new(0));
        let counting = Counting { inner: BufReader::with_capacity(BUFFER, file), offset: Rc::clone(&offset) };
        let mut reader = tar::Reader::new(counting);
        let mut small = BTreeMap::new();
        let mut places = BTreeMap::new();
        let mut named = Members::new();
        let mut members = 0;
        while let Some(entry) = reader.next_entry().map_err(|error| bad(error.to_string()))? {
            members += 1;
            if members > MOST_MEMBERS {
                return Err(bad(format!("it has more than {MOST_MEMBERS} members")));
            }
            let file = entry.kind == tar::EntryKind::File;
            let target = match &entry.kind {
                tar::EntryKind::Symlink(target) => Some(target.clone()),
                _ if file => None,
                _ => continue,
            };
            if let Some(target) = target {
                named.extend(docker::link(&entry.path, &target));
                continue;
            }
            let name = TreePath::from_bytes(&entry.path).map_err(|error| bad(error.to_string()))?;
            named.insert(name.clone(), Member::File(offset.get(), entry.size));
            if ["oci-layout", "index.json", "manifest.json"].contains(&name.as_str()) {
                let bytes =
                    read_bounded(&mut reader.body()).map_err(|error| bad(format!("{name}: {error}")))?;
                small.insert(name.as_str().to_owned(), bytes);
            } else if let Some(digest) =
                name.as_str().strip_prefix("blobs/sha256/").and_then(|hex| hex.parse().ok())
            {
                places.insert(digest, (offset.get(), entry.size));
            }
        }
        if let (None, Some(manifest)) = (small.get("oci-layout"), small.get("manifest.json")) {
            let Docker { images, places } = docker::read(path, manifest, &named)?;
            let blobs = Blobs::Archive(path.to_owned(), places);
            return Ok(Self { index: Vec::new(), blobs, docker: images });
        }
        let mut take = |name| small.remove(name).ok_or_else(|| bad(format!("it has no {name}")));
        check_version(path, &take("oci-layout")?)?;
        let blobs = Blobs::Archive(path.to_owned(), places);
        Ok(Self { index: take("index.json")?, blobs, docker: Vec::new() })
    }
}

fn check_version(layout: &Path, bytes: &[u8]) -> Result<(), ReadError> {
    let document: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let version = document.as_ref().and_then(|document| document.get("imageLayoutVersion")?.as_str());
    if version == Some("1.0.0") {
        return Ok(());
    }
    let reason = format!("oci-layout names version {}, and 1.0.0 is known", version.unwrap_or("none"));
    Err(ReadError::NotALayout { path: layout.to_owned(), reason })
}

fn read_small(layout: &Path, path: &Path) -> Result<Vec<u8>, ReadError> {
    let bad = |reason: String| ReadError::NotALayout { path: layout.to_owned(), reason };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = match fs_err::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(bad(format!("it has no {name}")));
        }
        result => result.map_err(failed(path))?,
    };
    read_bounded(&mut file.into_file()).map_err(|error| bad(format!("{name}: {error}")))
}

pub(super) fn read_bounded(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LARGEST_DOCUMENT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 4 MiB"));
    }
    Ok(bytes)
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = path.to_owned();
    move |source| ReadError::Io { path, source: bare(source) }
}

/// Tells how far an archive was read; the tar reader reads nothing ahead, so that after a header this is where the
/// body begins.
struct Counting<R> {
    inner: R,
    offset: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.offset.set(self.offset.get() + count as u64);
        Ok(count)
    }
}
