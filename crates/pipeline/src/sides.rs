//! The two sides of `calypte diff`, read from wherever they lie: a layout, an archive, a lock, or the catalog.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use calypte_image::read::{ImageFileKind, Layout, LayoutImage};
use calypte_image::read_layout;
use calypte_resolve::Lock;
use calypte_rootfs::{Node, NodeKind, records};

use crate::build::BuildRequest;
use crate::diff::{FileState, Side};
use crate::factory::Factory;

impl Side {
    /// Reads a side that lies in files: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or `LOCK-FILE[#IMAGE]`; nothing if it
    /// is none of these, which leaves the catalog.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(text: &str, architecture: Architecture) -> Result<Option<Self>> {
        if let Some(path) = layout_path(text) {
            return of_layout(text, path, architecture).map(Some);
        }
        let (path, key) = text.split_once('#').map_or((text, None), |(path, key)| (path, Some(key)));
        if path.ends_with(".lock") {
            return of_lock(text, Path::new(path), key, architecture).map(Some);
        }
        if text.starts_with("docker-archive:") {
            bail!(
                "`{text}` cannot be read back; diff reads oci:DIR, oci-archive:FILE, locks, and images of the catalog"
            );
        }
        Ok(None)
    }
}

impl Factory<'_> {
    /// Reads a side: one that lies in files ([`Side::read`]), or an image of the catalog, which is built from its lock.
    ///
    /// # Errors
    /// When it is none of these, or cannot be read.
    pub fn side(&self, text: &str, universe: &str, architecture: Architecture) -> Result<Side> {
        match Side::read(text, architecture)? {
            Some(side) => Ok(side),
            None => self.of_catalog(text, universe, architecture),
        }
    }

    fn of_catalog(&self, text: &str, universe: &str, architecture: Architecture) -> Result<Side> {
        let image = self.image_id(text, universe)?;
        let rootfs = self.rootfs(&image, universe, architecture)?;
        let request = BuildRequest {
            image,
            universe: universe.to_owned(),
            architectures: vec![architecture],
            layers: self.layer_options(),
        };
        let size = self.build(&request)?.images.iter().map(|image| image.size).sum();
        let packages =
            rootfs.packages.iter().map(|package| (package.name.clone(), package.version.clone())).collect();
        let files = rootfs.tree.iter().map(|(path, node)| (path.clone(), state_of_node(node))).collect();
        Ok(Side { name: text.to_owned(), packages, files: Some(files), size })
    }
}

fn of_lock(name: &str, path: &Path, key: Option<&str>, architecture: Architecture) -> Result<Side> {
    let lock = Lock::parse(&fs_err::read(path)?).with_context(|| path.display().to_string())?;
    let known: Vec<&str> = lock.images.keys().map(String::as_str).collect();
    if let Some(key) = key.filter(|key| !known.contains(key)) {
        bail!("{} holds no image `{key}`; it holds {}", path.display(), known.join(", "));
    }
    let all = lock.packages.get(&architecture).into_iter().flatten();
    let packages: Vec<_> = all.filter(|package| key.is_none_or(|key| package.r#in.contains(key))).collect();
    Ok(Side {
        name: name.to_owned(),
        packages: packages.iter().map(|package| (package.id.clone(), package.version.clone())).collect(),
        files: None,
        size: packages.iter().map(|package| package.size).sum(),
    })
}

fn of_layout(name: &str, path: &str, architecture: Architecture) -> Result<Side> {
    let (_, layout, image) = layout_image(name, path, architecture)?;
    let listing = layout.files(&image, &records::is_record)?;
    Ok(Side {
        name: name.to_owned(),
        packages: records::packages(&listing.contents).with_context(|| name.to_owned())?,
        files: Some(listing.files.iter().map(|(path, file)| (path.clone(), state_of_file(file))).collect()),
        size: image.manifest.layers.iter().map(|layer| layer.size).sum(),
    })
}

/// What stands after the form of `oci:DIR[:TAG]` and `oci-archive:FILE[:TAG]`.
pub(crate) fn layout_path(text: &str) -> Option<&str> {
    text.strip_prefix("oci:").or_else(|| text.strip_prefix("oci-archive:"))
}

/// Opens the layout of `DIR[:TAG]` or `FILE[:TAG]`, and finds the image in it; `name` is what the user typed.
pub(crate) fn layout_image(
    name: &str,
    path: &str,
    architecture: Architecture,
) -> Result<(PathBuf, Layout, LayoutImage)> {
    let (path, tag, layout) = open_layout(path)?;
    let image = choose(&layout, tag, architecture).with_context(|| name.to_owned())?.clone();
    Ok((path, layout, image))
}

/// Opens the layout of `DIR[:TAG]` or `FILE[:TAG]`; its path, and the tag.
pub(crate) fn open_layout(path: &str) -> Result<(PathBuf, Option<&str>, Layout)> {
    let (path, tag) = split_tag(path, |path| Path::new(path).exists());
    Ok((PathBuf::from(path), tag, read_layout(Path::new(path))?))
}

/// Parts a path from the tag behind it. Both may hold colons (`images:2/nginx`, `n.tar:localhost:5000/nginx:1`): what is there
/// decides.
fn split_tag(text: &str, exists: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    if exists(text) {
        return (text, None);
    }
    let parts =
        text.match_indices(':').rev().filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)));
    match parts.clone().find(|(path, _)| exists(path)).or_else(|| parts.clone().next()) {
        Some((path, tag)) => (path, Some(tag)),
        None => (text, None),
    }
}

fn choose<'l>(layout: &'l Layout, tag: Option<&str>, architecture: Architecture) -> Result<&'l LayoutImage> {
    let named = layout.images().iter().filter(|image| tag.is_none() || image.name.as_deref() == tag);
    let mut fitting: Vec<&LayoutImage> =
        named.filter(|image| image.config.architecture == architecture.oci()).collect();
    // Under several tags it is still one image.
    let mut seen = BTreeSet::new();
    fitting.retain(|image| seen.insert(image.descriptor.digest));
    match fitting.as_slice() {
        [image] => Ok(image),
        [] => bail!(
            "no image for {architecture}{}",
            tag.map_or_else(String::new, |tag| format!(" under the tag `{tag}`"))
        ),
        several => {
            let names: Vec<&str> = several.iter().filter_map(|image| image.name.as_deref()).collect();
            bail!("holds several images for {architecture}; name one of the tags {}", names.join(", "))
        }
    }
}

fn state_of_node(node: &Node) -> FileState {
    let (kind, size) = match &node.kind {
        NodeKind::Directory => ("directory".to_owned(), 0),
        NodeKind::File(content) => (format!("file {}", content.digest), content.size),
        NodeKind::Symlink(target) => (format!("link {target}"), 0),
        NodeKind::HardLink(target) => (format!("hard link {target}"), 0),
        NodeKind::CharDevice(major, minor) => (format!("device {major}:{minor}"), 0),
        NodeKind::Fifo => ("pipe".to_owned(), 0),
    };
    FileState { state: state(&kind, node.mode, node.uid, node.gid), size }
}

fn state_of_file(file: &calypte_image::read::ImageFile) -> FileState {
    let (kind, size) = match &file.kind {
        ImageFileKind::Directory => ("directory".to_owned(), 0),
        ImageFileKind::File { digest, size, hard_link: None } => (format!("file {digest}"), *size),
        ImageFileKind::File { hard_link: Some(target), .. } => (format!("hard link {target}"), 0),
        ImageFileKind::Symlink(target) => (format!("link {target}"), 0),
        ImageFileKind::CharDevice(major, minor) => (format!("device {major}:{minor}"), 0),
        ImageFileKind::BlockDevice(major, minor) => (format!("block device {major}:{minor}"), 0),
        ImageFileKind::Fifo => ("pipe".to_owned(), 0),
    };
    FileState { state: state(&kind, file.mode, file.uid, file.gid), size }
}

fn state(kind: &str, mode: u32, uid: u32, gid: u32) -> String {
    format!("{kind} {mode:o} {uid}:{gid}")
}

#[cfg(test)]
mod tests {
    use super::split_tag;

    #[test]
    fn what_is_there_parts_a_path_from_its_tag() {
        let there = |path: &str| ["a", "a:b", "n.tar"].contains(&path);
        for (text, expected) in [
            ("a", ("a", None)),
            ("a:b", ("a:b", None)),
            ("a:c", ("a", Some("c"))),
            ("a:b:c", ("a:b", Some("c"))),
            ("n.tar:localhost:5000/x:1", ("n.tar", Some("localhost:5000/x:1"))),
            ("none:c", ("none", Some("c"))),
            ("none", ("none", None)),
        ] {
            assert_eq!(split_tag(text, there), expected, "{text}");
        }
    }
}
