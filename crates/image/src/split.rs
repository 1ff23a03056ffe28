//! FileTree → the nodes of each layer. Two layers: what packages own, and what the factory made itself, which is small
//! and changes often. The first does not depend on the second, so that a changed definition leaves it as it was.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch, Hasher, TreePath};
use calypte_rootfs::{Content, FileTree, Node, NodeKind, Owner};

use crate::compression::LayerCompression;
use crate::error::ImageError;

/// Goes into every layer's key. To be raised with any change of what [`crate::layers`] writes for the same nodes.
const FORMAT: u32 = 1;

/// Names that begin so mean deletions in a layer (OCI image spec, layer.md, "Whiteouts").
pub(crate) const WHITEOUT_PREFIX: &str = ".wh.";

/// The two parts of a tree, in the order of their layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What packages own.
    Packages,
    /// What finishers and the definition made.
    Generated,
}

impl Part {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Generated => "generated",
        }
    }

    const fn of(owner: &Owner) -> Self {
        match owner {
            Owner::Package(_) => Self::Packages,
            Owner::Finisher(_) | Owner::Definition => Self::Generated,
        }
    }
}

/// One layer to be written.
#[derive(Debug)]
pub(crate) struct LayerNodes<'a> {
    pub(crate) part: Part,
    /// In path order, each directory before what lies in it.
    pub(crate) nodes: Vec<LayerNode<'a>>,
}

/// One member of a layer.
#[derive(Debug)]
pub(crate) struct LayerNode<'a> {
    pub(crate) path: &'a TreePath,
    /// Whose mode, owner, time and attributes it has: for a hard link the file's.
    pub(crate) node: &'a Node,
    /// Seconds since 1970, clamped.
    pub(crate) mtime: i64,
    pub(crate) kind: LayerNodeKind<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerNodeKind<'a> {
    Directory,
    File(Content),
    Symlink(&'a str),
    HardLink(&'a TreePath),
    CharDevice(u32, u32),
    Fifo,
}

/// Splits a tree. Every layer holds the parents of all its nodes; directories apart, no path is in two layers; all
/// names of one file are in one layer, the bytes at the first name as in the tree. A layer that would only repeat directories of the
/// other is left out.
pub(crate) fn split(tree: &FileTree, epoch: Epoch) -> Result<Vec<LayerNodes<'_>>, ImageError> {
    let part = |node| Part::of(&file(tree, node).owner);
    let mut packages = BTreeSet::new();
    for (path, node) in tree.iter() {
        if path.file_name().starts_with(WHITEOUT_PREFIX) {
            return Err(ImageError::WhiteoutName { path: path.clone(), owner: node.owner.clone() });
        }
        if part(node) == Part::Packages {
            choose(path, &mut packages);
        }
    }
    let mut generated = BTreeSet::new();
    for (path, node) in tree.iter() {
        let is_there = node.is_directory() && packages.contains(path);
        if part(node) == Part::Generated && !is_there {
            choose(path, &mut generated);
        }
    }
    let mut paths = BTreeMap::from([(Part::Packages, packages), (Part::Generated, generated)]);
    drop_repetition(&mut paths);
    let layers = paths.iter().map(|(part, paths)| LayerNodes {
        part: *part,
        nodes: tree
            .iter()
            .filter(|(path, _)| paths.contains(*path))
            .map(|(path, node)| layer_node(tree, path, node, epoch))
            .collect(),
    });
    Ok(layers.collect())
}

/// Puts a path and its parents into a layer.
fn choose(path: &TreePath, chosen: &mut BTreeSet<TreePath>) {
    let mut next = Some(path.clone());
    while let Some(path) = next {
        next = path.parent();
        if !chosen.insert(path) {
            return;
        }
    }
}

/// Drops a layer that is empty or has nothing but directories of the other.
fn drop_repetition(paths: &mut BTreeMap<Part, BTreeSet<TreePath>>) {
    for (part, other) in [(Part::Generated, Part::Packages), (Part::Packages, Part::Generated)] {
        if let (Some(these), Some(others)) = (paths.get(&part), paths.get(&other))
            && these.is_subset(others)
        {
            paths.remove(&part);
        }
    }
}

/// The node that has the metadata of a name: for a hard link the file, which the tree has by its own rules.
fn file<'a>(tree: &'a FileTree, node: &'a Node) -> &'a Node {
    match &node.kind {
        NodeKind::HardLink(target) => tree.get(target).unwrap_or(node),
        _ => node,
    }
}

fn layer_node<'a>(tree: &'a FileTree, path: &'a TreePath, node: &'a Node, epoch: Epoch) -> LayerNode<'a> {
    let kind = match &node.kind {
        NodeKind::Directory => LayerNodeKind::Directory,
        NodeKind::File(content) => LayerNodeKind::File(*content),
        NodeKind::Symlink(target) => LayerNodeKind::Symlink(target),
        NodeKind::HardLink(target) => LayerNodeKind::HardLink(target),
        NodeKind::CharDevice(major, minor) => LayerNodeKind::CharDevice(*major, *minor),
        NodeKind::Fifo => LayerNodeKind::Fifo,
    };
    let node = file(tree, node);
    // A time before 1970 has no place in a ustar header, and says nothing that anyone asks for.
    LayerNode { path, node, mtime: node.mtime.clamp(0, epoch.0.max(0)), kind }
}

impl LayerNodes<'_> {
    /// The digest of all that decides the layer's bytes. The epoch counts only as far as it changes a time: a layer
    /// whose files are all older than two epochs is the same under both.
    pub(crate) fn key(&self, compression: LayerCompression) -> Digest {
        let mut key = KeyWriter(Hasher::new());
        key.field(format!("calypte layer {FORMAT}, {}", compression.identity()).as_bytes());
        for member in &self.nodes {
            key.field(member.path.as_str().as_bytes());
            let node = member.node;
            for number in [u64::from(node.mode), u64::from(node.uid), u64::from(node.gid)] {
                key.number(number);
            }
            key.field(&member.mtime.to_le_bytes());
            match member.kind {
                LayerNodeKind::Directory => key.number(0),
                LayerNodeKind::File(content) => {
                    key.number(1);
                    key.field(content.digest.bytes());
                    key.number(content.size);
                }
                LayerNodeKind::Symlink(target) => {
                    key.number(2);
                    key.field(target.as_bytes());
                }
                LayerNodeKind::HardLink(target) => {
                    key.number(3);
                    key.field(target.as_str().as_bytes());
                }
                LayerNodeKind::CharDevice(major, minor) => {
                    key.number(4);
                    key.number(u64::from(major));
                    key.number(u64::from(minor));
                }
                LayerNodeKind::Fifo => key.number(5),
            }
            key.number(node.xattrs.len() as u64);
            for (name, value) in &node.xattrs {
                key.field(name.as_bytes());
                key.field(value);
            }
        }
        key.0.finish()
    }
}

/// Hashes fields with their lengths, so that no two lists of fields give the same bytes.
struct KeyWriter(Hasher);

impl KeyWriter {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }
}
