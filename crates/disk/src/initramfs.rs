//! A tree → an initramfs: a `newc` cpio archive, compressed whole with zstd at a pinned level.
//!
//! Extended attributes are left out, for the format has none; the root is the kernel's own.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use calypte_base::TreePath;
use calypte_formats::cpio::{Entry, Writer};

use crate::tree::{Kind, Node, Tree};

/// The level decides the bytes. The window that comes with it is 8 MiB: the kernel takes up to 128.
const LEVEL: i32 = 19;

/// Why a tree cannot be written as an initramfs.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A content could not be read, or is not as long as it said, or is larger than the format allows (4 GiB).
    #[error("{path}: {error}")]
    Entry {
        /// The file.
        path: TreePath,
        /// Why.
        error: io::Error,
    },
    /// The target could not be written.
    #[error("initramfs: {0}")]
    Write(#[from] io::Error),
}

/// Writes a tree as an initramfs that the kernel takes (it needs `CONFIG_RD_ZSTD`, which distributions have).
///
/// # Errors
/// When a content cannot be read or the target cannot be written.
pub fn write<W: Write>(tree: &Tree, target: W) -> Result<W, InitramfsError> {
    let compressor = zstd::stream::write::Encoder::new(target, LEVEL)?;
    Ok(archive(tree, compressor)?.finish()?)
}

/// Writes a tree as an archive that is not compressed.
///
/// # Errors
/// As [`write()`].
pub fn archive<W: Write>(tree: &Tree, target: W) -> Result<W, InitramfsError> {
    let names = names(tree);
    let mut writer = Writer::new(target);
    for (number, (path, node)) in (1..).zip(tree.iter()).skip(1) {
        let entry = |error| InitramfsError::Entry { path: path.clone(), error };
        let first = match &node.kind {
            Kind::HardLink(target) => target,
            _ => path,
        };
        let file = tree.get(first).unwrap_or(node);
        // The last of a file's names has its bytes, and all have the number of the first.
        let (links, inode, last) = match names.get(first) {
            Some(Names { count, first, last }) => (*count, *first, *last == path),
            None => (1, number, true),
        };
        let mut header = header(path, file);
        (header.links, header.inode) = (links, inode);
        let body: Box<dyn Read> = match &file.kind {
            Kind::File { content, .. } if last => {
                header.size = content.size();
                content.open().map_err(entry)?
            }
            Kind::Symlink(target) => {
                header.size = target.len() as u64;
                Box::new(target.as_bytes())
            }
            _ => Box::new(io::empty()),
        };
        writer.append(&header, body).map_err(entry)?;
    }
    Ok(writer.finish()?)
}

/// The names of a file that has several.
struct Names<'a> {
    count: u32,
    /// The place of the first one in the tree.
    first: u32,
    last: &'a TreePath,
}

fn names(tree: &Tree) -> BTreeMap<&TreePath, Names<'_>> {
    let mut names: BTreeMap<&TreePath, Names<'_>> = BTreeMap::new();
    for (number, (path, node)) in (1..).zip(tree.iter()) {
        let file = match &node.kind {
            Kind::Directory => continue,
            Kind::HardLink(target) => target,
            _ => path,
        };
        names
            .entry(file)
            .and_modify(|names| (names.count, names.last) = (names.count + 1, path))
            .or_insert(Names { count: 1, first: number, last: path });
    }
    names
}

fn header(path: &TreePath, node: &Node) -> Entry {
    let (kind, special) = match node.kind {
        Kind::Directory => (0o040_000, (0, 0)),
        Kind::File { .. } | Kind::HardLink(_) => (0o100_000, (0, 0)),
        Kind::Symlink(_) => (0o120_000, (0, 0)),
        Kind::CharacterDevice(major, minor) => (0o020_000, (major, minor)),
        Kind::BlockDevice(major, minor) => (0o060_000, (major, minor)),
        Kind::Fifo => (0o010_000, (0, 0)),
        Kind::Socket => (0o140_000, (0, 0)),
    };
    Entry {
        path: path.as_str().as_bytes().to_vec(),
        mode: kind | node.mode & 0o7777,
        uid: node.uid,
        gid: node.gid,
        links: 1,
        inode: 0,
        device: (0, 0),
        special,
        mtime: u32::try_from(node.mtime.0.max(0)).unwrap_or(u32::MAX),
        size: 0,
    }
}
