//! What the layers left, or what lies in a directory: paths, and for each what was kept of it. Cataloguers read this.

use std::collections::BTreeMap;

use calypte_base::{Digest, TreePath};
use calypte_image::read::{ImageFileKind, Listing};

use super::collect::{Collector, Facts, Hashes};
use super::kind::Kind;

/// Most links that a path may lead through, as the kernel has it.
const MOST_LINKS: usize = 40;

/// Most directories whose places are remembered.
const MOST_KNOWN: usize = 200_000;

/// A regular file.
#[derive(Debug, Clone)]
pub(super) struct TreeFile {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) executable: bool,
    /// The layer blob that it lies in.
    pub(super) layer: Option<Digest>,
    /// Of a hard link: the name under which its bytes passed.
    pub(super) hard_link: Option<TreePath>,
}

/// A root file system, as far as it matters here.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<TreePath, TreeFile>,
    links: BTreeMap<TreePath, String>,
    collected: Collector,
    /// What is there and could not be read.
    pub(super) gaps: Vec<String>,
}

impl Tree {
    /// Of an image, whose layers are these blobs.
    pub(super) fn of_listing(listing: Listing, layers: &[Digest], collected: Collector) -> Self {
        let mut files = BTreeMap::new();
        let mut links = BTreeMap::new();
        for (path, file) in listing.files {
            match file.kind {
                ImageFileKind::File { digest, size, hard_link } => {
                    let layer = layers.get(file.layer).copied();
                    let executable = file.mode & 0o111 != 0;
                    files.insert(path, TreeFile { digest, size, executable, layer, hard_link });
                }
                ImageFileKind::Symlink(target) => _ = links.insert(path, target),
                _ => {}
            }
        }
        Self::new(files, links, collected, Vec::new())
    }

    pub(super) fn new(
        files: BTreeMap<TreePath, TreeFile>,
        links: BTreeMap<TreePath, String>,
        collected: Collector,
        gaps: Vec<String>,
    ) -> Self {
        let mut tree = Self { files, links, collected, gaps };
        let too_large = |path: &TreePath| tree.collected.too_large.contains(path);
        let unread = tree.files.keys().filter(|path| match Kind::of(path) {
            // Without it fewer fixes are known, and no package less.
            Some(Kind::Documentation) => false,
            Some(_) => tree.text(path.as_str()).is_none(),
            None => too_large(path),
        });
        let gap = |path: &TreePath| {
            let reason = if too_large(path) { "is too large" } else { "is a name of another file" };
            format!("{path} {reason} and was not read")
        };
        let unread: Vec<String> = unread.map(gap).collect();
        tree.gaps.extend(unread);
        tree
    }

    /// The bytes of a file that was kept.
    pub(super) fn text(&self, path: &str) -> Option<&[u8]> {
        let (path, file) = self.files.get_key_value(path)?;
        let kept = self.collected.kept.get(file.hard_link.as_ref().unwrap_or(path))?;
        (kept.digest == file.digest).then_some(&kept.bytes)
    }

    /// The files below a directory.
    pub(super) fn below<'t>(
        &'t self,
        directory: &'t str,
    ) -> impl Iterator<Item = (&'t TreePath, &'t TreeFile)> {
        let inside = move |path: &TreePath| {
            path.as_str().strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        // Names that only begin alike (`a-b` beside `a`) sort between the directory and what is in it.
        let begins = move |path: &TreePath| path.as_str().starts_with(directory);
        let range =
            self.files.range::<str, _>((std::ops::Bound::Included(directory), std::ops::Bound::Unbounded));
        range.take_while(move |(path, _)| begins(path)).filter(move |(path, _)| inside(path))
    }

    /// The files of a kind.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &TreePath> {
        self.files.keys().filter(move |path| Kind::of(path) == Some(kind))
    }

    /// The binaries and archives that tell something, each under its first name alone.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&TreePath, &Facts)> {
        let first = self.files.iter().filter(|(_, file)| file.hard_link.is_none());
        first.filter_map(|(path, file)| Some((path, self.collected.facts.get(&file.digest)?)))
    }

    /// Further hashes of a content.
    pub(super) fn hashes(&self, digest: &Digest) -> Hashes {
        self.collected.hashes.get(digest).cloned().unwrap_or_default()
    }
}

/// Finds the places that names mean where directories are links (`/lib` → `usr/lib`).
#[derive(Debug)]
pub(super) struct Resolver<'t> {
    tree: &'t Tree,
    /// Directories that were asked for.
    known: BTreeMap<String, Option<String>>,
}

impl<'t> Resolver<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self { tree, known: BTreeMap::new() }
    }

    /// The regular file that a name means; the last part of it is no link.
    pub(super) fn file(&mut self, name: &str) -> Option<&'t TreePath> {
        let name = name.trim_start_matches('/');
        if let Some((path, _)) = self.tree.files.get_key_value(name) {
            return Some(path);
        }
        let (directory, last) = name.rsplit_once('/')?;
        let place = self.directory(directory)?;
        // Where the directory is no link, the file was looked for already.
        if place == directory {
            return None;
        }
        let path = if place.is_empty() { last.to_owned() } else { format!("{place}/{last}") };
        self.tree.files.get_key_value(path.as_str()).map(|(path, _)| path)
    }

    /// The place of a directory, all links followed.
    pub(super) fn directory(&mut self, name: &str) -> Option<String> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let place = self.follow(name);
        if self.known.len() == MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(name.to_owned(), place.clone());
        place
    }

    fn follow(&self, name: &str) -> Option<String> {
        let parts = |text: &str| text.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
        let mut pending = parts(name);
        let (mut place, mut links) = (String::new(), 0);
        while let Some(part) = pending.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    place.truncate(place.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let before = place.len();
            if !place.is_empty() {
                place.push('/');
            }
            place.push_str(&part);
            let Some(target) = self.tree.links.get(place.as_str()) else { continue };
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            place.truncate(if target.starts_with('/') { 0 } else { before });
            pending.extend(parts(target));
        }
        Some(place)
    }
}
