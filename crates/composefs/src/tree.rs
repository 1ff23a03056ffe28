//! A host's file tree: paths in order, each with what it is; contents only by digest, but for the smallest.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;

use crate::VerityDigest;

/// Files with this many bytes or fewer lie inside of the image; larger ones are objects (composefs's
/// `INLINE_CONTENT_MAX_V0`; another number would give other digests).
pub const INLINE_LIMIT: usize = 64;

/// What a regular file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes themselves, at most [`INLINE_LIMIT`].
    Inline(Vec<u8>),
    /// The object with this digest.
    Object {
        /// Its fs-verity digest.
        digest: VerityDigest,
        /// Its size in bytes.
        size: u64,
    },
}

impl Content {
    /// How a file with these bytes is held; the bytes of an object go into a repository by another way.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE_LIMIT {
            Self::Inline(bytes.to_vec())
        } else {
            Self::Object { digest: VerityDigest::of(bytes), size: bytes.len() as u64 }
        }
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Object { size, .. } => *size,
        }
    }
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link to this target.
    Symlink(String),
    /// Another name of the file, link or device at this path, whose attributes are its own.
    HardLink(TreePath),
    /// A character device with this device number, as `stat` gives it.
    CharDevice(u64),
    /// A block device.
    BlockDevice(u64),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A path's kind and attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission, setuid, setgid and sticky bits (`07777`).
    pub mode: u32,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by their full name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Node {
    /// A node of root's from 1970.
    #[must_use]
    pub const fn new(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: BTreeMap::new() }
    }
}

/// A whole tree. The root directory is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<TreePath, Node>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(TreePath::root(), Node::new(Kind::Directory, 0o755))]) }
    }
}

impl Tree {
    /// Adds or replaces one path; what lay below it stays. Whether its directory is there is looked at when an image is
    /// made.
    pub fn insert(&mut self, path: TreePath, node: Node) {
        self.nodes.insert(path, node);
    }

    /// What a path is.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn get_mut(&mut self, path: &TreePath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// What a path is, and where it is a hard link, what it is another name of.
    #[must_use]
    pub fn resolve(&self, path: &TreePath) -> Option<&Node> {
        match self.nodes.get(path)? {
            Node { kind: Kind::HardLink(target), .. } => self.nodes.get(target),
            node => Some(node),
        }
    }

    /// All paths in order: a directory before what lies in it.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// The paths at and below a directory, in order.
    pub fn below<'a>(&'a self, directory: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node)> {
        // Names such as `etc-old` and `etc.d` sort between a directory and what lies in it.
        self.nodes
            .range(directory.clone()..)
            .take_while(|(path, _)| path.as_str().starts_with(directory.as_str()))
            .filter(|(path, _)| path.starts_with(directory))
    }

    /// Number of paths, the root among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the root is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Removes a path and all below it. A hard link elsewhere to a file that goes takes its place: the file lives as
    /// long as it has a name.
    pub fn remove(&mut self, path: &TreePath) {
        let gone: BTreeSet<TreePath> = self.below(path).map(|(path, _)| path.clone()).collect();
        self.remove_all(&gone);
    }

    /// Removes all below a directory, and keeps itself.
    pub fn clear(&mut self, path: &TreePath) {
        let gone: BTreeSet<TreePath> =
            self.below(path).map(|(path, _)| path.clone()).filter(|below| below != path).collect();
        self.remove_all(&gone);
    }

    fn remove_all(&mut self, gone: &BTreeSet<TreePath>) {
        let mut heirs: BTreeMap<TreePath, TreePath> = BTreeMap::new();
        let removed: BTreeMap<&TreePath, Node> =
            gone.iter().filter_map(|path| Some((path, self.nodes.remove(path)?))).collect();
        if removed.values().all(|node| matches!(node.kind, Kind::Directory)) {
            return;
        }
        for (path, node) in &mut self.nodes {
            let Kind::HardLink(target) = &node.kind else { continue };
            let Some(original) = removed.get(target) else { continue };
            match heirs.get(target) {
                Some(heir) => node.kind = Kind::HardLink(heir.clone()),
                None => {
                    heirs.insert(target.clone(), path.clone());
                    *node = original.clone();
                }
            }
        }
    }

    /// The digests and sizes of all objects.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<VerityDigest, u64> {
        let object = |node: &Node| match node.kind {
            Kind::File(Content::Object { digest, size }) => Some((digest, size)),
            _ => None,
        };
        self.nodes.values().filter_map(object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn a_file_lives_as_long_as_it_has_a_name() {
        let mut tree = Tree::default();
        for name in ["a", "a.d", "b"] {
            tree.insert(path(name), Node::new(Kind::Directory, 0o755));
        }
        let file = Node::new(Kind::File(Content::Inline(b"x".to_vec())), 0o4755);
        tree.insert(path("a/file"), file.clone());
        tree.insert(path("b/one"), Node::new(Kind::HardLink(path("a/file")), 0));
        tree.insert(path("b/two"), Node::new(Kind::HardLink(path("a/file")), 0));
        tree.remove(&path("a"));
        assert_eq!(tree.get(&path("b/one")), Some(&file));
        assert_eq!(tree.get(&path("b/two")).unwrap().kind, Kind::HardLink(path("b/one")));
        assert!(tree.get(&path("a.d")).is_some());
        tree.clear(&path("b"));
        assert_eq!(tree.len(), 3);
    }
}
