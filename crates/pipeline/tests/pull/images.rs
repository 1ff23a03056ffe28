//! Small images with chunked layers, and such whose tables lie.

use std::collections::BTreeMap;

use calypte_base::Digest;
use calypte_formats::tar::{Entry, EntryKind};
use calypte_formats::zstd_chunked::{Position, Positions, Toc, skippable_frame};
use calypte_formats::{compression, oci};
use calypte_image::chunked::{ChunkedWriter, frame};
use calypte_image::layers::COMPRESSION_ANNOTATION;
use calypte_image::{LayerCompression, Level};

/// The members of a layer.
pub type Files = Vec<(Entry, Vec<u8>)>;

/// An image by its documents and blobs.
#[derive(Debug, Clone)]
pub struct TestImage {
    pub root: Digest,
    pub layers: Vec<Digest>,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

/// Bytes of which each piece looks different, and which do not compress.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(step).collect()
}

/// A tree in one of its versions: a large file of which a part changes, a small one that changes, many that do not.
pub fn files(version: u64) -> Files {
    let directory = |path: &str| (Entry::new(path, EntryKind::Directory), Vec::new());
    let file = |path: &str, content: Vec<u8>| {
        let mut entry = Entry::new(path, EntryKind::File);
        entry.size = content.len() as u64;
        (entry, content)
    };
    let mut large = noise(1, 1_500_000);
    let place = 700_000;
    large.splice(place..place + 10, noise(100 + version, 500));
    let mut files = vec![directory("."), directory("usr"), directory("usr/small")];
    files.push(file("usr/changed", noise(200 + version, 5_000)));
    files.push(file("usr/empty", Vec::new()));
    files.push(file("usr/large", large));
    files.push((Entry::new("usr/link", EntryKind::Symlink(b"large".to_vec())), Vec::new()));
    for number in 0..40 {
        let size = 500 + usize::try_from(number).unwrap() * 100;
        files.push(file(&format!("usr/small/{number}"), noise(300 + number, size)));
    }
    files
}

/// Makes images, all in the same way.
pub struct Maker {
    pub level: i32,
    /// What the layers say that they were compressed with.
    pub identity: Option<String>,
}

impl Default for Maker {
    fn default() -> Self {
        let identity = LayerCompression::Zstd(Level::FAST).identity();
        Self { level: Level::FAST.get(), identity: Some(identity) }
    }
}

struct Blob {
    bytes: Vec<u8>,
    diff_id: Digest,
    positions: Positions,
}

impl Maker {
    pub fn image(&self, layers: &[Files]) -> TestImage {
        self.assemble(layers.iter().map(|files| self.layer(files)).collect())
    }

    /// An image of one layer whose table of contents was changed after it was made; annotations and digests fit it.
    pub fn lying_image(&self, files: &Files, change: &dyn Fn(&mut Toc)) -> TestImage {
        let Blob { mut bytes, diff_id, mut positions } = self.layer(files);
        let part = |position: &Position| {
            bytes[position.offset as usize..(position.offset + position.length) as usize].to_vec()
        };
        let split = part(&positions.tar_split.unwrap());
        let mut toc = positions.read_toc(&part(&positions.toc)).unwrap();
        change(&mut toc);
        let json = toc.to_json();
        let packed = frame(self.level, &json).unwrap();
        bytes.truncate(positions.data_end() as usize);
        let offset = bytes.len() as u64 + 8;
        positions.toc = Position { offset, length: packed.len() as u64, uncompressed: json.len() as u64 };
        positions.toc_digest = Digest::of(&packed);
        bytes.extend(skippable_frame(&packed));
        positions.tar_split.as_mut().unwrap().offset = bytes.len() as u64 + 8;
        bytes.extend(skippable_frame(&split));
        bytes.extend(skippable_frame(&positions.footer()));
        self.assemble(vec![Blob { bytes, diff_id, positions }])
    }

    fn layer(&self, files: &Files) -> Blob {
        let mut writer = ChunkedWriter::new(Vec::new(), self.level);
        for (entry, content) in files {
            writer.append(entry, &mut content.as_slice()).unwrap();
        }
        let finished = writer.finish().unwrap();
        // The writer is believed here; that the blob is a tar is what its own tests say.
        let mut decoder =
            compression::decoder(compression::Compression::Zstd, finished.target.as_slice(), u64::MAX)
                .unwrap();
        let mut hasher = calypte_base::Hasher::new();
        std::io::copy(&mut decoder, &mut hasher).unwrap();
        assert_eq!(hasher.finish(), finished.diff_id);
        Blob { bytes: finished.target, diff_id: finished.diff_id, positions: finished.positions }
    }

    fn assemble(&self, layers: Vec<Blob>) -> TestImage {
        let mut blobs = BTreeMap::new();
        let mut put = |media_type: &str, bytes: Vec<u8>| {
            let descriptor = oci::Descriptor {
                media_type: media_type.to_owned(),
                digest: Digest::of(&bytes),
                size: bytes.len() as u64,
                ..oci::Descriptor::default()
            };
            blobs.insert(descriptor.digest, bytes);
            descriptor
        };
        let config = oci::ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            rootfs: oci::RootFs {
                kind: "layers".to_owned(),
                diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
            },
            ..oci::ImageConfig::default()
        };
        let config = put(oci::MEDIA_TYPE_CONFIG, serde_json::to_vec(&config).unwrap());
        let mut descriptors = Vec::new();
        for layer in layers {
            let mut descriptor = put(oci::MEDIA_TYPE_LAYER_ZSTD, layer.bytes);
            descriptor.annotations = layer.positions.annotations();
            descriptor
                .annotations
                .extend(self.identity.iter().map(|text| (COMPRESSION_ANNOTATION.to_owned(), text.clone())));
            descriptors.push(descriptor);
        }
        let digests = descriptors.iter().map(|layer| layer.digest).collect();
        let manifest = oci::Manifest {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
            config,
            layers: descriptors,
            ..oci::Manifest::default()
        };
        let root = put(oci::MEDIA_TYPE_MANIFEST, serde_json::to_vec(&manifest).unwrap()).digest;
        TestImage { root, layers: digests, blobs }
    }
}

impl TestImage {
    /// Several images under an index.
    pub fn index(images: &[&Self]) -> Self {
        let descriptor = |image: &&Self| oci::Descriptor {
            media_type: oci::MEDIA_TYPE_MANIFEST.to_owned(),
            digest: image.root,
            size: image.blobs[&image.root].len() as u64,
            ..oci::Descriptor::default()
        };
        let index = oci::Index {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_INDEX.to_owned()),
            manifests: images.iter().map(descriptor).collect(),
            ..oci::Index::default()
        };
        let bytes = serde_json::to_vec(&index).unwrap();
        let root = Digest::of(&bytes);
        let mut blobs: BTreeMap<_, _> = images.iter().flat_map(|image| image.blobs.clone()).collect();
        blobs.insert(root, bytes);
        Self { root, layers: images.iter().flat_map(|image| image.layers.clone()).collect(), blobs }
    }
}
