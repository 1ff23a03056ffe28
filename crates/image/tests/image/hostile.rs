//! Layouts that lie, and layers with tricks: each a clear error, nothing read that should not be.

use std::io::Write;
use std::path::{Path, PathBuf};

use calypte_base::{Architecture, Digest};
use calypte_formats::tar::{Entry, EntryKind, Writer};
use calypte_image::read::{ImageFileKind, LayerCheck, Listing};
use calypte_image::{LayerCompression, Output, read_layout};
use serde_json::{Value, json};

use crate::sample::{Blind, Sample, path, store};

fn file(at: &str, bytes: &str) -> (Entry, Vec<u8>) {
    (Entry { size: bytes.len() as u64, ..Entry::new(at, EntryKind::File) }, bytes.into())
}

fn directory(at: &str) -> (Entry, Vec<u8>) {
    (Entry::new(at, EntryKind::Directory), Vec::new())
}

fn symlink(at: &str, target: &str) -> (Entry, Vec<u8>) {
    (Entry::new(at, EntryKind::Symlink(target.into())), Vec::new())
}

fn hard_link(at: &str, target: &str) -> (Entry, Vec<u8>) {
    (Entry::new(at, EntryKind::HardLink(target.into())), Vec::new())
}

type Members = Vec<(Entry, Vec<u8>)>;

fn archive(members: &Members) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, body) in members {
        writer.append_bytes(entry, body).unwrap();
    }
    writer.finish().unwrap()
}

/// A layout under construction, of uncompressed layers unless they say otherwise.
struct Forge {
    directory: tempfile::TempDir,
}

impl Forge {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        fs_err::write(directory.path().join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
        Self { directory }
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.path().join("blobs/sha256").join(digest.hex())
    }

    fn put(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs_err::write(self.blob(&digest), bytes).unwrap();
        json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": bytes.len() })
    }

    /// Lists one image with these layers.
    fn image(&self, layers: Vec<Value>, diff_ids: &[Digest]) {
        let config = json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.put("config.v1+json", config.to_string().as_bytes());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let manifest = self.put("manifest.v1+json", manifest.to_string().as_bytes());
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs_err::write(self.directory.path().join("index.json"), index.to_string()).unwrap();
    }

    fn layers(layers: &[Members]) -> Self {
        let forge = Self::new();
        let archives: Vec<Vec<u8>> = layers.iter().map(archive).collect();
        let descriptors = archives.iter().map(|bytes| forge.put("layer.v1.tar", bytes)).collect();
        forge.image(descriptors, &archives.iter().map(|bytes| Digest::of(bytes)).collect::<Vec<_>>());
        forge
    }

    fn read(&self) -> Result<Listing, String> {
        let cut = |text: String| {
            // Digests differ with every byte of a test and say nothing here.
            let text = text.replace(&self.directory.path().display().to_string(), "DIR");
            let words = text.split(' ').map(|word| {
                let digest = word.trim_end_matches([',', ':']).len() == 71 && word.starts_with("sha256:");
                if digest { "DIGEST" } else { word }
            });
            words.collect::<Vec<_>>().join(" ")
        };
        let layout = read_layout(self.directory.path()).map_err(|error| cut(error.to_string()))?;
        layout.files(&layout.images()[0], &|_| true).map_err(|error| cut(error.to_string()))
    }
}

fn paths(listing: &Listing) -> Vec<&str> {
    listing.files.keys().map(calypte_base::TreePath::as_str).collect()
}

#[test]
fn whiteouts_take_from_lower_layers_only() {
    let listing = Forge::layers(&[
        vec![
            directory("a"),
            file("a/1", "x"),
            file("a/2", "x"),
            directory("b"),
            file("b/1", "x"),
            file("a-b", "x"),
        ],
        vec![
            directory("c"),
            file("c/1", "x"),
            file("b/3", "x"),
            file("c/.wh.1", ""),
            file(".wh.nothing", ""),
        ],
        vec![
            file("a/.wh.1", ""),
            file("b/.wh..wh..opq", ""),
            file("b/2", "y"),
            file(".wh.c", ""),
            directory("c"),
        ],
    ])
    .read()
    .unwrap();
    assert_eq!(paths(&listing), ["a", "a-b", "a/2", "b", "b/2", "c"]);
    assert_eq!(listing.contents["b/2"], b"y");
    assert!(!listing.contents.contains_key("a/1"));
    assert_eq!(listing.files["b/2"].layer, 2);
}

#[test]
fn a_file_replaces_a_directory_and_the_other_way() {
    let listing = Forge::layers(&[
        vec![directory("a"), file("a/1", "x"), file("b", "x"), symlink("l", "a")],
        vec![file("a", "x"), directory("b"), file("b/1", "x"), directory("l"), file("l/1", "x")],
    ])
    .read()
    .unwrap();
    assert_eq!(paths(&listing), ["a", "b", "b/1", "l", "l/1"]);
}

#[test]
fn hard_links_are_the_same_file() {
    let forge = Forge::layers(&[vec![file("a", "bytes"), hard_link("b", "./a"), hard_link("c", "b")]]);
    let listing = forge.read().unwrap();
    let ImageFileKind::File { digest, size: 5, hard_link } = &listing.files["c"].kind else {
        panic!("no file")
    };
    assert_eq!((*digest, hard_link.as_ref()), (Digest::of(b"bytes"), Some(&path("a"))));
    assert_eq!(listing.contents["b"], b"bytes");
}

#[test]
fn tricks_in_layers_are_refused() {
    let cases: Vec<Vec<Members>> = vec![
        vec![vec![file("../escape", "x")]],
        vec![vec![file("a/../../escape", "x")]],
        vec![vec![hard_link("a", "../../etc/shadow")]],
        vec![vec![hard_link("a", "b")]],
        vec![vec![hard_link("a", "a")]],
        vec![vec![symlink("out", "/etc"), file("out/passwd", "x")]],
        vec![vec![file("out/passwd", "x"), symlink("out", "/etc")]],
        vec![vec![symlink("out", "/etc")], vec![file("out/passwd", "x")]],
        vec![vec![symlink("out", "/etc")], vec![file("out/.wh.passwd", "")]],
        vec![vec![file("a", "x")], vec![file("a/b", "x")]],
        vec![vec![file("a", "1"), file("./a", "2")]],
        vec![vec![file("a", "1"), directory("a")]],
        vec![vec![file("a", "x")], vec![hard_link("b", "a")]],
        vec![vec![file(".wh.", "")]],
        vec![vec![file("a/.wh..", "")]],
        vec![vec![file("a/.wh...", "")]],
        vec![vec![file("a/.wh..wh.b", "")]],
        vec![vec![file(".wh.a", "not empty")]],
        vec![vec![directory(".wh.a")]],
        vec![vec![symlink(".wh..wh..opq", "/")]],
        vec![vec![file(&format!("{}x", "d/".repeat(256)), "x")]],
    ];
    let shown: Vec<String> = cases.iter().map(|layers| Forge::layers(layers).read().unwrap_err()).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn blobs_that_are_not_what_they_are_named_are_refused() {
    let good = archive(&vec![file("a", "x")]);
    let mut shown = Vec::new();
    let mut case = |name: &str, change: &dyn Fn(&Forge, &mut Value, &mut Digest)| {
        let forge = Forge::new();
        let (mut layer, mut diff_id) = (forge.put("layer.v1.tar", &good), Digest::of(&good));
        change(&forge, &mut layer, &mut diff_id);
        forge.image(vec![layer], &[diff_id]);
        shown.push(format!("{name}: {}", forge.read().unwrap_err()));
    };
    let digest = Digest::of(&good);
    case("one byte changed", &|forge, _, _| {
        let mut bytes = good.clone();
        bytes[512] = b'y';
        fs_err::write(forge.blob(&digest), bytes).unwrap();
    });
    case("other bytes of the same length", &|forge, _, _| {
        fs_err::write(forge.blob(&digest), vec![7; good.len()]).unwrap();
    });
    case("cut", &|forge, _, _| fs_err::write(forge.blob(&digest), &good[..1024]).unwrap());
    case("size too large", &|_, layer, _| layer["size"] = (good.len() + 1).into());
    case("gone", &|forge, _, _| fs_err::remove_file(forge.blob(&digest)).unwrap());
    case("another diff id", &|_, _, diff_id| *diff_id = Digest::of(b"other"));
    case("unknown type", &|_, layer, _| layer["mediaType"] = "application/x-rar".into());
    case("gzip that is none", &|_, layer, _| {
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
    });
    case("digest that leads elsewhere", &|_, layer, _| layer["digest"] = "sha256:../../../etc/passwd".into());
    case("no tar", &|forge, layer, diff_id| {
        *layer = forge.put("layer.v1.tar", &[b'x'; 2048]);
        *diff_id = Digest::of(&[b'x'; 2048]);
    });
    case("bytes after the end", &|forge, layer, diff_id| {
        let bytes = [good.clone(), vec![1; 512]].concat();
        *layer = forge.put("layer.v1.tar", &bytes);
        *diff_id = Digest::of(&bytes);
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_visit_checks_as_much_as_it_is_asked_to() {
    let forge = Forge::new();
    let good = archive(&vec![file("a", "a")]);
    let layer = forge.put("layer.v1.tar", &good);
    let blob = forge.blob(&Digest::of(&good));
    forge.image(vec![layer], &[Digest::of(b"other")]);
    let visit = |check| {
        let layout = read_layout(forge.directory.path()).unwrap();
        layout.visit(&layout.images()[0], &mut Blind, check).map_err(|error| error.to_string())
    };
    assert_eq!(paths(&visit(LayerCheck::Blob).unwrap()), ["a"]);
    let error = visit(LayerCheck::BlobAndArchive).unwrap_err();
    assert!(error.contains(&Digest::of(b"other").to_string()), "{error}");
    let mut changed = good;
    changed[512] = b'b';
    fs_err::write(blob, changed).unwrap();
    let error = visit(LayerCheck::Blob).unwrap_err();
    assert!(error.contains("is damaged or was changed"), "{error}");
}

#[test]
fn layouts_that_are_none_are_refused() {
    let cases: [&dyn Fn(&Path); 7] = [
        &|at| fs_err::remove_file(at.join("oci-layout")).unwrap(),
        &|at| fs_err::write(at.join("oci-layout"), "{\"imageLayoutVersion\":\"2\"}").unwrap(),
        &|at| fs_err::remove_file(at.join("index.json")).unwrap(),
        &|at| fs_err::write(at.join("index.json"), "[]").unwrap(),
        &|at| fs_err::write(at.join("index.json"), " ".repeat(5 << 20)).unwrap(),
        &|at| fs_err::remove_dir_all(at).unwrap(),
        &|at| {
            fs_err::remove_dir_all(at).unwrap();
            fs_err::write(at, "no archive either").unwrap();
        },
    ];
    let shown = cases.map(|change| {
        let forge = Forge::layers(&[vec![file("a", "x")]]);
        change(forge.directory.path());
        forge.read().unwrap_err()
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_bomb_ends_at_the_limit_of_what_is_kept() {
    let big = "0".repeat(33 << 20);
    let forge = Forge::layers(&[vec![file("a", &big), file("b", &big)]]);
    assert_eq!(
        forge.read().unwrap_err(),
        "layer DIGEST in DIR: the image has more than 67108864 bytes in the files that are to be read"
    );
}

#[test]
fn every_cut_of_an_archive_is_an_error() {
    let (directory, store) = store();
    let index = Sample::every_kind().index(&[Architecture::Amd64], LayerCompression::Gzip, &store);
    let target = directory.path().join("image.tar");
    Output::OciArchive { file: target.clone(), tag: "1".into() }.write(&index, &store).unwrap();
    let whole = fs_err::read(&target).unwrap();
    let cut = directory.path().join("cut.tar");
    for length in (0..whole.len()).step_by(509) {
        fs_err::File::create(&cut).unwrap().write_all(&whole[..length]).unwrap();
        let read = read_layout(&cut).and_then(|layout| layout.files(&layout.images()[0], &|_| false));
        // Without the zeros at the very end nothing is missing but the end mark.
        assert!(read.is_err(), "cut at {length} of {}", whole.len());
    }
}
