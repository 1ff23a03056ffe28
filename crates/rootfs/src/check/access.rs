//! Who may write: nothing that everybody can change, and nothing by which the image's own user could change the program
//! that it runs. What it does need to write lies in volumes, in its home, or in a file system that is mounted there.

use calypte_base::TreePath;
use calypte_definition::{Allowance, ImageDefinition};

use super::CheckFailure;
use crate::tree::{FileTree, Node, NodeKind};

const STICKY: u32 = 0o1000;

/// Finds what can be written and must not be.
pub(super) fn check(tree: &FileTree, definition: &ImageDefinition) -> Vec<CheckFailure> {
    let mut failures: Vec<CheckFailure> = tree
        .iter()
        .filter_map(|(path, node)| {
            let (problem, cure) = problem(tree, path, node, definition)?;
            Some(failure(path, node, problem, cure))
        })
        .collect();
    if definition.user.uid == 0 && !definition.allow.contains(&Allowance::Root) {
        failures.extend(tree.get(&TreePath::root()).map(|root| {
            let cure = "name another `user`, or say `allow: [root]`".to_owned();
            failure(
                &TreePath::root(),
                root,
                "the image's user is root, who may change all of it".to_owned(),
                cure,
            )
        }));
    }
    failures
}

fn failure(path: &TreePath, node: &Node, problem: String, cure: String) -> CheckFailure {
    CheckFailure { path: path.clone(), owner: node.owner.clone(), check: "access", problem, cure }
}

fn problem(
    tree: &FileTree,
    path: &TreePath,
    node: &Node,
    definition: &ImageDefinition,
) -> Option<(String, String)> {
    let is_directory = matches!(node.kind, NodeKind::Directory);
    if !is_directory && !matches!(node.kind, NodeKind::File(_) | NodeKind::Fifo) {
        return None;
    }
    if node.mode & 0o002 != 0 && !(is_directory && node.mode & STICKY != 0) {
        let cure = format!("drop it, or give it another mode with `fs: [{{dir: {path}, mode: \"0755\"}}]`");
        return Some(("everybody can write here".to_owned(), cure));
    }
    let user = &definition.user;
    let is_root = user.uid == 0;
    let is_its_own = node.uid == user.uid || (node.gid == user.gid && node.mode & 0o020 != 0);
    if is_root || !is_its_own || is_for_data(path, definition) {
        return None;
    }
    // An empty directory is a place for data that is made while the program runs, and holds nothing to be changed.
    if is_directory && !holds_something(tree, path) {
        return None;
    }
    let what = if is_directory { "replace what is in it" } else { "rewrite it" };
    let cure =
        format!("leave it to root, with `fs: [{{chown: {path}, owner: root}}]`, or declare a volume there");
    Some((format!("the image's user, {}, could {what}", user.name), cure))
}

/// Whether a path lies where the user's data do: in its home or in a volume.
fn is_for_data(path: &TreePath, definition: &ImageDefinition) -> bool {
    let mut places = definition.run.volumes.iter().chain([&definition.user.home]);
    places.any(|place| *place != TreePath::root() && (path.starts_with(place)))
}

fn holds_something(tree: &FileTree, directory: &TreePath) -> bool {
    tree.below(directory).next().is_some()
}
