//! Directories that are links: where one package brings a link to a directory (Fedora's `filesystem` makes `/usr/sbin`
//! one to `bin`), what other packages have below it goes to where the link leads, as dpkg and rpm write through such
//! links.
//!
//! Nothing is written through a link here: paths are rewritten before there is a tree. A link counts whose target is a
//! directory of some package, or has something below it, when all links that already count are followed; so one link
//! may lie below another. Two packages must not disagree about where it leads. Any other link stays what it is, and
//! what lies below it is an error.
//!
//! - A directory at the very place of such a link is the link's target, if it is an ordinary one (root's, 0755): a
//!   package with it only wants some directory there. One with another mode or owner would have them dropped without
//!   a word, or give them to the target, and is an error.
//! - A link that a package has to stand for its file in the other directory (`/usr/sbin/x` to `../bin/x`) would come to
//!   stand at that file's place, and is left out.
//! - What the package has twice then, must be the same; directories may differ if one is ordinary.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;

use super::{MergeError, plain};
use crate::package::{Description, UnpackedEntry, UnpackedPackage};
use crate::tree::{Node, NodeKind};
use crate::{aliases, hard_links};

/// Links that follow upon each other, as the kernel has it.
const DEPTH: usize = 40;

/// Rewrites the paths of all packages that lie below links to directories. What is no more where an RPM package's
/// header says loses its place in the list of its files.
///
/// # Errors
/// When that gives a package two things at one path, or a directory of its own kind is where another has a link.
pub fn follow(packages: &mut [UnpackedPackage]) -> Result<(), MergeError> {
    let links = Links::of(packages);
    if links.0.is_empty() {
        return Ok(());
    }
    for package in packages {
        if !package.entries.iter().any(|entry| nearest(&links.0, &entry.path).is_some()) {
            continue;
        }
        let mut rewriting = Rewriting::new(&links, &package.name);
        for entry in std::mem::take(&mut package.entries) {
            rewriting.take(entry)?;
        }
        let places = rewriting.places;
        let place = |path: &TreePath| match places.get(path) {
            Some(place) => place.clone(),
            // A ghost, which no one puts there now.
            None => Some(links.place(path)),
        };
        package.conffiles = package.conffiles.iter().filter_map(place).collect();
        package.conffiles.sort();
        if let Description::Rpm(rpm) = &mut package.description {
            rpm.files.iter_mut().for_each(|file| *file = file.as_ref().and_then(place));
        }
        let mut entries = rewriting.placed;
        hard_links::order(&mut entries);
        package.entries = entries.into_values().collect();
    }
    Ok(())
}

/// Where a link leads, other links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    target: TreePath,
    /// The package that has it.
    owner: String,
}

/// The links to directories, each at the place where it really lies.
#[derive(Debug, Default)]
struct Links(BTreeMap<TreePath, Link>);

impl Links {
    /// The links that count: in each round those whose target is a directory once the links of the rounds before are
    /// followed. A link is looked at when none above it is left that might count.
    fn of(packages: &[UnpackedPackage]) -> Self {
        let directories = directories(packages);
        let mut links = Self::default();
        for _ in 0..DEPTH {
            let candidates = links.candidates(packages);
            let mut real = BTreeSet::new();
            let mut wanted = Vec::new();
            for directory in &directories {
                let directory = links.real(directory);
                match nearest(&candidates, &directory) {
                    Some((link, _)) => wanted.push(link),
                    None => drop(real.insert(directory)),
                }
            }
            let mut seen = BTreeSet::new();
            let mut found = BTreeSet::new();
            while let Some(link) = wanted.pop() {
                let Some(Link { target, .. }) = candidates.get(link).filter(|_| seen.insert(link)) else {
                    continue;
                };
                let target = links.real(target);
                match nearest(&candidates, &target) {
                    // Only once that one counts it is known where this one leads.
                    Some((next, _)) => wanted.push(next),
                    None if real.contains(&target) => drop(found.insert(link.clone())),
                    None => {}
                }
            }
            if found.is_empty() {
                break;
            }
            links.0.extend(candidates.into_iter().filter(|(path, _)| found.contains(path)));
        }
        links
    }

    /// The links that do not count yet, and about which all packages that have them agree.
    fn candidates(&self, packages: &[UnpackedPackage]) -> BTreeMap<TreePath, Link> {
        let mut candidates: BTreeMap<TreePath, Option<Link>> = BTreeMap::new();
        for package in packages {
            for entry in &package.entries {
                let NodeKind::Symlink(target) = &entry.node.kind else { continue };
                let path = self.place(&entry.path);
                let Ok(target) = path.resolve_link(target) else { continue };
                let target = if aliases::is_alias(&target) {
                    aliases::under_usr(&target)
                } else {
                    aliases::real_path(target)
                };
                if self.0.contains_key(&path) {
                    continue;
                }
                let link = Link { target, owner: package.name.clone() };
                match candidates.get_mut(&path) {
                    None => drop(candidates.insert(path, Some(link))),
                    Some(Some(other)) if other.target == link.target => {
                        other.owner = link.owner.min(std::mem::take(&mut other.owner));
                    }
                    Some(other) => *other = None,
                }
            }
        }
        candidates.into_iter().filter_map(|(path, link)| Some((path, link?))).collect()
    }

    /// Where a path leads when links are followed, itself too if it is one.
    fn real(&self, path: &TreePath) -> TreePath {
        let mut path = path.clone();
        for _ in 0..DEPTH {
            let Some((link, Link { target, .. })) = nearest(&self.0, &path) else { break };
            let rest = path.as_str().get(link.as_str().len()..).unwrap_or_default();
            match target.join(rest) {
                Ok(moved) => path = moved,
                // Longer than a path may be: it stays below the link, where nothing can be placed.
                Err(_) => break,
            }
        }
        path
    }

    /// Where something at this path really lies: as [`Links::real`], but not following itself.
    fn place(&self, path: &TreePath) -> TreePath {
        let parent = path.parent().map(|parent| self.real(&parent));
        parent.and_then(|parent| parent.join(path.file_name()).ok()).unwrap_or_else(|| path.clone())
    }
}

/// All paths that must be directories: of some package, or with something below them.
fn directories(packages: &[UnpackedPackage]) -> BTreeSet<TreePath> {
    let mut directories = BTreeSet::new();
    for entry in packages.iter().flat_map(|package| &package.entries) {
        let mut next = if entry.node.is_directory() { Some(entry.path.clone()) } else { entry.path.parent() };
        while let Some(directory) = next {
            next = directory.parent();
            if !directories.insert(directory) {
                break;
            }
        }
    }
    directories
}

/// The link that is the path or lies above it, the topmost first.
fn nearest<'l>(links: &'l BTreeMap<TreePath, Link>, path: &TreePath) -> Option<(&'l TreePath, &'l Link)> {
    let mut found = links.get_key_value(path);
    let mut above = path.parent();
    while let Some(parent) = above {
        found = links.get_key_value(&parent).or(found);
        above = parent.parent();
    }
    found
}

/// The entries of one package on the way to their new places.
struct Rewriting<'a> {
    links: &'a Links,
    package: &'a str,
    placed: BTreeMap<TreePath, UnpackedEntry>,
    /// For each old path its new one; none for what is not there any more.
    places: BTreeMap<TreePath, Option<TreePath>>,
}

impl<'a> Rewriting<'a> {
    const fn new(links: &'a Links, package: &'a str) -> Self {
        Self { links, package, placed: BTreeMap::new(), places: BTreeMap::new() }
    }

    fn take(&mut self, mut entry: UnpackedEntry) -> Result<(), MergeError> {
        let mut path = self.links.place(&entry.path);
        let mut place = Some(path.clone());
        if let Some(link) = self.links.0.get(&path).filter(|_| entry.node.is_directory()) {
            if !plain(&entry.node) {
                return Err(MergeError::DirectoryAtLink {
                    path,
                    package: self.package.to_owned(),
                    owner: link.owner.clone(),
                    target: link.target.clone(),
                });
            }
            path = self.links.real(&path);
            place = None;
        }
        let moved = path != entry.path;
        let needless = match &mut entry.node.kind {
            NodeKind::HardLink(file) => {
                *file = self.links.place(file);
                *file == path
            }
            NodeKind::Symlink(target) if moved => {
                let target = path.resolve_link(target).map(|target| self.links.real(&target));
                let itself = target.is_ok_and(|target| target == path);
                place = place.filter(|_| !itself);
                itself
            }
            _ => false,
        };
        let old = std::mem::replace(&mut entry.path, path);
        self.places.insert(old, place);
        if needless { Ok(()) } else { self.add(entry, moved) }
    }

    fn add(&mut self, entry: UnpackedEntry, moved: bool) -> Result<(), MergeError> {
        let same = |one: &Node, other: &Node| {
            (&one.kind, one.mode, one.uid, one.gid, &one.xattrs)
                == (&other.kind, other.mode, other.uid, other.gid, &other.xattrs)
        };
        let Some(other) = self.placed.get(&entry.path) else {
            self.placed.insert(entry.path.clone(), entry);
            return Ok(());
        };
        let directories = other.node.is_directory() && entry.node.is_directory();
        let (ordinary, other_ordinary) = (plain(&entry.node), plain(&other.node));
        if !same(&entry.node, &other.node) && !(directories && (ordinary || other_ordinary)) {
            return Err(MergeError::TwiceAtPath { path: entry.path, package: self.package.to_owned() });
        }
        // Of two that say the same, the one that was here before.
        if if directories && ordinary != other_ordinary { other_ordinary } else { !moved } {
            self.placed.insert(entry.path.clone(), entry);
        }
        Ok(())
    }
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
        assert_eq!(
            follow(&mut packages).unwrap_err().to_string(),
            "/usr/bin/x: package tool has two different files there, one by way of a directory that is a symbolic link"
        );
        let filesystem = Fixture::new("filesystem").directory("usr/bin").link("usr/sbin", "bin").0;
        let tool = Fixture::new("tool").link("usr/bin/vi", "vim").link("usr/sbin/vi", "vim").0;
        let mut packages = [filesystem, tool];
        follow(&mut packages).unwrap();
        assert_eq!(paths(&packages[1]), ["usr/bin/vi"]);
    }

    #[test]
    fn the_first_name_of_a_file_is_the_file_again() {
        let filesystem = Fixture::new("filesystem").directory("usr/bin").link("usr/sbin", "bin").0;
        // The link `usr/bin/z` comes before its file by the old paths, and after it by the new ones.
        let tool = Fixture::new("tool")
            .file("usr/bin/z", "tool")
            .hard_link("usr/sbin/a", "usr/bin/z")
            .hard_link("usr/sbin/z", "usr/bin/z")
            .0;
        let mut packages = [filesystem, tool];
        packages[1].entries[0].offset = Some(7);
        follow(&mut packages).unwrap();
        let shown: Vec<_> = packages[1]
            .entries
            .iter()
            .map(|entry| (entry.path.as_str(), &entry.node.kind, entry.offset))
            .collect();
        let file = NodeKind::File(crate::fixture::content("tool"));
        let link = NodeKind::HardLink(path("usr/bin/a"));
        assert_eq!(shown, [("usr/bin/a", &file, Some(7)), ("usr/bin/z", &link, None)]);
        let tree = super::super::merge(&packages, calypte_base::Epoch(0)).unwrap();
        assert_eq!(tree.names(&path("usr/bin/a")).len(), 2);
    }

    #[test]
    fn links_below_links_and_links_to_links() {
        let filesystem = || Fixture::new("filesystem").directory("usr/bin").link("usr/sbin", "bin");
        let at = |links: Fixture, file: &str| {
            let mut packages = [links.0, Fixture::new("tool").file(file, "x").0];
            follow(&mut packages).unwrap();
            let tree = super::super::merge(&packages, calypte_base::Epoch(0));
            tree.ok().map(|_| packages[1].entries[0].path.to_string())
        };
        let deep = || filesystem().link("usr/sbin/plugins", "../lib/plugins").directory("usr/lib/plugins");
        for (links, file, place) in [
            // A link below a link lies at `usr/bin/plugins`, by whichever name something is below it.
            (deep(), "usr/sbin/plugins/x", "/usr/lib/plugins/x"),
            (deep(), "usr/bin/plugins/x", "/usr/lib/plugins/x"),
            // A target is relative to where the link really lies.
            (
                Fixture::new("p")
                    .link("short", "opt/deep/er")
                    .link("short/l", "../x")
                    .directory("opt/deep/er")
                    .directory("opt/deep/x"),
                "short/l/y",
                "/opt/deep/x/y",
            ),
            (filesystem().link("usr/a", "b").link("usr/b", "sbin"), "usr/a/x", "/usr/bin/x"),
            (filesystem().link("usr/a", "/sbin"), "usr/a/x", "/usr/bin/x"),
        ] {
            assert_eq!(at(links, file).as_deref(), Some(place), "{file}");
        }
        for links in [
            Fixture::new("p").link("a", "b").link("b", "a"),
            Fixture::new("p").link("a", "a/b"),
            Fixture::new("p").link("a", "b").link("b", "c/d").link("c", "a"),
        ] {
            assert_eq!(at(links, "a/x"), None);
        }
        // Where two packages do not agree where it leads, it leads nowhere.
        let one = Fixture::new("one").directory("b").directory("c").link("a", "b").0;
        let two = Fixture::new("two").link("a", "c").0;
        let mut packages = [one, two, Fixture::new("tool").file("a/x", "x").0];
        follow(&mut packages).unwrap();
        assert_eq!(paths(&packages[2]), ["a/x"]);
    }

    /// As in Debian, where a package replaces a directory by a link and another still has the directory.
    #[test]
    fn a_directory_at_a_link_is_its_target_if_it_is_ordinary() {
        let library = || {
            Fixture::new("library").directory("usr/share/library-2").link("usr/share/library", "library-2")
        };
        let plugin = |mode| {
            let plugin = Fixture::new("plugin").node("usr/share/library", |node| node.mode = mode);
            plugin.file("usr/share/library/data", "x")
        };
        for order in [[library(), plugin(0o755)], [plugin(0o755), library()]] {
            let mut packages = order.map(|fixture| fixture.0);
            follow(&mut packages).unwrap();
            let tree = super::super::merge(&packages, calypte_base::Epoch(0)).unwrap();
            assert_eq!(tree.get(&path("usr/share/library")).unwrap().kind.noun(), "a symbolic link");
            assert!(tree.get(&path("usr/share/library-2/data")).is_some());
        }
        for mode in [0o750, 0o1777] {
            let error = follow(&mut [library().0, plugin(mode).0]).unwrap_err();
            assert_eq!(
                error.to_string(),
                "/usr/share/library: package plugin has a directory there that is not root's with mode 0755, so it cannot be \
                 /usr/share/library-2, to which the symbolic link of package library leads"
            );
            assert!(error.hint().is_some());
        }
    }
}
