//! The root filesystem as a value: a sorted map from path to node. File contents are named by digest and lie in
//! [`calypte_store::Contents`]; nothing here touches a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use calypte_base::path::PathError;
use calypte_base::{Digest, TreePath};
use serde::{Deserialize, Serialize};

/// A root filesystem. Always holds its root directory; each other node's parent is a directory of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTree {
    nodes: BTreeMap<TreePath, Node>,
    /// The hard links of each file that has some: taking a file out must not search the whole tree for them.
    links: BTreeMap<TreePath, BTreeSet<TreePath>>,
}

/// One file, directory, link or device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission, setuid, setgid and sticky bits (`07777`).
    pub mode: u32,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by their full name (`security.capability`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Who put it there.
    pub owner: Owner,
}

/// The kinds of node that an image can hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link; the target is kept as it was written.
    Symlink(String),
    /// Another name of the regular file at this path (which is a [`NodeKind::File`] and sorts before it).
    HardLink(TreePath),
    /// A character device: major, minor.
    CharDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// A file's bytes, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// Who put a node into the tree: every node has exactly one owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A package, by its name.
    Package(String),
    /// A finisher, or what writes the records of packages.
    Finisher {
        /// Its name.
        name: String,
        /// The package out of whose own data alone it made the node; none when more went into it. Such a node changes
        /// only when its package does, and has the package's time.
        package: Option<String>,
    },
    /// The image's definition (`fs:`).
    Definition,
}

impl Owner {
    /// A finisher, of what it makes out of more than one package.
    #[must_use]
    pub fn finisher(name: &str) -> Self {
        Self::Finisher { name: name.to_owned(), package: None }
    }

    /// The package that brought the node, or out of whose own data alone it was made; none for what belongs to the image
    /// as a whole.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::Package(name) => Some(name),
            Self::Finisher { package, .. } => package.as_deref(),
            Self::Definition => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => write!(formatter, "package {name}"),
            Self::Finisher { name, package: None } => write!(formatter, "finisher {name}"),
            Self::Finisher { name, package: Some(package) } => {
                write!(formatter, "finisher {name}, for package {package}")
            }
            Self::Definition => formatter.write_str("the definition"),
        }
    }
}

/// Why a node cannot be where it was put, or a path cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Something that is not a directory stands where a parent directory must be: a symlink planted to be written
    /// through, or a file.
    #[error("{path} cannot be placed: {parent} is {kind}, put there by {owner}, and not a directory")]
    ParentNotDirectory {
        /// The path to be placed.
        path: TreePath,
        /// The nearest ancestor that is in the tree.
        parent: TreePath,
        /// What that is.
        kind: &'static str,
        /// Whose it is; boxed, for errors that carry this one are to stay small.
        owner: Box<Owner>,
    },
    /// A directory with entries cannot be replaced by something else.
    #[error("{path} is a directory with entries and cannot be replaced by {kind}")]
    DirectoryInTheWay {
        /// The path to be placed.
        path: TreePath,
        /// What was to be placed.
        kind: &'static str,
    },
    /// A hard link to a path that is no regular file of the tree, or that sorts after the link.
    #[error("hard link {path} points to {target}, which is no regular file that comes before it in the tree")]
    BadHardLink {
        /// The link.
        path: TreePath,
        /// Its target.
        target: TreePath,
    },
    /// A symlink's target is no path.
    #[error("{path}: {source}")]
    BadPath {
        /// The link.
        path: TreePath,
        /// What is wrong with the target.
        source: PathError,
    },
    /// More than 40 symlinks in a row, as the kernel counts.
    #[error("{path}: too many levels of symbolic links")]
    LinkLoop {
        /// The path that was to be followed.
        path: TreePath,
    },
}

impl NodeKind {
    /// The kind in words, with its article.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File(_) => "a file",
            Self::Symlink(_) => "a symbolic link",
            Self::HardLink(_) => "a hard link",
            Self::CharDevice(..) => "a character device",
            Self::Fifo => "a named pipe",
        }
    }
}

impl Node {
    /// A directory of root's, mode 0755.
    #[must_use]
    pub const fn directory(mtime: i64, owner: Owner) -> Self {
        Self { kind: NodeKind::Directory, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: BTreeMap::new(), owner }
    }

    /// A regular file of root's, mode 0644.
    #[must_use]
    pub fn file(content: Content, mtime: i64, owner: Owner) -> Self {
        Self { kind: NodeKind::File(content), mode: 0o644, ..Self::directory(mtime, owner) }
    }

    /// A symbolic link of root's.
    #[must_use]
    pub fn symlink(target: String, mtime: i64, owner: Owner) -> Self {
        Self { kind: NodeKind::Symlink(target), mode: 0o777, ..Self::directory(mtime, owner) }
    }

    /// Whether this is a directory.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory)
    }
}

impl FileTree {
    /// A tree that holds only its root directory.
    #[must_use]
    pub fn new(root: Node) -> Self {
        let root = Node { kind: NodeKind::Directory, ..root };
        Self { nodes: BTreeMap::from([(TreePath::root(), root)]), links: BTreeMap::new() }
    }

    /// The node at exactly this path; no link is followed.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Changes mode, owner, times or attributes of a node; not its kind.
    pub fn get_mut(&mut self, path: &TreePath) -> Option<NodeMut<'_>> {
        let node = self.nodes.get_mut(path)?;
        Some(NodeMut {
            mode: &mut node.mode,
            uid: &mut node.uid,
            gid: &mut node.gid,
            mtime: &mut node.mtime,
            xattrs: &mut node.xattrs,
            owner: &mut node.owner,
        })
    }

    /// All nodes in path order: each directory before what lies in it.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// The nodes strictly below a directory, in path order.
    pub fn below<'a>(&'a self, directory: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node)> {
        // Siblings such as `lib-x` sort between `lib` and `lib/a`, so the range starts at the slash.
        let start = if directory.is_root() { String::new() } else { format!("{}/", directory.as_str()) };
        self.nodes
            .range::<str, _>((std::ops::Bound::Included(start.as_str()), std::ops::Bound::Unbounded))
            .take_while(move |(path, _)| path.as_str().starts_with(&start))
            .filter(|(path, _)| !path.is_root())
    }

    /// Number of nodes, the root among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing but the root directory is in the tree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Sum of the sizes of all regular files, hard links counted once.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.nodes
            .values()
            .map(|node| if let NodeKind::File(content) = node.kind { content.size } else { 0 })
            .sum()
    }

    /// Puts a node at a path, in place of what was there. The parent must be a directory of the tree. Other names of
    /// a file that is replaced keep its content.
    ///
    /// # Errors
    /// When the parent is missing or no directory (no link is ever followed), when a directory with entries would be
    /// replaced, or when a hard link's target is no regular file that sorts before it.
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        if let Some(parent) = path.parent() {
            self.check_parent(&path, parent)?;
        }
        if !node.is_directory() && self.below(&path).next().is_some()
            || path.is_root() && !node.is_directory()
        {
            return Err(TreeError::DirectoryInTheWay { path, kind: node.kind.noun() });
        }
        if let NodeKind::HardLink(target) = &node.kind {
            let file = matches!(self.nodes.get(target), Some(Node { kind: NodeKind::File(_), .. }));
            if !file || *target >= path {
                return Err(TreeError::BadHardLink { path, target: target.clone() });
            }
        }
        self.take(&path);
        if let NodeKind::HardLink(target) = &node.kind {
            self.links.entry(target.clone()).or_default().insert(path.clone());
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Takes one node out; a file's hard links keep its content.
    fn take(&mut self, path: &TreePath) -> bool {
        let Some(node) = self.nodes.remove(path) else { return false };
        match node.kind {
            NodeKind::File(content) => self.promote_links(path, content),
            NodeKind::HardLink(target) => {
                if let Some(links) = self.links.get_mut(&target) {
                    links.remove(path);
                    if links.is_empty() {
                        self.links.remove(&target);
                    }
                }
            }
            _ => {}
        }
        true
    }

    fn check_parent(&self, path: &TreePath, parent: TreePath) -> Result<(), TreeError> {
        let mut nearest = parent;
        loop {
            match (self.nodes.get(&nearest), nearest.parent()) {
                (Some(node), _) if node.is_directory() && path.parent().as_ref() == Some(&nearest) => {
                    return Ok(());
                }
                (Some(node), _) => {
                    return Err(TreeError::ParentNotDirectory {
                        path: path.clone(),
                        kind: if node.is_directory() {
                            "the nearest directory there is"
                        } else {
                            node.kind.noun()
                        },
                        owner: Box::new(node.owner.clone()),
                        parent: nearest,
                    });
                }
                (None, Some(above)) => nearest = above,
                (None, None) => return Ok(()),
            }
        }
    }

    /// Creates the directories that are missing above a path: root's, mode 0755.
    ///
    /// # Errors
    /// When something that is not a directory stands in the way.
    pub fn create_parents(&mut self, path: &TreePath, mtime: i64, owner: &Owner) -> Result<(), TreeError> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(directory) = next {
            if self.nodes.contains_key(&directory) {
                break;
            }
            next = directory.parent();
            missing.push(directory);
        }
        for directory in missing.into_iter().rev() {
            self.insert(directory, Node::directory(mtime, owner.clone()))?;
        }
        Ok(())
    }

    /// Takes a node out, with all that lies below it; hard links to a file that goes become that file first.
    /// Returns whether anything was there. The root stays, emptied.
    pub fn remove(&mut self, path: &TreePath) -> bool {
        let mut gone: Vec<TreePath> = self.below(path).map(|(path, _)| path.clone()).collect();
        if !path.is_root() && self.nodes.contains_key(path) {
            gone.push(path.clone());
        }
        for path in &gone {
            self.take(path);
        }
        !gone.is_empty()
    }

    /// Lets the first of a removed file's hard links become the file, and the others point to it.
    fn promote_links(&mut self, target: &TreePath, content: Content) {
        let mut links = self.links.remove(target).unwrap_or_default();
        let Some(first) = links.pop_first() else { return };
        for path in &links {
            if let Some(node) = self.nodes.get_mut(path) {
                node.kind = NodeKind::HardLink(first.clone());
            }
        }
        if let Some(node) = self.nodes.get_mut(&first) {
            node.kind = NodeKind::File(content);
        }
        if !links.is_empty() {
            self.links.insert(first, links);
        }
    }

    /// All names of the file at this path, its hard links among them: they share mode, owner and attributes. For
    /// anything but a regular file just the path.
    #[must_use]
    pub fn names(&self, path: &TreePath) -> Vec<TreePath> {
        let file = match self.nodes.get(path).map(|node| &node.kind) {
            Some(NodeKind::HardLink(target)) => target,
            _ => path,
        };
        let links = self.links.get(file).into_iter().flatten();
        std::iter::once(file).chain(links).cloned().collect()
    }

    /// Follows every symlink in a path, the last one too, and gives the path of what it leads to; `None` where it
    /// leads to nothing in the tree.
    ///
    /// # Errors
    /// On a loop, or a link whose target is no path.
    pub fn resolve(&self, path: &TreePath) -> Result<Option<TreePath>, TreeError> {
        let mut links = 0;
        let mut done = TreePath::root();
        let mut rest: Vec<String> = path.components().rev().map(str::to_owned).collect();
        while let Some(component) = rest.pop() {
            let bad = |source| TreeError::BadPath { path: path.clone(), source };
            if component == ".." {
                done = done.parent().unwrap_or_else(TreePath::root);
                continue;
            }
            let here = done.join(&component).map_err(bad)?;
            let Some(node) = self.nodes.get(&here) else { return Ok(None) };
            let NodeKind::Symlink(target) = &node.kind else {
                done = here;
                continue;
            };
            links += 1;
            if links > 40 {
                return Err(TreeError::LinkLoop { path: path.clone() });
            }
            if target.starts_with('/') {
                done = TreePath::root();
            }
            rest.extend(target.split('/').rev().filter(|part| !matches!(*part, "" | ".")).map(str::to_owned));
        }
        Ok(Some(done))
    }

    /// The content of the file that a path leads to, links and hard links followed; `None` where it leads to no
    /// regular file.
    #[must_use]
    pub fn file(&self, path: &TreePath) -> Option<Content> {
        let resolved = self.resolve(path).ok()??;
        match &self.nodes.get(&resolved)?.kind {
            NodeKind::File(content) => Some(*content),
            NodeKind::HardLink(target) => self.file(target),
            _ => None,
        }
    }
}

/// The parts of a node that may be changed in place.
#[derive(Debug)]
pub struct NodeMut<'a> {
    /// Permission bits.
    pub mode: &'a mut u32,
    /// User id.
    pub uid: &'a mut u32,
    /// Group id.
    pub gid: &'a mut u32,
    /// Modification time, seconds since 1970.
    pub mtime: &'a mut i64,
    /// Extended attributes.
    pub xattrs: &'a mut BTreeMap<String, Vec<u8>>,
    /// Who put it there.
    pub owner: &'a mut Owner,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    fn tree() -> FileTree {
        let directory = || Node::directory(0, Owner::Package("p".into()));
        let mut tree = FileTree::new(directory());
        for name in ["usr", "usr/lib", "usr/lib-x", "usr/lib/a"] {
            tree.insert(path(name), directory()).unwrap();
        }
        tree
    }

    fn file(bytes: &[u8]) -> Node {
        Node::file(Content { digest: Digest::of(bytes), size: bytes.len() as u64 }, 0, Owner::Definition)
    }

    #[test]
    fn below_skips_siblings_that_sort_between() {
        let tree = tree();
        let names: Vec<_> = tree.below(&path("usr/lib")).map(|(path, _)| path.as_str().to_owned()).collect();
        assert_eq!(names, ["usr/lib/a"]);
        assert_eq!(tree.below(&TreePath::root()).count(), 4);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let mut tree = tree();
        tree.insert(path("usr/out"), Node::symlink("/etc".into(), 0, Owner::Package("evil".into()))).unwrap();
        let error = tree.insert(path("usr/out/passwd"), file(b"x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/usr/out/passwd cannot be placed: /usr/out is a symbolic link, put there by package evil, and not a directory"
        );
        assert!(tree.insert(path("missing/deep/file"), file(b"x")).is_err());
        assert!(tree.insert(path("usr"), file(b"x")).is_err());
    }

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let mut tree = tree();
        tree.insert(path("lib"), Node::symlink("usr/lib".into(), 0, Owner::Definition)).unwrap();
        tree.insert(path("usr/lib/b"), file(b"b")).unwrap();
        tree.insert(path("usr/up"), Node::symlink("../../../lib/b".into(), 0, Owner::Definition)).unwrap();
        tree.insert(path("usr/loop"), Node::symlink("loop".into(), 0, Owner::Definition)).unwrap();
        assert_eq!(tree.resolve(&path("usr/up")).unwrap(), Some(path("usr/lib/b")));
        assert_eq!(tree.resolve(&path("lib/none")).unwrap(), None);
        assert!(matches!(tree.resolve(&path("usr/loop")), Err(TreeError::LinkLoop { .. })));
        assert_eq!(tree.file(&path("usr/up")).unwrap().size, 1);
    }

    #[test]
    fn a_hard_link_outlives_its_target() {
        let mut tree = tree();
        tree.insert(path("usr/one"), file(b"1")).unwrap();
        let link = |target: &str| Node { kind: NodeKind::HardLink(path(target)), ..file(b"") };
        for name in ["usr/two", "usr/three", "usr/two-more"] {
            tree.insert(path(name), link("usr/one")).unwrap();
        }
        let error = tree.insert(path("usr/a"), link("usr/one")).unwrap_err();
        assert!(matches!(error, TreeError::BadHardLink { .. }), "a link sorts after its file");
        assert!(tree.remove(&path("usr/two-more")));
        tree.insert(path("usr/one"), file(b"other")).unwrap();
        assert!(
            matches!(tree.get(&path("usr/three")).unwrap().kind, NodeKind::File(content) if content.size == 1)
        );
        assert_eq!(tree.get(&path("usr/two")).unwrap().kind, NodeKind::HardLink(path("usr/three")));
        assert!(tree.remove(&path("usr/one")) && !tree.remove(&path("usr/one")));
        assert!(tree.remove(&path("usr/three")));
        assert!(
            matches!(tree.get(&path("usr/two")).unwrap().kind, NodeKind::File(content) if content.size == 1)
        );
    }
}
