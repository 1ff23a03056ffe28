//! Directories that are links: where one package brings a link to a directory (Fedora's `filesystem` makes `/usr/sbin` one
//! to `bin`), what other packages have below it goes to where the link leads, as dpkg and rpm write through such links.
//!
//! Nothing is written through a link here: paths are rewritten before there is a tree. Only a link counts whose target
//! is a directory of some package, or has something below it; any other stays what it is, and what lies below it an
//! error.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;

use super::{Disagreement, MergeError};
use crate::package::{Description, UnpackedEntry, UnpackedPackage};
use crate::tree::NodeKind;

/// Links that follow upon each other, as the kernel has it.
const DEPTH: usize = 40;

/// Rewrites the paths of all packages that lie below links to directories.
///
/// # Errors
/// When that gives a package two things at one path.
pub fn follow(packages: &mut [UnpackedPackage]) -> Result<(), MergeError> {
    let links = links(packages);
    if links.is_empty() {
        return Ok(());
    }
    for package in packages {
        let moved = |path: &TreePath| real(&links, path);
        let below =
            |entry: &UnpackedEntry| moved(&entry.path) != entry.path || links.contains_key(&entry.path);
        if !package.entries.iter().any(below) {
            continue;
        }
        let name = package.name.clone();
        package.entries = rewritten(&links, &name, std::mem::take(&mut package.entries))?;
        package.conffiles.iter_mut().for_each(|path| *path = moved(path));
        package.conffiles.sort();
        if let Description::Rpm(rpm) = &mut package.description {
            rpm.files.iter_mut().for_each(|path| *path = moved(path));
        }
    }
    Ok(())
}

/// The links to directories that something lies below.
fn links(packages: &[UnpackedPackage]) -> BTreeMap<TreePath, TreePath> {
    let entries = || packages.iter().flat_map(|package| &package.entries);
    let mut links: BTreeMap<TreePath, TreePath> = BTreeMap::new();
    for entry in entries() {
        if let NodeKind::Symlink(target) = &entry.node.kind
            && let Ok(target) = entry.path.resolve_link(target)
            && target != entry.path
            && !target.starts_with(&entry.path)
        {
            links.insert(entry.path.clone(), target);
        }
    }
    let mut directories: BTreeSet<TreePath> = BTreeSet::new();
    let mut used: BTreeSet<TreePath> = BTreeSet::new();
    for entry in entries() {
        if entry.node.is_directory() {
            directories.insert(entry.path.clone());
            if links.contains_key(&entry.path) {
                used.insert(entry.path.clone());
            }
        }
        let mut above = entry.path.parent();
        while let Some(parent) = above {
            if links.contains_key(&parent) {
                used.insert(parent.clone());
            }
            above = parent.parent();
            if !directories.insert(parent) {
                break;
            }
        }
    }
    let all = links.clone();
    links.retain(|link, _| used.contains(link) && directories.contains(&real(&all, link)));
    links
}

/// Where a path leads when links are followed.
fn real(links: &BTreeMap<TreePath, TreePath>, path: &TreePath) -> TreePath {
    let mut path = path.clone();
    for _ in 0..DEPTH {
        let Some((link, target)) = nearest(links, &path) else { break };
        let rest = path.as_str().get(link.as_str().len()..).unwrap_or_default().trim_start_matches('/');
        match target.join(rest) {
            Ok(moved) => path = moved,
            Err(_) => break,
        }
    }
    path
}

/// The link that is the path or lies above it, the topmost first.
fn nearest<'l>(
    links: &'l BTreeMap<TreePath, TreePath>,
    path: &TreePath,
) -> Option<(&'l TreePath, &'l TreePath)> {
    let mut found = links.get_key_value(path);
    let mut above = path.parent();
    while let Some(parent) = above {
        found = links.get_key_value(&parent).or(found);
        above = parent.parent();
    }
    found
}

/// The entries at their new paths. The links themselves stay where they are.
fn rewritten(
    links: &BTreeMap<TreePath, TreePath>,
    package: &str,
    entries: Vec<UnpackedEntry>,
) -> Result<Vec<UnpackedEntry>, MergeError> {
    let mut placed: BTreeMap<TreePath, (bool, UnpackedEntry)> = BTreeMap::new();
    for mut entry in entries {
        let itself = matches!(entry.node.kind, NodeKind::Symlink(_)) && links.contains_key(&entry.path);
        // A link below a link goes where that leads, and is not followed itself.
        let path = if itself {
            let parent = entry.path.parent().map(|parent| real(links, &parent));
            parent
                .and_then(|parent| parent.join(entry.path.file_name()).ok())
                .unwrap_or_else(|| entry.path.clone())
        } else {
            real(links, &entry.path)
        };
        let moved = path != entry.path;
        if let NodeKind::HardLink(target) = &mut entry.node.kind {
            *target = real(links, target);
        }
        if moved && leads_to_itself(&entry, &path) {
            continue;
        }
        entry.path = path.clone();
        match placed.get(&path) {
            None => {
                placed.insert(path, (moved, entry));
            }
            Some((_, other)) if other.node.is_directory() && entry.node.is_directory() => {
                if !moved {
                    placed.insert(path, (moved, entry));
                }
            }
            Some(_) => {
                let (first, second) = (package.to_owned(), package.to_owned());
                return Err(MergeError::Conflict { path, first, second, disagreement: Disagreement::Kind });
            }
        }
    }
    Ok(placed.into_values().map(|(_, entry)| entry).collect())
}

/// Whether a link that stood for a file in the other directory would now stand at that file's place.
fn leads_to_itself(entry: &UnpackedEntry, path: &TreePath) -> bool {
    let NodeKind::Symlink(target) = &entry.node.kind else { return false };
    entry.path.resolve_link(target).is_ok_and(|target| target == *path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, path};

    fn paths(package: &UnpackedPackage) -> Vec<&str> {
        package.entries.iter().map(|entry| entry.path.as_str()).collect()
    }

    #[test]
    fn what_lies_below_a_link_goes_to_its_target() {
        let filesystem = Fixture::new("filesystem").directory("usr/bin").link("usr/sbin", "bin").0;
        let tool = Fixture::new("tool")
            .directory("usr/sbin")
            .file("usr/sbin/tool", "tool")
            .link("usr/sbin/other", "../bin/other")
            .file("usr/bin/other", "other")
            .0;
        let mut packages = [filesystem, tool];
        follow(&mut packages).unwrap();
        assert_eq!(paths(&packages[0]), ["usr/bin", "usr/sbin"]);
        assert_eq!(paths(&packages[1]), ["usr/bin", "usr/bin/other", "usr/bin/tool"]);
        assert_eq!(packages[1].entries[1].node.kind.noun(), "a file");
        let tree = super::super::merge(&packages, calypte_base::Epoch(0)).unwrap();
        assert!(tree.get(&path("usr/bin/tool")).is_some());
    }

    #[test]
    fn a_link_to_nowhere_is_no_directory() {
        let evil = Fixture::new("a").link("usr/lib/x", "../../etc/nowhere").0;
        let other = Fixture::new("b").file("usr/lib/x/passwd", "x").0;
        let mut packages = [evil, other];
        follow(&mut packages).unwrap();
        assert_eq!(paths(&packages[1]), ["usr/lib/x/passwd"]);
        assert!(super::super::merge(&packages, calypte_base::Epoch(0)).is_err());
    }

    #[test]
    fn two_files_cannot_come_to_lie_at_one_path() {
        let filesystem = Fixture::new("filesystem").directory("usr/bin").link("usr/sbin", "bin").0;
        let tool = Fixture::new("tool").file("usr/bin/x", "one").file("usr/sbin/x", "two").0;
        let mut packages = [filesystem, tool];
        assert!(matches!(follow(&mut packages), Err(MergeError::Conflict { .. })));
    }
}
