//! Lays a tree out on a disk, for the engines that want a directory. Only for tests: no build does this.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use calypte_base::TreePath;
use calypte_rootfs::{FileTree, Node, NodeKind};
use calypte_store::Contents;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, XattrFlags};

/// Writes every node below `root`, which must not exist yet. Needs the right to give files away.
///
/// # Errors
/// When something cannot be written, or a content is missing.
pub fn extract(tree: &FileTree, contents: &Contents, root: &Path) -> Result<()> {
    for (path, node) in tree.iter() {
        let target = on_disk(root, path);
        write(node, contents, root, &target).with_context(|| format!("cannot lay out {path}"))?;
    }
    Ok(())
}

fn on_disk(root: &Path, path: &TreePath) -> PathBuf {
    // Safe since every parent of a node is a directory of the tree, so that no link is written through.
    root.join(path.as_str())
}

fn write(node: &Node, contents: &Contents, root: &Path, target: &Path) -> Result<()> {
    match &node.kind {
        NodeKind::Directory => fs_err::create_dir(target)?,
        NodeKind::File(content) => {
            contents.copy(&content.digest, &mut fs_err::File::create(target)?)?;
        }
        NodeKind::Symlink(link) => std::os::unix::fs::symlink(link, target)?,
        NodeKind::HardLink(to) => return Ok(fs_err::hard_link(on_disk(root, to), target)?),
        NodeKind::CharDevice(major, minor) => {
            let device = rustix::fs::makedev(*major, *minor);
            rustix::fs::mknodat(CWD, target, FileType::CharacterDevice, Mode::empty(), device)?;
        }
        NodeKind::Fifo => rustix::fs::mknodat(CWD, target, FileType::Fifo, Mode::empty(), 0)?,
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    rustix::fs::chownat(CWD, target, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !matches!(node.kind, NodeKind::Symlink(_)) {
        // After the owner: changing that takes setuid bits and capabilities away.
        fs_err::set_permissions(target, Permissions::from_mode(node.mode))?;
        for (name, value) in &node.xattrs {
            rustix::fs::setxattr(target, name, value, XattrFlags::empty())?;
        }
    }
    Ok(())
}
