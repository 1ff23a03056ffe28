//! The merged `/usr`: `/bin`, `/sbin` and the `/lib` directories are links to the directories of the same name below
//! `/usr`, in every image.
//!
//! A package that still ships `/lib/x` gets it at `/usr/lib/x`, which is where dpkg would have written it through the
//! link. Links inside such a directory keep their target as it is, as they would then. The top-level names themselves
//! may be a directory in a package (it is taken for the one below `/usr`) or a link to that; nothing else.

use calypte_base::{Epoch, TreePath};

use crate::tree::{FileTree, Node, Owner};

/// Who makes the links that no package brings.
pub const FINISHER: &str = "usrmerge";

/// The top-level names, in the order of the file hierarchy (`hier(7)`, and Debian's `usrmerge`).
pub const NAMES: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Where a path really lies: `/lib/x` at `/usr/lib/x`; each other path, and the top-level names, where they are.
#[must_use]
pub fn real_path(path: TreePath) -> TreePath {
    let below = path.as_str().split_once('/').is_some_and(|(top, _)| NAMES.contains(&top));
    if below { under_usr(&path) } else { path }
}

/// Whether this is one of the top-level names.
#[must_use]
pub fn is_alias(path: &TreePath) -> bool {
    NAMES.contains(&path.as_str())
}

/// The directory below `/usr` that a top-level name stands for.
#[must_use]
pub fn under_usr(path: &TreePath) -> TreePath {
    // Four bytes longer than a path that was checked: only one at the very limit of Linux stays as it is.
    TreePath::new(&format!("usr/{}", path.as_str())).unwrap_or_else(|_| path.clone())
}

/// Makes the links that no package brings, for those directories below `/usr` that the tree has: programs name their
/// loader `/lib64/…` and their interpreter `/bin/…`.
pub(crate) fn link(tree: &mut FileTree, epoch: Epoch) {
    for name in NAMES {
        let Ok(path) = TreePath::new(name) else { continue };
        let target = under_usr(&path);
        // The directory below `/usr` may itself be a link to another one, as `/usr/sbin` to `bin` in Fedora.
        let real = tree.resolve(&target).ok().flatten();
        let is_directory = real.and_then(|real| tree.get(&real)).is_some_and(Node::is_directory);
        if tree.get(&path).is_none() && is_directory {
            let link = Node::symlink(format!("usr/{name}"), epoch.0, Owner::finisher(FINISHER));
            // The root is always a directory, so nothing can be in the way.
            drop(tree.insert(path, link));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn only_what_lies_below_a_top_level_name_moves() {
        for (given, real) in [
            ("lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
            ("lib64/ld.so", "usr/lib64/ld.so"),
            ("bin/sh", "usr/bin/sh"),
            ("bin", "bin"),
            ("usr/bin/sh", "usr/bin/sh"),
            ("library/x", "library/x"),
            ("opt/lib/x", "opt/lib/x"),
        ] {
            assert_eq!(real_path(path(given)), path(real));
        }
    }

    #[test]
    fn a_directory_that_is_a_link_below_usr_has_its_alias() {
        let owner = || Owner::Package("filesystem".to_owned());
        let mut tree = FileTree::new(Node::directory(0, owner()));
        for name in ["usr", "usr/bin"] {
            tree.insert(path(name), Node::directory(0, owner())).unwrap();
        }
        tree.insert(path("usr/sbin"), Node::symlink("bin".to_owned(), 0, owner())).unwrap();
        link(&mut tree, Epoch(0));
        assert_eq!(tree.resolve(&path("sbin")).unwrap(), Some(path("usr/bin")));
        assert!(tree.get(&path("lib")).is_none());
    }
}
