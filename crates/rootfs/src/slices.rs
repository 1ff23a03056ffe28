//! Named sets of files that an image leaves out: documentation, manual pages, translations.
//!
//! A path goes when one of the chosen slices drops it, by a pattern or by what its package marks it as, and does not
//! keep it. Copyright files and licences stay whatever a slice says, and so do the links in `/usr/share/doc` by which
//! one package's documentation is another's: licences must travel with the files, and scanners read them there. A
//! directory goes when that leaves it empty, unless a link leads to it.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_definition::nearest;
use calypte_universe::rules::{Marked, Slices};
use serde::Serialize;

use crate::globs::{GlobError, Globs};
use crate::package::{Mark, UnpackedPackage};
use crate::tree::{FileTree, Node, NodeKind, Owner};

/// What no slice drops: Debian's licence texts.
pub const ALWAYS_KEPT: &str = "usr/share/doc/*/copyright";

/// What no slice drops either, beside the files that a package marks as its licence: Fedora's texts.
pub const LICENSES: &str = "usr/share/licenses/**";

const DOCUMENTATION: &str = "usr/share/doc";

/// Why the slices cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    /// A slice that the universe does not have.
    #[error("there is no slice `{name}` in this universe (there are: {})", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// All names.
        known: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// A pattern of the rule table is malformed.
    #[error("slice `{slice}`: {source}")]
    Pattern {
        /// The slice.
        slice: String,
        /// What is wrong.
        source: GlobError,
    },
}

impl SliceError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest, .. } => nearest.as_ref().map(|name| format!("did you mean `{name}`?")),
            Self::Pattern { .. } => None,
        }
    }
}

/// What one slice took out of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Number of files, links and directories.
    pub entries: u64,
    /// Sum of the sizes of the files in bytes.
    pub size: u64,
}

/// Drops the chosen slices from the tree and says how much each took. What several drop counts for the first by name.
///
/// # Errors
/// When a slice is unknown or its patterns are malformed; then the tree is as it was.
pub fn drop(
    tree: &mut FileTree,
    packages: &[UnpackedPackage],
    slices: &Slices,
    chosen: &BTreeSet<String>,
) -> Result<BTreeMap<String, Dropped>, SliceError> {
    let patterns = chosen.iter().map(|name| Patterns::read(slices, name)).collect::<Result<Vec<_>, _>>()?;
    let marks = marks(tree, packages);
    let mut doomed: Vec<(TreePath, &str, u64)> = Vec::new();
    for (path, node) in tree.iter().filter(|(path, _)| !path.is_root()) {
        let size = match &node.kind {
            NodeKind::Directory => continue,
            NodeKind::File(content) => content.size,
            _ => 0,
        };
        let mark = marks.get(path).copied();
        let slice = patterns.iter().find(|patterns| patterns.drops(path, mark));
        if let Some(slice) = slice.filter(|_| !leads_to_copyright(tree, path, &node.kind)) {
            doomed.push((path.clone(), slice.name, size));
        }
    }
    let mut dropped: BTreeMap<String, Dropped> =
        chosen.iter().map(|name| (name.clone(), Dropped::default())).collect();
    let mut emptied: BTreeMap<TreePath, &str> = BTreeMap::new();
    for (path, _) in tree.iter().filter(|(_, node)| node.is_directory()) {
        if let Some(slice) = patterns.iter().find(|patterns| patterns.drops(path, None)) {
            emptied.insert(path.clone(), slice.name);
        }
    }
    for (path, slice, size) in doomed {
        tree.remove(&path);
        let mut above = path.parent();
        while let Some(directory) = above {
            above = directory.parent();
            emptied.entry(directory).or_insert(slice);
        }
        count(&mut dropped, slice, size);
    }
    let led_to = led_to(tree);
    // Backwards, so that a directory is looked at after what lies in it.
    for (path, slice) in emptied.into_iter().rev() {
        if !led_to.contains(&path) && tree.below(&path).next().is_none() && tree.remove(&path) {
            count(&mut dropped, slice, 0);
        }
    }
    Ok(dropped)
}

/// Where links lead: an empty directory must stay there, as `/usr/bin` must for `/bin`.
fn led_to(tree: &FileTree) -> BTreeSet<TreePath> {
    let target = |(path, node): (&TreePath, &Node)| match &node.kind {
        NodeKind::Symlink(target) => path.resolve_link(target).ok(),
        _ => None,
    };
    tree.iter().filter_map(target).collect()
}

fn count(dropped: &mut BTreeMap<String, Dropped>, slice: &str, size: u64) {
    if let Some(dropped) = dropped.get_mut(slice) {
        dropped.entries += 1;
        dropped.size += size;
    }
}

/// Whether this is the documentation directory of a package that shares another's.
fn leads_to_copyright(tree: &FileTree, path: &TreePath, kind: &NodeKind) -> bool {
    let in_documentation = path.parent().is_some_and(|parent| parent.as_str() == DOCUMENTATION);
    if !matches!(kind, NodeKind::Symlink(_)) || !in_documentation {
        return false;
    }
    let copyright = path.join("copyright").map(|copyright| tree.resolve(&copyright));
    matches!(copyright, Ok(Ok(Some(_))))
}

/// What packages mark files as, by the paths at which these came to lie. A path that another package took over is
/// that package's to mark.
fn marks(tree: &FileTree, packages: &[UnpackedPackage]) -> BTreeMap<TreePath, Mark> {
    let mut marks = BTreeMap::new();
    for package in packages {
        let owner = Owner::Package(package.name.clone());
        for entry in &package.entries {
            let Some(mark) = entry.mark else { continue };
            // A directory above may be a link that another package ships, and then the file lies behind it.
            let parent = entry.path.parent().and_then(|parent| tree.resolve(&parent).ok().flatten());
            let real = parent.and_then(|parent| parent.join(entry.path.file_name()).ok());
            let Some(path) = real.filter(|path| tree.get(path).is_some_and(|node| node.owner == owner))
            else {
                continue;
            };
            marks.insert(path, mark);
        }
    }
    marks
}

/// The patterns of one slice.
struct Patterns<'a> {
    name: &'a str,
    /// Whether it drops what packages mark as documentation.
    documentation: bool,
    drop: Globs,
    keep: Globs,
}

impl<'a> Patterns<'a> {
    fn read(slices: &Slices, name: &'a str) -> Result<Self, SliceError> {
        let slice = slices.0.get(name).ok_or_else(|| SliceError::Unknown {
            name: name.to_owned(),
            known: slices.0.keys().cloned().collect(),
            nearest: nearest(name, slices.0.keys().map(String::as_str)).map(str::to_owned),
        })?;
        let read = |patterns: &[String], more: &[&'static str]| {
            let patterns = patterns.iter().map(String::as_str).chain(more.iter().copied());
            Globs::new(patterns).map_err(|source| SliceError::Pattern { slice: name.to_owned(), source })
        };
        let documentation = slice.marked.contains(&Marked::Doc);
        let (drop, keep) = (read(&slice.drop, &[])?, read(&slice.keep, &[ALWAYS_KEPT, LICENSES])?);
        Ok(Self { name, documentation, drop, keep })
    }

    fn drops(&self, path: &TreePath, mark: Option<Mark>) -> bool {
        let marked = self.documentation && mark == Some(Mark::Doc);
        (marked || self.drop.matches(path)) && mark != Some(Mark::License) && !self.keep.matches(path)
    }
}

#[cfg(test)]
mod tests;
