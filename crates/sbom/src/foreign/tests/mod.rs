//! Small systems, as directories and as images, and what is found in them.

mod dpkg;
mod languages;
mod records;

use std::path::{Path, PathBuf};

use calypte_base::Digest;
use calypte_formats::tar::{Entry, EntryKind, Writer};
use serde_json::{Value, json};

use super::{ForeignBill, Options, directory, image};
use crate::model::FileOwner;

/// A root directory under construction.
pub(super) struct Root(tempfile::TempDir);

impl Root {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let place = self.0.path().join(path);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::write(&place, bytes.as_ref()).unwrap();
        place
    }

    pub(super) fn link(&self, path: &str, target: &str) {
        let place = self.0.path().join(path);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::os::unix::fs::symlink(target, place).unwrap();
    }

    pub(super) fn bill(&self) -> ForeignBill {
        directory(self.path(), Options { hashes: false }).unwrap()
    }
}

/// The id of the component that owns a file; empty when nobody does.
pub(super) fn owner<'b>(bill: &'b ForeignBill, path: &str) -> &'b str {
    match &bill.sbom.files[path].owner {
        FileOwner::Component(id) => id,
        FileOwner::Nobody => "",
        other => panic!("{path} is {other:?}"),
    }
}

pub(super) fn ids(bill: &ForeignBill) -> Vec<&str> {
    bill.sbom.components.keys().map(String::as_str).collect()
}

pub(super) fn file(path: &str, bytes: &[u8]) -> (Entry, Vec<u8>) {
    (Entry { size: bytes.len() as u64, ..Entry::new(path, EntryKind::File) }, bytes.to_vec())
}

/// An image of these uncompressed layers, in a layout.
pub(super) fn layout(layers: &[Vec<(Entry, Vec<u8>)>]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let blobs = root.path().join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    let put = |kind: &str, bytes: &[u8]| -> Value {
        let digest = Digest::of(bytes);
        fs_err::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": bytes.len() })
    };
    let archive = |members: &Vec<(Entry, Vec<u8>)>| {
        let mut writer = Writer::new(Vec::new());
        for (entry, body) in members {
            writer.append_bytes(entry, body).unwrap();
        }
        writer.finish().unwrap()
    };
    let archives: Vec<Vec<u8>> = layers.iter().map(archive).collect();
    let diff_ids: Vec<Digest> = archives.iter().map(|bytes| Digest::of(bytes)).collect();
    let layers: Vec<Value> = archives.iter().map(|bytes| put("layer.v1.tar", bytes)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "created": "2026-10-30T08:08:01Z", "config": { "Labels": { "org.opencontainers.image.version": "7" } },
    });
    let config = put("config.v1+json", config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let manifest = put("manifest.v1+json", manifest.to_string().as_bytes());
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs_err::write(root.path().join("index.json"), index.to_string()).unwrap();
    fs_err::write(root.path().join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
    root
}

pub(super) fn bill_of(layout: &Path, options: Options) -> ForeignBill {
    let layout = calypte_image::read_layout(layout).unwrap();
    image(&layout, &layout.images()[0], options).unwrap()
}
