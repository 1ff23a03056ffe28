//! Images on a disk, made up: trees as lists of members, written as layers of any compression.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use calypte_base::Digest;
use calypte_delta::output::LayoutWriter;
use calypte_delta::{
    Applied, Created, Delta, DeltaError, Layout, Settings, SingleImage, Summary, apply, create,
};
use calypte_formats::{oci, tar};
use calypte_image::LayerCompression;
use calypte_image::chunked::ChunkedWriter;
use tempfile::TempDir;

pub type Member = (tar::Entry, Vec<u8>);

pub fn file(path: &str, content: &[u8]) -> Member {
    let size = content.len() as u64;
    (tar::Entry { size, mtime: 7, ..tar::Entry::new(path, tar::EntryKind::File) }, content.to_vec())
}

pub fn other(path: &str, kind: tar::EntryKind) -> Member {
    (tar::Entry::new(path, kind), Vec::new())
}

/// Bytes that do not compress.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Gzip,
    /// As another tool compresses.
    OneFrame,
    /// As we do.
    Chunked,
}

pub fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut writer = tar::Writer::new(Vec::new());
    for (entry, content) in members {
        writer.append_bytes(entry, content).unwrap();
    }
    writer.finish().unwrap()
}

/// Writes an image with these layers to `directory`, under the tag `latest`.
pub fn write_image(directory: &Path, form: Form, layers: &[Vec<Member>]) {
    let tars: Vec<Vec<u8>> = layers.iter().map(|members| tar_of(members)).collect();
    let writer = LayoutWriter::new(directory).unwrap();
    let descriptor = write_manifest(&writer, form, "amd64", layers, &tars);
    writer.finish(descriptor, "latest").unwrap();
}

/// Writes an image's blobs; its manifest's descriptor.
pub fn write_manifest(
    writer: &LayoutWriter,
    form: Form,
    architecture: &str,
    layers: &[Vec<Member>],
    tars: &[Vec<u8>],
) -> oci::Descriptor {
    let blob = |media_type: &str, bytes: &[u8]| {
        let (digest, size) = writer.bytes(bytes).unwrap();
        oci::Descriptor { media_type: media_type.to_owned(), digest, size, ..oci::Descriptor::default() }
    };
    let descriptors = layers.iter().zip(tars).map(|(members, tar)| match form {
        Form::Plain => blob(oci::MEDIA_TYPE_LAYER, tar),
        Form::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).unwrap();
            blob(oci::MEDIA_TYPE_LAYER_GZIP, &encoder.finish().unwrap())
        }
        Form::OneFrame => blob(oci::MEDIA_TYPE_LAYER_ZSTD, &zstd::encode_all(tar.as_slice(), 3).unwrap()),
        Form::Chunked => {
            let mut chunked = ChunkedWriter::new(Vec::new(), 3);
            for (entry, content) in members {
                chunked.append(entry, &mut content.as_slice()).unwrap();
            }
            let mut layer = blob(oci::MEDIA_TYPE_LAYER_ZSTD, &chunked.finish().unwrap().target);
            let text = "zstd:3".parse::<LayerCompression>().unwrap().identity();
            layer.annotations.insert("dev.calypte.layer.compression".to_owned(), text);
            layer
        }
    });
    let layers: Vec<oci::Descriptor> = descriptors.collect();
    let config = oci::ImageConfig {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        rootfs: oci::RootFs {
            kind: "layers".to_owned(),
            diff_ids: tars.iter().map(|tar| Digest::of(tar)).collect(),
        },
        ..oci::ImageConfig::default()
    };
    let config = blob(oci::MEDIA_TYPE_CONFIG, &serde_json::to_vec(&config).unwrap());
    let manifest = oci::Manifest {
        schema_version: 2,
        media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
        config,
        layers,
        ..oci::Manifest::default()
    };
    blob(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest).unwrap())
}

/// An opened layout with one image.
pub fn open(path: &Path) -> (Layout, SingleImage) {
    let layout = Layout::open(path).unwrap();
    let image = layout.images(&layout.entry(None).unwrap()).unwrap().remove(0);
    (layout, image)
}

/// Two images and what is made of them, in a directory of their own.
pub struct Pair {
    pub directory: TempDir,
}

impl Pair {
    pub fn new(form: Form, old: &[Vec<Member>], new: &[Vec<Member>]) -> Self {
        let pair = Self { directory: TempDir::new().unwrap() };
        write_image(&pair.path("old"), form, old);
        write_image(&pair.path("new"), form, new);
        pair
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn create(&self, settings: &Settings) -> Created {
        let ((old_layout, old), (new_layout, new)) = (open(&self.path("old")), open(&self.path("new")));
        let (old, new, no) = ((&old_layout, &old), (&new_layout, &new), AtomicBool::new(false));
        create(old, new, settings, self.directory.path(), &no, &|_| ()).unwrap()
    }

    /// Makes the delta and writes it to the layout `name`.
    pub fn write(&self, name: &str, settings: &Settings) -> Summary {
        let created = self.create(settings);
        let summary = created.summary.clone();
        let writer = LayoutWriter::new(&self.path(name)).unwrap();
        let descriptor = writer.delta(created).unwrap();
        writer.finish(descriptor, "latest").unwrap();
        summary
    }

    pub fn delta(&self, name: &str) -> Result<(Layout, Delta), DeltaError> {
        let layout = Layout::open(&self.path(name))?;
        let set = layout.entry(None)?;
        let (descriptor, manifest) = &set.manifests[0];
        let delta = Delta::read(&layout, descriptor, manifest)?;
        Ok((layout, delta))
    }

    /// Applies the delta `name` to the image `base` and writes the result to the layout `result`.
    pub fn apply(&self, name: &str, base: &str, fallback: Option<&str>) -> Result<Applied, DeltaError> {
        let (delta_layout, delta) = self.delta(name)?;
        let (base_layout, base) = open(&self.path(base));
        let fallback = fallback.map(|name| Layout::open(&self.path(name)).unwrap());
        let writer = LayoutWriter::new(&self.path("result"))?;
        let (base, no) = ((&base_layout, &base), AtomicBool::new(false));
        let expanded = delta.expand(&delta_layout, base, writer.scratch(), &no, &|_| ())?;
        let (descriptor, applied) = apply(&expanded, &base_layout, fallback.as_ref(), &writer, &no, &|_| ())?;
        writer.finish(descriptor, "latest")?;
        Ok(applied)
    }

    /// All files below a directory of the pair, with their bytes.
    pub fn files(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = fs_err::read_dir(self.path(name).join("blobs/sha256"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs_err::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }
}
