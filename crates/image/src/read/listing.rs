//! Layers → what a container would see: whiteouts applied (OCI image spec, layer.md), every file with its digest.
//!
//! What two engines would unpack differently is refused: a path that leads through a symbolic link, a file that is
//! twice in one layer, a deletion with a strange name. Nothing is written anywhere, so that a hostile layer can at
//! most cost the time to read it and the memory that the limits below allow.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Bound;

use calypte_base::path::PathError;
use calypte_base::{Digest, Hasher, TreePath};
use calypte_formats::tar::{self, TarError};

use crate::plan::WHITEOUT_PREFIX;

/// Most paths in an image: the largest distributions have 300,000 files in one system.
const MOST_PATHS: usize = 1_000_000;

/// Most bytes of names in an image (paths, link targets, extended attributes with their values), which bounds the
/// memory that a listing takes; 300,000 files have about 20 MB of them.
const MOST_NAME_BYTES: usize = 256 * 1024 * 1024;

/// Most components in a path: real trees have some 30, and the parents of each path are looked up one by one.
const MOST_COMPONENTS: usize = 256;

/// Most bytes that are kept of the files whose contents are asked for.
const MOST_KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// In a directory: nothing of it shows through from the layers below.
const OPAQUE: &str = ".wh..wh..opq";

/// Bytes read at once.
const CHUNK: usize = 128 * 1024;

/// What an image holds, layers applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Every path, the root directory among them where a layer has it.
    pub files: BTreeMap<TreePath, ImageFile>,
    /// The bytes of the regular files that were asked for.
    pub contents: BTreeMap<TreePath, Vec<u8>>,
}

/// One path of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// What it is.
    pub kind: ImageFileKind,
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
    /// The layer that it is from; 0 is the lowest.
    pub layer: usize,
}

/// The kinds of path in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// Their number.
        size: u64,
        /// For a further name of a file: the name that the layer gives first. The other fields are that file's.
        hard_link: Option<TreePath>,
    },
    /// A symbolic link; the target as it was written.
    Symlink(String),
    /// A character device: major, minor.
    CharDevice(u32, u32),
    /// A block device: major, minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Why a layer cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// It is no proper tar archive, or cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A path or the target of a hard link could leave the root.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Something is below a path that is no directory: a symbolic link planted to be written through, or a file.
    #[error("{path} lies below {parent}, which is no directory")]
    ThroughOther {
        /// The path.
        path: TreePath,
        /// What is in the way.
        parent: TreePath,
    },
    /// A path is in the layer twice.
    #[error("{path} is in the layer twice")]
    Twice {
        /// The path.
        path: TreePath,
    },
    /// A deletion of something that is no name, or one that is no empty file.
    #[error("{path} is no proper deletion mark: {reason}")]
    Whiteout {
        /// The path of the mark.
        path: TreePath,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A hard link to something that is no file of the layer.
    #[error("hard link {path} points to {target}, which is no regular file before it in the layer")]
    HardLink {
        /// The link.
        path: TreePath,
        /// Its target.
        target: TreePath,
    },
    /// More of something than an image may have.
    #[error("the image has more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// The entries of one layer before they are applied.
#[derive(Default)]
struct LayerEntries {
    files: BTreeMap<TreePath, ImageFile>,
    /// Bytes of the files that were asked for.
    contents: BTreeMap<TreePath, Vec<u8>>,
    /// Paths that lower layers lose.
    deleted: BTreeSet<TreePath>,
    /// Directories whose entries lower layers lose.
    opaque: BTreeSet<TreePath>,
    /// The paths of the marks that say so.
    marks: BTreeSet<TreePath>,
}

/// Sees the bytes of each regular file while an image is read once. A file that a later layer deletes or replaces is
/// shown too, and one with the same bytes as another again: what is learnt is best kept by [`Digest`] and looked up for
/// the paths that the [`Listing`] still has.
pub trait FileVisitor {
    /// A regular file begins; it has `size` bytes.
    fn start(&mut self, path: &TreePath, size: u64);

    /// Its next bytes, at most 128 KiB and at least one.
    fn part(&mut self, bytes: &[u8]);

    /// It ended, and has this SHA-256. Not called when reading failed within it.
    fn end(&mut self, path: &TreePath, digest: &Digest);
}

/// Applies layers in order.
pub(super) struct Applier<'a> {
    listing: Listing,
    layer: usize,
    name_bytes: usize,
    kept_bytes: u64,
    wanted: &'a dyn Fn(&TreePath) -> bool,
    visitor: Option<&'a mut dyn FileVisitor>,
    /// What bodies pass through.
    buffer: Vec<u8>,
}

impl<'a> Applier<'a> {
    /// Nothing yet; of the files that `wanted` names the bytes will be kept.
    pub(super) fn new(
        wanted: &'a dyn Fn(&TreePath) -> bool,
        visitor: Option<&'a mut dyn FileVisitor>,
    ) -> Self {
        let buffer = vec![0; CHUNK];
        Self { listing: Listing::default(), layer: 0, name_bytes: 0, kept_bytes: 0, wanted, visitor, buffer }
    }

    pub(super) fn finish(self) -> Listing {
        self.listing
    }

    /// Applies the next layer, an uncompressed tar archive; reads it to its end.
    pub(super) fn apply(&mut self, archive: &mut dyn Read) -> Result<(), LayerError> {
        let mut entries = LayerEntries::default();
        let mut reader = tar::Reader::new(archive);
        while let Some(entry) = reader.next_entry()? {
            let path = TreePath::from_bytes(&entry.path)?;
            self.count(&path, &entry, &entries)?;
            if path.file_name().starts_with(WHITEOUT_PREFIX) {
                entries.mark(&path, &entry)?;
                entries.marks.insert(path);
                continue;
            }
            let file = self.read_file(&path, entry, &mut reader, &mut entries)?;
            let directory = file.kind == ImageFileKind::Directory;
            if let Some(old) = entries.files.insert(path.clone(), file)
                && !(directory && old.kind == ImageFileKind::Directory)
            {
                return Err(LayerError::Twice { path });
            }
        }
        self.merge(entries)?;
        self.layer += 1;
        Ok(())
    }

    fn count(
        &mut self,
        path: &TreePath,
        entry: &tar::Entry,
        entries: &LayerEntries,
    ) -> Result<(), LayerError> {
        let too_much = |what, limit: usize| Err(LayerError::TooMuch { what, limit: limit as u64 });
        if self.listing.files.len() + entries.files.len() + entries.marks.len() >= MOST_PATHS {
            return too_much("paths", MOST_PATHS);
        }
        if path.components().count() > MOST_COMPONENTS {
            return too_much("components in one path", MOST_COMPONENTS);
        }
        let target = match &entry.kind {
            tar::EntryKind::Symlink(target) | tar::EntryKind::HardLink(target) => target.len(),
            _ => 0,
        };
        let xattrs: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.name_bytes += path.as_str().len() + target + xattrs;
        if self.name_bytes > MOST_NAME_BYTES {
            return too_much("bytes of names", MOST_NAME_BYTES);
        }
        Ok(())
    }

    fn read_file<R: Read>(
        &mut self,
        path: &TreePath,
        entry: tar::Entry,
        reader: &mut tar::Reader<R>,
        entries: &mut LayerEntries,
    ) -> Result<ImageFile, LayerError> {
        let kind = match entry.kind {
            tar::EntryKind::Directory => ImageFileKind::Directory,
            tar::EntryKind::File => {
                let (digest, kept) = self.read_body(path, entry.size, &mut reader.body())?;
                if let Some(bytes) = kept {
                    entries.contents.insert(path.clone(), bytes);
                }
                ImageFileKind::File { digest, size: entry.size, hard_link: None }
            }
            tar::EntryKind::HardLink(target) => return self.link(path, &target, entries),
            tar::EntryKind::Symlink(target) => {
                ImageFileKind::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            tar::EntryKind::CharDevice { major, minor } => ImageFileKind::CharDevice(major, minor),
            tar::EntryKind::BlockDevice { major, minor } => ImageFileKind::BlockDevice(major, minor),
            tar::EntryKind::Fifo => ImageFileKind::Fifo,
        };
        let tar::Entry { mode, uid, gid, mtime, xattrs, .. } = entry;
        Ok(ImageFile { kind, mode, uid, gid, mtime, xattrs, layer: self.layer })
    }

    /// A further name of a file that stands before it in the layer. Files of lower layers cannot be linked to: an
    /// engine that mounts each layer by itself has no such file there.
    fn link(
        &mut self,
        path: &TreePath,
        target: &[u8],
        entries: &mut LayerEntries,
    ) -> Result<ImageFile, LayerError> {
        let target = TreePath::from_bytes(target)?;
        let mut file = match entries.files.get(&target) {
            Some(file) if target != *path => file.clone(),
            _ => return Err(LayerError::HardLink { path: path.clone(), target }),
        };
        let ImageFileKind::File { size, hard_link, .. } = &mut file.kind else {
            return Err(LayerError::HardLink { path: path.clone(), target });
        };
        // The bytes are there only when the target was asked for too.
        if (self.wanted)(path)
            && let Some(bytes) = entries.contents.get(&target).cloned()
        {
            self.keep(*size)?;
            entries.contents.insert(path.clone(), bytes);
        }
        hard_link.get_or_insert(target);
        Ok(file)
    }

    fn keep(&mut self, size: u64) -> Result<(), LayerError> {
        self.kept_bytes = self.kept_bytes.saturating_add(size);
        if self.kept_bytes > MOST_KEPT_BYTES {
            return Err(LayerError::TooMuch {
                what: "bytes in the files that are to be read",
                limit: MOST_KEPT_BYTES,
            });
        }
        Ok(())
    }

    fn read_body(
        &mut self,
        path: &TreePath,
        size: u64,
        body: &mut dyn Read,
    ) -> Result<(Digest, Option<Vec<u8>>), LayerError> {
        let mut kept = (self.wanted)(path).then(Vec::new);
        if kept.is_some() {
            self.keep(size)?;
        }
        if let Some(visitor) = &mut self.visitor {
            visitor.start(path, size);
        }
        let mut hasher = Hasher::new();
        loop {
            match body.read(&mut self.buffer) {
                Ok(0) => {
                    let digest = hasher.finish();
                    if let Some(visitor) = &mut self.visitor {
                        visitor.end(path, &digest);
                    }
                    return Ok((digest, kept));
                }
                Ok(count) => {
                    hasher.update(&self.buffer[..count]);
                    if let Some(visitor) = &mut self.visitor {
                        visitor.part(&self.buffer[..count]);
                    }
                    if let Some(kept) = &mut kept {
                        kept.extend_from_slice(&self.buffer[..count]);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Io(error).into()),
            }
        }
    }

    /// Deletions first, since they are about lower layers only, then the layer's own entries.
    fn merge(&mut self, entries: LayerEntries) -> Result<(), LayerError> {
        for path in &entries.opaque {
            self.remove_below(path);
        }
        for path in &entries.deleted {
            self.remove_below(path);
            self.remove(path);
        }
        for path in entries.files.keys().chain(&entries.marks) {
            self.check_parents(path, &entries)?;
        }
        for (path, file) in entries.files {
            if file.kind != ImageFileKind::Directory {
                self.remove_below(&path);
            }
            self.listing.contents.remove(&path);
            self.listing.files.insert(path, file);
        }
        self.listing.contents.extend(entries.contents);
        Ok(())
    }

    /// Whether every parent of a path is a directory, or only implied by the path. Checked when the layer is known as
    /// a whole: a parent may come after what lies in it.
    fn check_parents(&self, path: &TreePath, entries: &LayerEntries) -> Result<(), LayerError> {
        let mut next = path.parent();
        while let Some(parent) = next {
            let own = entries.files.get(&parent);
            let there = own.or_else(|| self.listing.files.get(&parent));
            if there.is_some_and(|file| file.kind != ImageFileKind::Directory) {
                return Err(LayerError::ThroughOther { path: path.clone(), parent });
            }
            if own.is_some() {
                // Its own parents are checked for itself.
                return Ok(());
            }
            next = parent.parent();
        }
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) {
        self.listing.files.remove(path);
        self.listing.contents.remove(path);
    }

    fn remove_below(&mut self, directory: &TreePath) {
        // Siblings such as `lib-x` sort between `lib` and `lib/a`, so the range starts at the slash.
        let start = if directory.is_root() { String::new() } else { format!("{}/", directory.as_str()) };
        let below: Vec<TreePath> = self
            .listing
            .files
            .range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded))
            .map(|(path, _)| path)
            .take_while(|path| path.as_str().starts_with(&start))
            .filter(|path| !path.is_root())
            .cloned()
            .collect();
        for path in below {
            self.remove(&path);
        }
    }
}

impl LayerEntries {
    /// Takes note of a deletion.
    fn mark(&mut self, path: &TreePath, entry: &tar::Entry) -> Result<(), LayerError> {
        let wrong = |reason| Err(LayerError::Whiteout { path: path.clone(), reason });
        if entry.kind != tar::EntryKind::File {
            return wrong("it is no file");
        }
        if entry.size > 0 {
            return wrong("it is not empty");
        }
        let parent = path.parent().unwrap_or_else(TreePath::root);
        if path.file_name() == OPAQUE {
            self.opaque.insert(parent);
            return Ok(());
        }
        match path.file_name().strip_prefix(WHITEOUT_PREFIX).unwrap_or_default() {
            "" | "." | ".." => wrong("it names nothing"),
            name if name.starts_with(WHITEOUT_PREFIX) => wrong("it names another mark"),
            name => {
                self.deleted.insert(parent.join(name)?);
                Ok(())
            }
        }
    }
}
