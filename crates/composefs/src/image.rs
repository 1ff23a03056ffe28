//! Trees to images and back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use calypte_base::TreePath;
use composefs::erofs::format::FormatVersion;
use composefs::erofs::reader::erofs_to_filesystem;
use composefs::erofs::writer::{ValidatedFileSystem, mkfs_erofs_versioned};
use composefs::fsverity::{Algorithm, Sha512HashValue};
use composefs::generic_tree::LeafId;
use composefs::repository::RepoMetadata;
use composefs::tree::{Directory, FileSystem, Inode, Leaf, LeafContent, RegularFile, Stat};

use crate::{Content, INLINE_LIMIT, ImageError, Kind, Node, Tree, VerityDigest};

/// The version that composefs-rs writes by itself.
const VERSION: FormatVersion = FormatVersion::V1;

/// A composefs image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The EROFS file system.
    pub bytes: Vec<u8>,
    /// The fs-verity digest of these bytes: `composefs=` of the kernel's command line.
    pub digest: VerityDigest,
}

/// The file `meta.json` of a repository whose objects are named by our digests.
///
/// # Errors
/// When composefs cannot write it.
pub fn metadata_json() -> Result<Vec<u8>, ImageError> {
    RepoMetadata::new(Algorithm::SHA512).to_json().map_err(|error| ImageError::invalid(format!("{error:#}")))
}

impl Tree {
    /// The composefs image of this tree.
    ///
    /// # Errors
    /// When a path lies in no directory, a hard link leads nowhere, or composefs refuses the tree.
    pub fn image(&self) -> Result<Image, ImageError> {
        let mut system = FileSystem::<Sha512HashValue>::new(Stat::default());
        let mut leaves: BTreeMap<&TreePath, LeafId> = BTreeMap::new();
        for (path, node) in self.iter() {
            if let Some(content) = content(path, node)? {
                leaves.insert(path, system.push_leaf(stat(node), content));
            }
        }
        for (path, node) in self.iter() {
            if path.is_root() {
                system.root.stat = stat(node);
                continue;
            }
            let inode = match &node.kind {
                Kind::Directory => Inode::Directory(Box::new(Directory::new(stat(node)))),
                Kind::HardLink(target) => {
                    let missing = || ImageError::Link { path: path.clone(), target: target.clone() };
                    Inode::leaf(*leaves.get(target).ok_or_else(missing)?)
                }
                _ => Inode::leaf(leaves[path]),
            };
            let no_directory = |_| ImageError::NoDirectory { path: path.clone() };
            let (directory, name) = system.root.split_mut(OsStr::new(path.as_str())).map_err(no_directory)?;
            directory.insert(name, inode);
        }
        let system =
            ValidatedFileSystem::new(system).map_err(|error| ImageError::invalid(format!("{error:#}")))?;
        let bytes = mkfs_erofs_versioned(&system, VERSION).into_vec();
        Ok(Image { digest: VerityDigest::of(&bytes), bytes })
    }

    /// The tree of an image. Which of several names of a file is the first one is not kept in an image: it is the first
    /// in order.
    ///
    /// # Errors
    /// When the bytes are no composefs image, or a name in it is no UTF-8.
    pub fn from_image(bytes: &[u8]) -> Result<Self, ImageError> {
        let system = erofs_to_filesystem::<Sha512HashValue>(bytes)
            .map_err(|error| ImageError::invalid(format!("{error:#}")))?;
        let mut tree = Self::default();
        tree.insert(TreePath::root(), node(&system.root.stat, Kind::Directory)?);
        let mut reader = Reader { leaves: &system.leaves, names: BTreeMap::new(), tree };
        reader.directory(&TreePath::root(), &system.root)?;
        let mut tree = reader.tree;
        remove_stubs(&mut tree);
        Ok(tree)
    }
}

/// Images of version 1 have 256 devices in their root, which overlayfs hides, and which a tree does not have.
fn remove_stubs(tree: &mut Tree) {
    for number in 0..=255_u8 {
        let Ok(path) = TreePath::new(&format!("{number:02x}")) else { continue };
        if tree.get(&path).is_some_and(|node| node.kind == Kind::CharDevice(0)) {
            tree.remove(&path);
        }
    }
}

struct Reader<'a> {
    leaves: &'a [Leaf<Sha512HashValue>],
    names: BTreeMap<usize, TreePath>,
    tree: Tree,
}

impl Reader<'_> {
    fn directory(
        &mut self,
        path: &TreePath,
        directory: &Directory<Sha512HashValue>,
    ) -> Result<(), ImageError> {
        for (name, inode) in directory.sorted_entries() {
            let name = name.to_str().ok_or_else(|| {
                ImageError::invalid(format!("a name in {path} is no UTF-8: {}", name.display()))
            })?;
            let path = path.join(name).map_err(ImageError::invalid)?;
            match inode {
                Inode::Directory(below) => {
                    self.tree.insert(path.clone(), node(&below.stat, Kind::Directory)?);
                    self.directory(&path, below)?;
                }
                Inode::Leaf(id, _) => self.leaf(path, id.0)?,
            }
        }
        Ok(())
    }

    fn leaf(&mut self, path: TreePath, number: usize) -> Result<(), ImageError> {
        let leaf = self.leaves.get(number).ok_or_else(|| ImageError::invalid("a name without an inode"))?;
        let node = match self.names.get(&number) {
            Some(first) => node(&leaf.stat, Kind::HardLink(first.clone()))?,
            None => node(&leaf.stat, kind(&path, &leaf.content)?)?,
        };
        self.names.entry(number).or_insert_with(|| path.clone());
        self.tree.insert(path, node);
        Ok(())
    }
}

fn kind(path: &TreePath, content: &LeafContent<Sha512HashValue>) -> Result<Kind, ImageError> {
    Ok(match content {
        LeafContent::Regular(RegularFile::Inline(bytes)) => Kind::File(Content::Inline(bytes.to_vec())),
        LeafContent::Regular(RegularFile::External(digest, size)) => {
            Kind::File(Content::Object { digest: VerityDigest::from_value(digest), size: *size })
        }
        LeafContent::Regular(_) => {
            return Err(ImageError::invalid(format!("nothing vouches for the content of {path}")));
        }
        LeafContent::BlockDevice(number) => Kind::BlockDevice(*number),
        LeafContent::CharacterDevice(number) => Kind::CharDevice(*number),
        LeafContent::Fifo => Kind::Fifo,
        LeafContent::Socket => Kind::Socket,
        LeafContent::Symlink(target) => {
            let text = target.to_str();
            Kind::Symlink(text.ok_or_else(|| not_text(path))?.to_owned())
        }
    })
}

fn not_text(path: &TreePath) -> ImageError {
    ImageError::invalid(format!("the target of {path} is no UTF-8"))
}

fn node(stat: &Stat, kind: Kind) -> Result<Node, ImageError> {
    let xattrs = stat.xattrs.iter().map(|(name, value)| {
        let name =
            name.to_str().ok_or_else(|| ImageError::invalid("the name of an attribute is no UTF-8"))?;
        Ok((name.to_owned(), value.to_vec()))
    });
    Ok(Node {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtim_sec,
        xattrs: xattrs.collect::<Result<_, ImageError>>()?,
    })
}

fn stat(node: &Node) -> Stat {
    let xattr = |(name, value): (&String, &Vec<u8>)| {
        (Box::from(OsStr::from_bytes(name.as_bytes())), value.clone().into_boxed_slice())
    };
    Stat {
        st_mode: node.mode & 0o7777,
        st_uid: node.uid,
        st_gid: node.gid,
        st_mtim_sec: node.mtime,
        st_mtim_nsec: 0,
        xattrs: node.xattrs.iter().map(xattr).collect(),
    }
}

/// What a leaf holds; nothing for directories and further names.
fn content(path: &TreePath, node: &Node) -> Result<Option<LeafContent<Sha512HashValue>>, ImageError> {
    Ok(Some(match &node.kind {
        Kind::Directory | Kind::HardLink(_) => return Ok(None),
        Kind::File(Content::Inline(bytes)) if bytes.len() > INLINE_LIMIT => {
            return Err(ImageError::Inline { path: path.clone(), size: bytes.len() });
        }
        Kind::File(Content::Inline(bytes)) => {
            LeafContent::Regular(RegularFile::Inline(bytes.clone().into_boxed_slice()))
        }
        Kind::File(Content::Object { digest, size }) => {
            LeafContent::Regular(RegularFile::External(digest.to_value(), *size))
        }
        Kind::Symlink(target) => LeafContent::Symlink(Box::from(OsStr::new(target))),
        Kind::CharDevice(number) => LeafContent::CharacterDevice(*number),
        Kind::BlockDevice(number) => LeafContent::BlockDevice(*number),
        Kind::Fifo => LeafContent::Fifo,
        Kind::Socket => LeafContent::Socket,
    }))
}
