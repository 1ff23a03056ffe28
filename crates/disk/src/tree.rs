//! What a file system is written from: a sorted map from path to node.
//!
//! A type of its own and not the factory's `FileTree`: a host, which has no packages, writes disks too.

use std::collections::BTreeMap;

use calypte_base::{Epoch, TreePath};

use crate::content::{Content, SharedContent};

/// A tree of files. Every parent of a node is there and is a directory; a hard link names a node that is none.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: BTreeMap<TreePath, Node>,
}

/// A node's attributes and what it is.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: the lower twelve bits of `st_mode`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Time of modification.
    pub mtime: Epoch,
    /// Extended attributes with their full names (`security.capability`), values as the kernel's interface has them.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its bytes.
        content: SharedContent,
        /// Whether it is sealed with fs-verity.
        verity: bool,
    },
    /// A symbolic link to this target.
    Symlink(String),
    /// One more name of the file at this path, of which it has all attributes: those of this node count for nothing.
    HardLink(TreePath),
    /// A character device with its major and minor number.
    CharacterDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Why a node cannot be in a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is a node already.
    #[error("{0} is in the tree twice")]
    Duplicate(TreePath),
    /// The directory that should hold it is not there.
    #[error("{0} has no parent directory in the tree")]
    NoParent(TreePath),
    /// What should hold it is no directory.
    #[error("{0} lies below something that is no directory")]
    ParentIsNoDirectory(TreePath),
    /// A hard link to a node that is not there, is a directory, or is a hard link itself.
    #[error("{path} is a hard link to {target}, which is no file in the tree")]
    BadHardLink {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// The root is always a directory.
    #[error("the root of a tree must be a directory")]
    RootIsNoDirectory,
}

impl Node {
    /// A node of root's, of 1970, without attributes.
    #[must_use]
    pub const fn new(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime: Epoch(0), xattrs: BTreeMap::new() }
    }

    /// A directory of root's.
    #[must_use]
    pub const fn directory(mode: u32) -> Self {
        Self::new(Kind::Directory, mode)
    }

    /// A regular file of root's.
    #[must_use]
    pub fn file(mode: u32, content: impl Content + 'static) -> Self {
        Self::new(Kind::File { content: std::sync::Arc::new(content), verity: false }, mode)
    }

    /// A regular file of root's, sealed with fs-verity.
    #[must_use]
    pub fn sealed_file(mode: u32, content: impl Content + 'static) -> Self {
        Self::new(Kind::File { content: std::sync::Arc::new(content), verity: true }, mode)
    }

    /// A symbolic link of root's.
    #[must_use]
    pub fn symlink(target: &str) -> Self {
        Self::new(Kind::Symlink(target.to_owned()), 0o777)
    }

    /// One more name of the file at `target`.
    #[must_use]
    pub const fn hard_link(target: TreePath) -> Self {
        Self::new(Kind::HardLink(target), 0)
    }

    /// The same node, modified at this time.
    #[must_use]
    pub const fn at(mut self, mtime: Epoch) -> Self {
        self.mtime = mtime;
        self
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree of a root directory alone: mode 0755, of root, of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self { nodes: BTreeMap::from([(TreePath::root(), Node::directory(0o755))]) }
    }

    /// Adds a node below a directory that is there; for the root, replaces it.
    ///
    /// # Errors
    /// When there is a node at the path, no directory to hold it, or a hard link names no file that was added before it.
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        let Some(parent) = path.parent() else {
            if !matches!(node.kind, Kind::Directory) {
                return Err(TreeError::RootIsNoDirectory);
            }
            self.nodes.insert(path, node);
            return Ok(());
        };
        match self.nodes.get(&parent).map(|parent| &parent.kind) {
            Some(Kind::Directory) => {}
            Some(_) => return Err(TreeError::ParentIsNoDirectory(path)),
            None => return Err(TreeError::NoParent(path)),
        }
        if self.nodes.contains_key(&path) {
            return Err(TreeError::Duplicate(path));
        }
        if let Kind::HardLink(target) = &node.kind {
            let linked = self.nodes.get(target).map(|node| &node.kind);
            if matches!(linked, None | Some(Kind::Directory | Kind::HardLink(_))) {
                return Err(TreeError::BadHardLink { target: target.clone(), path });
            }
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// As [`Tree::insert`]; the parents that are missing come in as directories with the attributes of `parents`.
    ///
    /// # Errors
    /// As [`Tree::insert`].
    pub fn insert_below(&mut self, path: TreePath, node: Node, parents: &Node) -> Result<(), TreeError> {
        let mut missing = Vec::new();
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| !self.nodes.contains_key(directory)) {
            above = directory.parent();
            missing.push(directory);
        }
        for directory in missing.into_iter().rev() {
            let parent = Node { kind: Kind::Directory, ..parents.clone() };
            self.insert(directory, parent)?;
        }
        self.insert(path, node)
    }

    /// The node at a path.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Every path with its node, in the order of the paths' bytes: a directory before what lies in it.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> + Clone {
        self.nodes.iter()
    }

    /// How many nodes there are; the root is one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the root is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}
