//! Nodes of a tree written to a directory, and a directory read as nodes: for `/etc`, and `/var` at the first install.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use calypte_base::TreePath;
use calypte_composefs::{Content, INLINE_LIMIT, Kind, Node, ObjectHasher, Tree};
use rustix::fs::FileType;

use crate::disk_changes::{self, Attributes, NewFile};
use crate::repository::list;
use crate::{HostError, Repository};

/// Nodes by their paths below a directory, without hard links: each name is a file of its own.
pub(crate) type Nodes = BTreeMap<TreePath, Node>;

/// Attributes that belong to the machine and not to a file's owner.
const NOT_COMPARED: [&str; 2] = ["security.selinux", "security.ima"];

/// What lies below a directory of a tree, itself as the root.
pub(crate) fn below(tree: &Tree, directory: &TreePath) -> Result<Nodes, HostError> {
    let mut nodes = Nodes::new();
    for (path, node) in tree.below(directory) {
        let relative = path.as_str().strip_prefix(directory.as_str()).unwrap_or_default();
        let node = match &node.kind {
            Kind::HardLink(target) => tree.get(target).cloned().unwrap_or_else(|| node.clone()),
            _ => node.clone(),
        };
        nodes.insert(TreePath::new(relative)?, node);
    }
    Ok(nodes)
}

/// What lies in a directory of this machine, itself as the root. Contents are hashed, so that they compare with an image's.
pub(crate) fn read_directory(directory: &Path) -> Result<Nodes, HostError> {
    let mut nodes = Nodes::new();
    read_into(directory, &TreePath::root(), &mut nodes)?;
    Ok(nodes)
}

fn read_into(path: &Path, name: &TreePath, nodes: &mut Nodes) -> Result<(), HostError> {
    let failed = |error| HostError::io("read", path)(error);
    let metadata = fs_err::symlink_metadata(path).map_err(failed)?;
    let kind = if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_symlink() {
        let target = fs_err::read_link(path).map_err(failed)?;
        let target = target.to_str().map(str::to_owned);
        Kind::Symlink(target.ok_or_else(|| not_text(path))?)
    } else if metadata.is_file() {
        Kind::File(content(path, metadata.len())?)
    } else if metadata.file_type().is_char_device() {
        Kind::CharDevice(metadata.rdev())
    } else if metadata.file_type().is_block_device() {
        Kind::BlockDevice(metadata.rdev())
    } else if metadata.file_type().is_fifo() {
        Kind::Fifo
    } else {
        Kind::Socket
    };
    let is_directory = kind == Kind::Directory;
    let node = Node {
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        xattrs: xattrs(path)?,
    };
    nodes.insert(name.clone(), node);
    if is_directory {
        for path in list(path)? {
            let below = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| not_text(&path))?;
            read_into(&path, &name.join(below)?, nodes)?;
        }
    }
    Ok(())
}

fn not_text(path: &Path) -> HostError {
    HostError::State { path: path.to_owned(), reason: "a name is no UTF-8".to_owned() }
}

fn content(path: &Path, size: u64) -> Result<Content, HostError> {
    let mut file = fs_err::File::open(path).map_err(HostError::io("read", path))?;
    if size <= INLINE_LIMIT as u64 {
        let mut bytes = Vec::new();
        (&mut file).take(size).read_to_end(&mut bytes).map_err(HostError::io("read", path))?;
        return Ok(Content::Inline(bytes));
    }
    let mut hasher = ObjectHasher::default();
    let size = std::io::copy(&mut file, &mut hasher).map_err(HostError::io("read", path))?;
    Ok(Content::Object { digest: hasher.finish(), size })
}

fn xattrs(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, HostError> {
    let failed = |error: rustix::io::Errno| HostError::io("read the attributes of", path)(error.into());
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = BTreeMap::new();
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name.is_empty() || NOT_COMPARED.contains(&name) {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, name, &mut value).map_err(failed)?;
        value.truncate(length);
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// Where the bytes of a file come from.
pub(crate) enum Bytes<'a> {
    /// A file of this machine.
    File(PathBuf),
    /// The repository, or the node itself.
    Repository(&'a Repository),
}

/// Writes a node at a path where nothing is; of a directory the directory alone, whose attributes come last.
pub(crate) fn write(path: &Path, node: &Node, bytes: &Bytes<'_>) -> Result<(), HostError> {
    match &node.kind {
        Kind::Directory => disk_changes::make_directory(path)?,
        Kind::Symlink(target) => disk_changes::symlink(target, path)?,
        Kind::File(content) => write_file(path, content, bytes)?,
        Kind::CharDevice(number) => disk_changes::make_node(path, FileType::CharacterDevice, *number)?,
        Kind::BlockDevice(number) => disk_changes::make_node(path, FileType::BlockDevice, *number)?,
        Kind::Fifo => disk_changes::make_node(path, FileType::Fifo, 0)?,
        Kind::Socket => disk_changes::make_node(path, FileType::Socket, 0)?,
        Kind::HardLink(target) => {
            return Err(HostError::NoHost {
                reason: format!("{} is a hard link to {target}", path.display()),
            });
        }
    }
    if node.kind == Kind::Directory { Ok(()) } else { set_attributes(path, node) }
}

/// Gives a path the attributes of a node.
pub(crate) fn set_attributes(path: &Path, node: &Node) -> Result<(), HostError> {
    let symlink = matches!(node.kind, Kind::Symlink(_));
    let attributes = Attributes {
        mode: (!symlink).then_some(node.mode),
        uid: node.uid,
        gid: node.gid,
        mtime: node.mtime,
        xattrs: &node.xattrs,
    };
    disk_changes::set_attributes(path, &attributes)
}

fn write_file(path: &Path, content: &Content, bytes: &Bytes<'_>) -> Result<(), HostError> {
    let mut file = NewFile::create(path.parent().unwrap_or(Path::new("/")))?;
    let from = match (bytes, content) {
        (Bytes::File(from), _) => from.clone(),
        (Bytes::Repository(_), Content::Inline(bytes)) => {
            file.append(bytes)?;
            return file.publish(path);
        }
        (Bytes::Repository(repository), Content::Object { digest, .. }) => repository.object(digest),
    };
    copy(&from, &mut file)?;
    file.publish(path)
}

/// Copies all bytes of a file.
pub(crate) fn copy(from: &Path, to: &mut NewFile) -> Result<(), HostError> {
    let mut source = fs_err::File::open(from).map_err(HostError::io("read", from))?;
    let mut piece = vec![0; 1024 * 1024];
    loop {
        let count = source.read(&mut piece).map_err(HostError::io("read", from))?;
        if count == 0 {
            return Ok(());
        }
        to.append(&piece[..count])?;
    }
}

/// Writes all nodes into a new directory.
pub(crate) fn write_all<'a>(
    directory: &Path,
    nodes: &Nodes,
    bytes: impl Fn(&TreePath) -> Bytes<'a>,
) -> Result<(), HostError> {
    for (path, node) in nodes {
        write(&directory.join(path.as_str()), node, &bytes(path))?;
    }
    // What is written into a directory changes its time; and a directory may not let even its owner write.
    for (path, node) in nodes.iter().rev().filter(|(_, node)| node.kind == Kind::Directory) {
        set_attributes(&directory.join(path.as_str()), node)?;
    }
    Ok(())
}
