//! FileTree → what each layer holds: its directories, and one segment for each package. Every non-directory is in
//! exactly one layer; a directory is in each layer that has something below it, with the same metadata.
//!
//! A package's segment depends on that package's own nodes only, so that its compressed bytes can be kept and used in
//! every image that holds it.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch, Hasher, TreePath};
use calypte_formats::tar;
use calypte_rootfs::{Content, FileTree, Node, NodeKind};

use crate::error::ImageError;
use crate::layers::LayerSettings;
use crate::packing::{Evidence, IMAGE_LAYER, pack};

/// Goes into every key. To be raised with any change of what is written for the same nodes.
const FORMAT: u32 = 3;

/// Names that begin so mean deletions in a layer (OCI image spec, layer.md, "Whiteouts").
pub(crate) const WHITEOUT_PREFIX: &str = ".wh.";

/// The time of every directory. Several packages share most directories, so that no package's date can be a
/// directory's; a time that depended on which of them an image holds would change the layers of all of them.
const DIRECTORY_TIME: i64 = 0;

/// One layer to be written.
#[derive(Debug)]
pub(crate) struct LayerPlan<'a> {
    /// Its name, as [`pack`] gives it.
    pub(crate) name: String,
    /// The groups in it.
    pub(crate) groups: BTreeSet<String>,
    /// The directories above what is in it, in path order; first in the layer.
    pub(crate) directories: Vec<Member<'a>>,
    /// One for each package, by name; then what belongs to no package.
    pub(crate) segments: Vec<Vec<Member<'a>>>,
}

/// One member of a layer.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) path: &'a TreePath,
    /// Whose mode, owner, time and attributes it has: for a hard link the file's.
    node: &'a Node,
    /// What it is: for a hard link the link.
    kind: &'a NodeKind,
    mtime: i64,
}

/// What is known while the tree is gone through.
#[derive(Debug, Default)]
struct Draft<'a> {
    groups: BTreeSet<String>,
    directories: BTreeSet<TreePath>,
    segments: BTreeMap<Option<&'a str>, Vec<Member<'a>>>,
}

/// Plans the layers of a tree, in the order in which they are applied: by name, the image's own last.
pub(crate) fn plan<'a>(
    tree: &'a FileTree,
    settings: &LayerSettings<'_>,
) -> Result<Vec<LayerPlan<'a>>, ImageError> {
    let packing = pack(&groups(tree, settings), settings.limit, settings.previous);
    let mut drafts: BTreeMap<(bool, String), Draft<'a>> = BTreeMap::new();
    let mut covered = BTreeSet::new();
    for (path, node) in tree.iter() {
        if path.file_name().starts_with(WHITEOUT_PREFIX) {
            return Err(ImageError::WhiteoutName { path: path.clone(), owner: node.owner.clone() });
        }
        if node.is_directory() {
            continue;
        }
        let package = file(tree, node).owner.package();
        let group = package.map(|package| settings.group(package));
        let layer = group.and_then(|group| packing.get(group)).map_or(IMAGE_LAYER, String::as_str);
        let draft = drafts.entry((layer == IMAGE_LAYER, layer.to_owned())).or_default();
        draft.groups.extend(group.map(str::to_owned));
        add_parents(path, &mut draft.directories);
        draft.segments.entry(package).or_default().push(member(tree, path, node, settings.epoch));
    }
    for draft in drafts.values() {
        covered.extend(draft.directories.iter().cloned());
    }
    // A directory in which nothing lies may be several packages': only the image as a whole can say that it is there.
    let bare: Vec<_> =
        tree.iter().filter(|(path, node)| node.is_directory() && !covered.contains(*path)).collect();
    if !bare.is_empty() || drafts.is_empty() {
        let image = drafts.entry((true, IMAGE_LAYER.to_owned())).or_default();
        image.directories.insert(TreePath::root());
        for (path, _) in bare {
            add_parents(path, &mut image.directories);
            image.directories.insert(path.clone());
        }
    }
    Ok(drafts.into_iter().map(|((_, name), draft)| finish(tree, name, draft)).collect())
}

fn finish<'a>(tree: &'a FileTree, name: String, draft: Draft<'a>) -> LayerPlan<'a> {
    let Draft { groups, directories, mut segments } = draft;
    let chosen = tree.iter().filter(|(path, _)| directories.contains(*path));
    let directories = chosen.map(|(path, node)| member(tree, path, node, Epoch(0))).collect();
    let unowned = segments.remove(&None);
    LayerPlan { name, groups, directories, segments: segments.into_values().chain(unowned).collect() }
}

/// The groups of all packages that own something other than directories.
fn groups(tree: &FileTree, settings: &LayerSettings<'_>) -> BTreeMap<String, Evidence> {
    let files = tree.iter().filter(|(_, node)| !node.is_directory());
    let packages: BTreeSet<_> = files.filter_map(|(_, node)| file(tree, node).owner.package()).collect();
    let mut groups: BTreeMap<String, Evidence> = BTreeMap::new();
    for package in packages {
        let evidence = groups.entry(settings.group(package).to_owned()).or_default();
        if let Some(facts) = settings.packages.get(package) {
            evidence.size = evidence.size.saturating_add(facts.size);
            evidence.changes = evidence.changes.max(facts.changes);
        }
    }
    groups
}

fn add_parents(path: &TreePath, directories: &mut BTreeSet<TreePath>) {
    let mut next = path.parent();
    while let Some(path) = next {
        next = path.parent();
        if !directories.insert(path) {
            return;
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

fn member<'a>(tree: &'a FileTree, path: &'a TreePath, node: &'a Node, epoch: Epoch) -> Member<'a> {
    let kind = &node.kind;
    let node = file(tree, node);
    // A time before 1970 has no place in a ustar header, and says nothing that anyone asks for.
    Member { path, node, kind, mtime: time_in_layers(node, epoch) }
}

impl Member<'_> {
    /// The content, of a regular file.
    pub(crate) const fn content(&self) -> Option<Content> {
        match self.kind {
            NodeKind::File(content) => Some(*content),
            _ => None,
        }
    }

    /// As a tar archive has it.
    pub(crate) fn entry(&self) -> tar::Entry {
        let path = if self.path.is_root() { "." } else { self.path.as_str() };
        let kind = match self.kind {
            NodeKind::Directory => tar::EntryKind::Directory,
            NodeKind::File(_) => tar::EntryKind::File,
            NodeKind::Symlink(target) => tar::EntryKind::Symlink(target.as_str().into()),
            NodeKind::HardLink(target) => tar::EntryKind::HardLink(target.as_str().into()),
            NodeKind::CharDevice(major, minor) => tar::EntryKind::CharDevice { major: *major, minor: *minor },
            NodeKind::Fifo => tar::EntryKind::Fifo,
        };
        let node = self.node;
        tar::Entry {
            path: path.into(),
            kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            mtime: self.mtime,
            size: self.content().map_or(0, |content| content.size),
            // On a hard link too: engines set the owner through each name, and the kernel drops a file's capabilities
            // when its owner is set, so that each name must bring them back.
            xattrs: node.xattrs.clone(),
        }
    }

    fn hash(&self, key: &mut KeyWriter) {
        key.field(self.path.as_str().as_bytes());
        let node = self.node;
        for number in [u64::from(node.mode), u64::from(node.uid), u64::from(node.gid)] {
            key.number(number);
        }
        key.field(&self.mtime.to_le_bytes());
        match self.kind {
            NodeKind::Directory => key.number(0),
            NodeKind::File(content) => {
                key.number(1);
                key.field(content.digest.bytes());
                key.number(content.size);
            }
            NodeKind::Symlink(target) => {
                key.number(2);
                key.field(target.as_bytes());
            }
            NodeKind::HardLink(target) => {
                key.number(3);
                key.field(target.as_str().as_bytes());
            }
            NodeKind::CharDevice(major, minor) => {
                key.number(4);
                key.number(u64::from(*major));
                key.number(u64::from(*minor));
            }
            NodeKind::Fifo => key.number(5),
        }
        key.number(node.xattrs.len() as u64);
        for (name, value) in &node.xattrs {
            key.field(name.as_bytes());
            key.field(value);
        }
    }
}

/// The digest of all that decides the bytes of these members in a layer, the compressor's
/// [identity](crate::LayerCompression::identity) among it. The image's epoch counts only as far as it changes a time.
pub(crate) fn key(members: &[Member<'_>], compressor: &str) -> Digest {
    let mut key = KeyWriter(Hasher::new());
    key.field(format!("calypte layer {FORMAT}, {compressor}").as_bytes());
    for member in members {
        member.hash(&mut key);
    }
    key.0.finish()
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

/// The time that a node has in a layer, which may not be the tree's: directories are in several layers, and nothing is
/// younger than the image.
#[must_use]
pub fn time_in_layers(node: &Node, epoch: Epoch) -> i64 {
    if node.is_directory() { DIRECTORY_TIME } else { node.mtime.clamp(0, epoch.0.max(0)) }
}

#[cfg(test)]
mod tests {
    use calypte_rootfs::Owner;

    use super::*;
    use crate::LayerCompression;

    /// Else a store, and a client that makes layers anew out of a delta, would take other bytes for the same.
    #[test]
    fn another_version_of_the_compressor_has_other_keys_and_another_name() {
        let owner = Owner::Package("a".to_owned());
        let mut tree = FileTree::new(Node::directory(0, owner.clone()));
        tree.insert(TreePath::new("link").unwrap(), Node::symlink("to".into(), 1, owner)).unwrap();
        let zstd = LayerCompression::default();
        let packages = BTreeMap::new();
        let settings = LayerSettings {
            compression: zstd,
            limit: 64,
            epoch: Epoch(1),
            packages: &packages,
            previous: &[],
        };
        let plans = plan(&tree, &settings).unwrap();
        let members = &plans[0].segments[0];
        let (own, other) = (zstd.identity(), zstd.identity_with("1.4.9"));
        assert_eq!(own, zstd.identity_with(zstd::zstd_safe::version_string()));
        assert_ne!(own, other);
        assert_eq!(key(members, &own), key(members, &zstd.identity()));
        assert_ne!(key(members, &own), key(members, &other));
        assert_ne!(key(&plans[0].directories, &own), key(&plans[0].directories, &other));
        assert_eq!(LayerCompression::level_of(&own), Some(19));
        assert_eq!(
            LayerCompression::level_of(&other),
            None,
            "who has another library cannot make the same bytes"
        );
    }
}
