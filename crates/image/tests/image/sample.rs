//! A small tree with every kind of node, and images of it.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest, Epoch, TreePath};
use calypte_image::packing::DEFAULT_LAYERS;
use calypte_image::read::FileVisitor;
use calypte_image::{
    Image, ImageError, ImageMetadata, Index, LayerCompression, LayerSettings, Layers, Level,
    layers as make_layers,
};
use calypte_rootfs::{Content, FileTree, Node, NodeKind, Owner};
use calypte_store::{Contents, Store};

/// 2026-10-30T08:08:01Z.
pub const EPOCH: Epoch = Epoch(1_793_347_681);

/// zstd at a level that does not make the tests slow.
pub const ZSTD: LayerCompression = LayerCompression::Zstd(Level::FAST);

/// One of each kind.
pub const COMPRESSIONS: [LayerCompression; 3] = [ZSTD, LayerCompression::Gzip, LayerCompression::None];

/// The kind in a word, for names of files.
pub const fn word(compression: LayerCompression) -> &'static str {
    match compression {
        LayerCompression::Zstd(_) => "zstd",
        LayerCompression::Gzip => "gzip",
        LayerCompression::None => "none",
    }
}

/// Layers of packages of which nothing is known.
pub fn layers(
    tree: &FileTree,
    contents: &Contents,
    epoch: Epoch,
    compression: LayerCompression,
    store: &Store,
) -> Result<Layers, ImageError> {
    let settings = LayerSettings {
        compression,
        limit: DEFAULT_LAYERS,
        epoch,
        packages: &BTreeMap::new(),
        previous: &[],
    };
    Ok(make_layers(tree, contents, &settings, store)?.layers)
}

/// A tree with the bytes of its files.
#[derive(Debug)]
pub struct Sample {
    pub tree: FileTree,
    pub contents: Contents,
}

pub fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

pub fn package(name: &str) -> Owner {
    Owner::Package(name.to_owned())
}

pub fn finisher(name: &str) -> Owner {
    Owner::Finisher { name: name.to_owned(), package: None }
}

impl Sample {
    pub fn new() -> Self {
        Self { tree: FileTree::new(Node::directory(0, package("base-files"))), contents: Contents::new() }
    }

    pub fn put(&mut self, at: &str, node: Node) {
        self.tree.create_parents(&path(at), node.mtime, &node.owner).unwrap();
        self.tree.insert(path(at), node).unwrap();
    }

    pub fn file(&mut self, bytes: &[u8], owner: Owner) -> Node {
        let (digest, size) = self.contents.add(bytes.to_vec());
        Node::file(Content { digest, size }, 1_700_000_000, owner)
    }

    /// Every kind of node, in both layers, with all that a header can hold.
    pub fn every_kind() -> Self {
        let mut sample = Self::new();
        let directory = |mode| Node { mode, ..Node::directory(1_600_000_000, package("base-files")) };
        sample.put("tmp", directory(0o1777));
        sample.put("etc", directory(0o755));
        sample.put("var/lib/empty", directory(0o700));
        let program = sample.file(b"\x7fELF not really", package("tool"));
        // cap_net_bind_service=ep, as `setcap` writes it.
        let value = [[1, 0, 0, 2], [0, 4, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
        let capability = BTreeMap::from([("security.capability".to_owned(), value)]);
        sample.put("usr/bin/tool", Node { mode: 0o755, xattrs: capability, ..program.clone() });
        let link = |to: &str| Node { kind: NodeKind::HardLink(path(to)), ..program.clone() };
        sample.put("usr/bin/tool-again", link("usr/bin/tool"));
        // Made by a finisher, but a name of a package's file: belongs to the layer of the file.
        sample.put("usr/bin/tool-alias", Node { owner: finisher("alternatives"), ..link("usr/bin/tool") });
        let library = sample.file(b"library", package("libz"));
        sample.put("usr/lib/libz.so.1.3", library);
        sample.put("usr/lib/libz.so.1", Node::symlink("libz.so.1.3".into(), 1_700_000_000, package("libz")));
        sample.put("usr/lib-x", directory(0o755));
        sample.put("lib", Node::symlink("usr/lib".into(), 1_600_000_000, package("base-files")));
        let long = format!("usr/share/{}/{}", "long-name-".repeat(12), "file-".repeat(30));
        let long_file = sample.file(b"", package("tool"));
        sample.put(&long, Node { mode: 0o4755, uid: 3_000_000, gid: 7, ..long_file });
        let accounts = sample.file(b"root:x:0:0::/root:\n", finisher("users"));
        // Later than the epoch: to be clamped.
        sample.put("etc/passwd", Node { mtime: EPOCH.0 + 1000, ..accounts });
        let unicode = sample.file("grüße".as_bytes(), Owner::Definition);
        sample.put("srv/grüße", Node { uid: 65532, gid: 65532, mtime: -5, ..unicode });
        sample.put("dev/null", Node { kind: NodeKind::CharDevice(1, 3), mode: 0o666, ..directory(0) });
        sample.put("run/pipe", Node { kind: NodeKind::Fifo, mode: 0o600, ..directory(0) });
        sample
    }

    pub fn image(&self, architecture: Architecture, compression: LayerCompression, store: &Store) -> Image {
        let layers = layers(&self.tree, &self.contents, EPOCH, compression, store).unwrap();
        Image::new(layers, &metadata(architecture), store).unwrap()
    }

    pub fn index(
        &self,
        architectures: &[Architecture],
        compression: LayerCompression,
        store: &Store,
    ) -> Index {
        let images = architectures.iter().map(|each| self.image(*each, compression, store)).collect();
        Index::new(images, store).unwrap()
    }
}

/// Metadata with every field filled.
pub fn metadata(architecture: Architecture) -> ImageMetadata {
    let text = |text: &str| Some(text.to_owned());
    ImageMetadata {
        user: "65532:65532".to_owned(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin".into()), ("LANG".into(), "C.UTF-8".into())]),
        entrypoint: vec!["/usr/bin/tool".into()],
        cmd: vec!["--serve".into()],
        working_dir: text("/srv"),
        exposed_ports: ["8080/tcp".to_owned()].into(),
        volumes: ["/var/lib/empty".to_owned()].into(),
        stop_signal: text("SIGQUIT"),
        title: text("tool"),
        description: text("A tool for tests."),
        version: text("1.2.3-4"),
        url: text("https://example.org/tool"),
        source: text("https://example.org/source"),
        licenses: text("MIT"),
        labels: BTreeMap::from([("org.example.key".into(), "value".into())]),
        ..ImageMetadata::new(architecture, EPOCH)
    }
}

/// A store in a directory of its own.
pub fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    (directory, store)
}

/// Sees nothing.
pub struct Blind;

impl FileVisitor for Blind {
    fn start(&mut self, _: &TreePath, _: u64) {}
    fn part(&mut self, _: &[u8]) {}
    fn end(&mut self, _: &TreePath, _: &Digest) {}
}
