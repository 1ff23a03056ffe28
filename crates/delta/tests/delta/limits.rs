//! An index cannot make a reader hold more than the limits say.

use std::path::Path;

use calypte_base::Digest;
use calypte_delta::Layout;
use calypte_delta::output::LayoutWriter;
use calypte_formats::oci;
use tempfile::TempDir;

/// An entry that is an index of these manifests.
fn index(directory: &Path, manifests: Vec<oci::Descriptor>) -> Layout {
    let writer = LayoutWriter::new(directory).unwrap();
    let index = oci::Index { schema_version: 2, manifests, ..oci::Index::default() };
    let (digest, size) = writer.bytes(&serde_json::to_vec(&index).unwrap()).unwrap();
    let media_type = oci::MEDIA_TYPE_INDEX.to_owned();
    writer
        .finish(oci::Descriptor { media_type, digest, size, ..oci::Descriptor::default() }, "latest")
        .unwrap();
    Layout::open(directory).unwrap()
}

fn manifest(digest: Digest, size: u64) -> oci::Descriptor {
    let media_type = oci::MEDIA_TYPE_MANIFEST.to_owned();
    oci::Descriptor { media_type, digest, size, ..oci::Descriptor::default() }
}

#[test]
fn what_is_listed_often_is_read_once() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("layout");
    let bytes = vec![b' '; 1_000_000];
    let digest = Digest::of(&bytes);
    let layout = index(&path, vec![manifest(digest, 1_000_000); 2_500]);
    fs_err::write(path.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
    assert_eq!(layout.entry(None).unwrap().manifests.len(), 1);
}

#[test]
fn too_many_manifests_are_refused_unread() {
    for (count, size, expected) in [
        (1_001_u32, 2, "it lists more than 1000 manifests"),
        (17, 4 * 1024 * 1024, "its documents have more than 67108864 bytes together"),
    ] {
        let directory = TempDir::new().unwrap();
        let listed = (0..count).map(|number| manifest(Digest::of(&number.to_le_bytes()), size)).collect();
        let layout = index(&directory.path().join("layout"), listed);
        let error = layout.entry(None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn configs_are_bounded_together() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("layout");
    let mut config = serde_json::to_vec(&oci::ImageConfig::default()).unwrap();
    config.resize(4 * 1024 * 1024, b' ');
    let descriptor = |media_type: &str, bytes: &[u8]| oci::Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        ..oci::Descriptor::default()
    };
    let mut blobs = vec![config.clone()];
    let mut listed = Vec::new();
    for number in 0..17 {
        let manifest = oci::Manifest {
            schema_version: 2,
            config: descriptor(oci::MEDIA_TYPE_CONFIG, &config),
            annotations: [("number".to_owned(), number.to_string())].into(),
            ..oci::Manifest::default()
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        listed.push(descriptor(oci::MEDIA_TYPE_MANIFEST, &bytes));
        blobs.push(bytes);
    }
    let layout = index(&path, listed);
    for bytes in blobs {
        fs_err::write(path.join("blobs/sha256").join(Digest::of(&bytes).hex()), bytes).unwrap();
    }
    let mut set = layout.entry(None).unwrap();
    let error = layout.images(&set).unwrap_err().to_string();
    assert!(error.contains("its documents have more than 67108864 bytes together"), "{error}");
    set.manifests.truncate(2);
    assert_eq!(layout.images(&set).unwrap().len(), 2);
}
