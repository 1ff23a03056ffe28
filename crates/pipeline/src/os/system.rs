//! A host's image as its rules look at it: every path with its attributes, the texts that rules read, and where secrets seem
//! to be. Made of a root that was just assembled, or of layers of whatever origin.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, Digest, TreePath};
use calypte_definition::ImageId;
use calypte_image::read::{FileVisitor, ImageFile, ImageFileKind, LayerCheck};
use calypte_rootfs::{NodeKind, Rootfs};

use super::secrets;
use crate::factory::Factory;
use crate::sides;

/// The most bytes of a file that are looked at.
const LOOKED_AT: usize = 256 * 1024;

/// The most bytes of texts that are kept, all together.
const KEPT: usize = 64 * 1024 * 1024;

/// A host's image.
#[derive(Debug, Clone, Default)]
pub struct System {
    /// Every path.
    pub files: BTreeMap<TreePath, ImageFile>,
    /// The texts that rules read.
    pub texts: BTreeMap<TreePath, String>,
    /// The image's labels; none of a bare root.
    pub labels: Option<BTreeMap<String, String>>,
    /// What seems to be a secret: the file's digest, and what it looks like.
    pub secrets: BTreeMap<Digest, &'static str>,
}

impl Factory<'_> {
    /// An image of the catalog, as rules of hosts look at it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn system(&self, image: &ImageId, universe: &str, architecture: Architecture) -> Result<System> {
        let labels = self.images.image(image)?.run.labels.clone();
        System::of_root(&self.rootfs(image, universe, architecture)?, labels)
    }
}

impl System {
    /// A root that was just assembled, with the labels that its image will have.
    ///
    /// # Errors
    /// When a file's bytes cannot be read.
    pub fn of_root(root: &Rootfs, labels: BTreeMap<String, String>) -> Result<Self> {
        let mut system = Self { labels: Some(labels), ..Self::default() };
        for (path, node) in root.tree.iter() {
            let kind = match &node.kind {
                NodeKind::Directory => ImageFileKind::Directory,
                NodeKind::File(content) => {
                    ImageFileKind::File { digest: content.digest, size: content.size, hard_link: None }
                }
                NodeKind::HardLink(target) => {
                    let content = root.tree.file(path).context("a hard link without a file")?;
                    let hard_link = Some(target.clone());
                    ImageFileKind::File { digest: content.digest, size: content.size, hard_link }
                }
                NodeKind::Symlink(target) => ImageFileKind::Symlink(target.clone()),
                NodeKind::CharDevice(major, minor) => ImageFileKind::CharDevice(*major, *minor),
                NodeKind::Fifo => ImageFileKind::Fifo,
            };
            if let NodeKind::File(content) = &node.kind
                && content.size <= LOOKED_AT as u64
            {
                system.look(path, &content.digest, &root.contents.read(&content.digest)?);
            }
            let (mode, uid, gid, mtime) = (node.mode, node.uid, node.gid, node.mtime);
            let xattrs = node.xattrs.clone();
            system.files.insert(path.clone(), ImageFile { kind, mode, uid, gid, mtime, xattrs, layer: 0 });
        }
        Ok(system)
    }

    /// An image of a layout or an archive: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_layout(text: &str, architecture: Architecture) -> Result<Self> {
        let path = text.split_once(':').map_or(text, |(_, path)| path);
        let (_, layout, image) = sides::layout_image(text, path, architecture)?;
        let mut looking = Looking::default();
        let listing =
            layout.visit(&image, &mut looking, LayerCheck::Blob).with_context(|| text.to_owned())?;
        let mut system = looking.system;
        system.labels =
            Some(image.config.config.as_ref().map(|config| config.labels.clone()).unwrap_or_default());
        // What a later layer took away or replaced is no text of the image.
        let digest = |path: &TreePath| match listing.files.get(path).map(|file| &file.kind) {
            Some(ImageFileKind::File { digest, .. }) => Some(*digest),
            _ => None,
        };
        for (path, found) in looking.texts {
            if digest(&path) == Some(found.0) {
                system.texts.insert(path, found.1);
            }
        }
        system.files = listing.files;
        Ok(system)
    }

    /// The node at a path that is known to be one.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&ImageFile> {
        self.files.get(&TreePath::new(path).ok()?)
    }

    /// The paths strictly below a directory.
    pub fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a TreePath, &'a ImageFile)> {
        let inside = move |path: &TreePath| {
            path.as_str().strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        self.files.iter().filter(move |(path, _)| inside(path))
    }

    /// The texts directly in a directory that have this ending.
    pub fn texts_in<'a>(
        &'a self,
        directory: &'a str,
        ending: &'a str,
    ) -> impl Iterator<Item = (&'a TreePath, &'a str)> {
        let wanted = move |path: &TreePath| {
            path.parent().is_some_and(|parent| parent.as_str() == directory)
                && path.as_str().ends_with(ending)
        };
        self.texts.iter().filter(move |(path, _)| wanted(path)).map(|(path, text)| (path, text.as_str()))
    }

    /// A text, links not followed.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        Some(self.texts.get(&TreePath::new(path).ok()?)?.as_str())
    }

    /// A value of os-release, which may lie in `/etc` or `/usr/lib`.
    #[must_use]
    pub fn os_release(&self, key: &str) -> Option<String> {
        let text = self.text("etc/os-release").or_else(|| self.text("usr/lib/os-release"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    }

    /// Notes what is worth knowing of a file.
    fn look(&mut self, path: &TreePath, digest: &Digest, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Some(secret) = secrets::find(path.as_str(), text) {
            self.secrets.insert(*digest, secret);
        }
        if is_read(path) {
            self.texts.insert(path.clone(), text.to_owned());
        }
    }
}

/// Whether a rule reads this file.
fn is_read(path: &TreePath) -> bool {
    const FILES: [&str; 9] = [
        "etc/group",
        "etc/machine-id",
        "etc/os-release",
        "etc/passwd",
        "etc/shadow",
        "usr/lib/group",
        "usr/lib/os-release",
        "usr/lib/ostree/prepare-root.conf",
        "usr/lib/passwd",
    ];
    const DIRECTORIES: [&str; 5] = [
        "etc/sysusers.d",
        "etc/tmpfiles.d",
        "usr/lib/bootc/kargs.d",
        "usr/lib/sysusers.d",
        "usr/lib/tmpfiles.d",
    ];
    FILES.contains(&path.as_str())
        || path.parent().is_some_and(|parent| DIRECTORIES.contains(&parent.as_str()))
}

/// Looks at each file of an image as it passes by.
#[derive(Debug, Default)]
struct Looking {
    system: System,
    texts: BTreeMap<TreePath, (Digest, String)>,
    bytes: Vec<u8>,
    kept: usize,
    /// Whether the file is small enough to be looked at.
    small: bool,
}

impl FileVisitor for Looking {
    fn start(&mut self, _: &TreePath, size: u64) {
        self.bytes.clear();
        self.small = size <= LOOKED_AT as u64;
    }

    fn part(&mut self, bytes: &[u8]) {
        if self.small {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, path: &TreePath, digest: &Digest) {
        if !self.small {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.system.look(path, digest, &bytes);
        if let Some(text) = self.system.texts.remove(path)
            && self.kept + text.len() <= KEPT
        {
            self.kept += text.len();
            self.texts.insert(path.clone(), (*digest, text));
        }
        self.bytes = bytes;
    }
}
