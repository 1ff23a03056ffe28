//! Archives of `docker save`, as we write them and as others do, read back.

use std::io::Write as _;

use calypte_base::{Architecture, Digest};
use calypte_formats::tar::{Entry, EntryKind, Writer};
use calypte_image::read::LayerCheck;
use calypte_image::{Output, read_layout};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::sample::{Blind, COMPRESSIONS, Sample, store};

#[test]
fn what_we_write_is_read_back() {
    let (directory, store) = store();
    for compression in COMPRESSIONS {
        let index = Sample::every_kind().index(&[Architecture::Amd64], compression, &store);
        let (file, layout) = (directory.path().join("d.tar"), directory.path().join("layout"));
        for output in
            [format!("docker-archive:{}:tool:1", file.display()), format!("oci:{}", layout.display())]
        {
            output.parse::<Output>().unwrap().write(&index, &store).unwrap();
        }
        let docker = read_layout(&file).unwrap();
        let [image] = docker.images() else { panic!("{:?}", docker.images()) };
        assert_eq!(image.name.as_deref(), Some("tool:1"));
        assert_eq!(image.descriptor.digest, index.images()[0].config().digest);
        let expected = read_layout(&layout).unwrap();
        let expected = expected.files(&expected.images()[0], &|_| false).unwrap();
        assert_eq!(docker.files(image, &|_| false).unwrap(), expected);
    }
}

fn archive(members: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, body) in members {
        writer.append_bytes(entry, body).unwrap();
    }
    writer.finish().unwrap()
}

fn member(path: &str, bytes: &[u8]) -> (Entry, Vec<u8>) {
    (Entry { size: bytes.len() as u64, ..Entry::new(path, EntryKind::File) }, bytes.to_vec())
}

/// An archive in the form before 2024: a directory for each layer, a link where two images share one, and one layer
/// that is compressed. `first` is the name of the first layer in it, `changed` the number of a layer with another byte.
fn old(first: &str, changed: Option<usize>) -> Vec<u8> {
    let layer = archive(&[member("a", b"1")]);
    let second = archive(&[member("b", b"2")]);
    let diff_ids = [Digest::of(&layer), Digest::of(&second)];
    let mut layers = [layer, second];
    if let Some(changed) = changed {
        layers[changed][600] ^= 1;
    }
    let [layer, second] = layers;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&second).unwrap();
    let packed = encoder.finish().unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let manifest = json!([{
        "Config": "c.json", "RepoTags": ["tool:1", "tool:latest"], "Layers": [first, "two/layer.tar"],
    }]);
    archive(&[
        member("one/layer.tar", &layer),
        (Entry::new("shared/layer.tar", EntryKind::Symlink("../one/layer.tar".into())), Vec::new()),
        (Entry::new("circle/layer.tar", EntryKind::Symlink("layer.tar".into())), Vec::new()),
        member("two/layer.tar", &packed),
        member("c.json", config.to_string().as_bytes()),
        member("manifest.json", manifest.to_string().as_bytes()),
    ])
}

#[test]
fn what_others_write_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("d.tar");
    for first in ["one/layer.tar", "shared/layer.tar"] {
        fs_err::write(&file, old(first, None)).unwrap();
        let layout = read_layout(&file).unwrap();
        let names: Vec<_> = layout.images().iter().map(|image| image.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["tool:1", "tool:latest"]);
        let listing = layout.files(&layout.images()[1], &|_| true).unwrap();
        assert_eq!(listing.contents["a"], b"1");
        assert_eq!(listing.contents["b"], b"2");
    }
}

#[test]
fn archives_that_lie_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("d.tar");
    for (changed, expected) in
        [(0, "is damaged or was changed"), (1, &Digest::of(&archive(&[member("b", b"2")])).to_string())]
    {
        fs_err::write(&file, old("one/layer.tar", Some(changed))).unwrap();
        let layout = read_layout(&file).unwrap();
        let error = layout.files(&layout.images()[0], &|_| false).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        // Nothing else says what a layer is, so this is checked whatever is asked for.
        let visited = layout.visit(&layout.images()[0], &mut Blind, LayerCheck::Blob);
        assert_eq!(visited.unwrap_err().to_string(), error);
    }
    let bad = |text: &str| archive(&[member("manifest.json", text.as_bytes())]);
    for (bytes, expected) in [
        (old("circle/layer.tar", None), "manifest.json names circle/layer.tar, which is not there"),
        (old("gone", None), "manifest.json names gone, which is not there"),
        (old("../../etc/passwd", None), "has a `..` component"),
        (bad("[]"), "manifest.json lists no image"),
        (bad("{}"), "manifest.json: invalid type"),
        (bad(&"[".repeat(100_000)), "manifest.json: "),
        (archive(&[]), "it has no oci-layout"),
    ] {
        fs_err::write(&file, bytes).unwrap();
        let error = read_layout(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
