//! Images in one tar file: the OCI layout (`oci-archive`), and what `docker save` writes (`docker-archive`). Members
//! are in a fixed order, of root, from 1970, so that one image always gives the same file.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use calypte_base::{Digest, Hasher};
use calypte_formats::{compression, tar};
use calypte_store::{Store, StoreError};
use serde_json::json;

use super::OutputError;
use super::layout::{LAYOUT_FILE, new_index, with_entry};
use super::staged::{open_blob, parent, write_file};
use crate::compression::LayerCompression;
use crate::image::{Blob, Image, Index};
use crate::layers::Layer;

/// Bytes given to the operating system at once.
const BUFFER: usize = 256 * 1024;

type Archive<'a> = tar::Writer<BufWriter<&'a mut std::fs::File>>;

/// Writes the images as an OCI layout in one file.
pub(super) fn write_oci(file: &Path, tag: &str, index: &Index, store: &Store) -> Result<(), OutputError> {
    write_archive(file, |archive| {
        let mut members = Members { archive, file };
        members.bytes("oci-layout", LAYOUT_FILE.as_bytes())?;
        let json = with_entry(&new_index(), tag, index)?.to_string();
        members.bytes("index.json", json.as_bytes())?;
        members.directory("blobs")?;
        members.directory("blobs/sha256")?;
        for Blob { digest, size } in index.blobs() {
            let mut blob = open_blob(store, &digest, size)?;
            members.stream(&format!("blobs/sha256/{}", digest.hex()), size, &mut blob)?;
        }
        Ok(())
    })
}

/// Writes one image in Docker's form. Layers are uncompressed: engines from before zstd then read it too.
pub(super) fn write_docker(
    file: &Path,
    reference: Option<&str>,
    image: &Image,
    store: &Store,
) -> Result<(), OutputError> {
    let config = format!("{}.json", image.config().digest.hex());
    let layer_name = |layer: &Layer| format!("{}.tar", layer.diff_id.hex());
    let layers = image.layers().as_slice();
    write_archive(file, |archive| {
        let mut members = Members { archive, file };
        let manifest = json!([{
            "Config": config,
            "RepoTags": reference.map(|reference| [reference]),
            "Layers": layers.iter().map(layer_name).collect::<Vec<_>>(),
        }]);
        members.bytes("manifest.json", manifest.to_string().as_bytes())?;
        let Blob { digest, size } = image.config();
        members.stream(&config, size, &mut open_blob(store, &digest, size)?)?;
        let mut written = BTreeSet::new();
        for layer in layers {
            if written.insert(layer.diff_id) {
                members.stream(&layer_name(layer), layer.tar_size, &mut Uncompressed::open(layer, store)?)?;
            }
        }
        Ok(())
    })
}

fn write_archive(
    file: &Path,
    fill: impl FnOnce(&mut Archive<'_>) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    let directory = parent(file);
    fs_err::create_dir_all(directory).map_err(OutputError::io("create directory", directory))?;
    write_file(file, |target| {
        let mut archive = tar::Writer::new(BufWriter::with_capacity(BUFFER, target));
        fill(&mut archive)?;
        let mut target = archive.finish().map_err(tar_error(file))?;
        target.flush().map_err(OutputError::io("write", file))
    })
}

/// Appends the members of one archive.
struct Members<'a, 'b> {
    archive: &'a mut Archive<'b>,
    /// For errors.
    file: &'a Path,
}

impl Members<'_, '_> {
    fn directory(&mut self, name: &str) -> Result<(), OutputError> {
        let entry = tar::Entry::new(name, tar::EntryKind::Directory);
        self.archive.append_bytes(&entry, &[]).map_err(tar_error(self.file))
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        self.stream(name, bytes.len() as u64, &mut &*bytes)
    }

    fn stream(&mut self, name: &str, size: u64, body: &mut dyn Read) -> Result<(), OutputError> {
        let entry = tar::Entry { size, ..tar::Entry::new(name, tar::EntryKind::File) };
        self.archive.append(&entry, body).map_err(tar_error(self.file))
    }
}

fn tar_error(file: &Path) -> impl FnOnce(tar::TarError) -> OutputError {
    let io_error = OutputError::io("write", file);
    move |error| match error {
        tar::TarError::Io(error) => io_error(error),
        other => io_error(io::Error::new(io::ErrorKind::InvalidData, other)),
    }
}

/// Gives a layer's tar archive and checks its digest at the end: a damaged blob that still decompresses would go
/// unnoticed, since nothing in a docker-archive names the compressed bytes.
struct Uncompressed<'a> {
    decoder: compression::Decoder<std::fs::File>,
    hasher: Option<Hasher>,
    layer: &'a Layer,
    store: &'a Store,
}

impl<'a> Uncompressed<'a> {
    fn open(layer: &'a Layer, store: &'a Store) -> Result<Self, OutputError> {
        let form = match layer.compression {
            LayerCompression::Zstd(_) => compression::Compression::Zstd,
            LayerCompression::Gzip => compression::Compression::Gzip,
            LayerCompression::None => compression::Compression::None,
        };
        let blob = open_blob(store, &layer.digest, layer.size)?;
        let decoder = compression::decoder(form, blob, layer.tar_size)
            .map_err(OutputError::io("read", store.blob_path(&layer.digest)))?;
        Ok(Self { decoder, hasher: Some(Hasher::new()), layer, store })
    }

    fn check(&self, found: Digest) -> io::Result<()> {
        let Layer { digest, diff_id, .. } = self.layer;
        if found == *diff_id {
            return Ok(());
        }
        // Gone, so that the next run makes it anew.
        self.store.remove(digest)?;
        let path = self.store.blob_path(digest);
        Err(StoreError::Corrupt { path, expected: *diff_id, found }.into())
    }
}

impl Read for Uncompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
        } else if !buffer.is_empty()
            && let Some(hasher) = self.hasher.take()
        {
            self.check(hasher.finish())?;
        }
        Ok(count)
    }
}
