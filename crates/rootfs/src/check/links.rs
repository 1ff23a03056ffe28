//! Every symlink leads to something in the tree.

use calypte_base::TreePath;

use super::CheckFailure;
use crate::tree::{FileTree, NodeKind, TreeError};

/// Directories that the container engine or the kernel fills; links into them lead nowhere before the container runs.
const FILLED_AT_RUN_TIME: [&str; 4] = ["dev", "proc", "run", "sys"];

/// Links that may lead nowhere, each with the reason. A path that ends in `/` stands for all links below it.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("usr/lib/.build-id/", "links to all programs by their build, which only a debugger follows"),
    ("usr/share/doc/", "documentation is often dropped by a slice, and a link in it misleads no program"),
    (
        "usr/share/man/",
        "manual pages are often dropped by a slice, and a link among them misleads no program",
    ),
];

/// Finds the links that lead nowhere.
pub(super) fn check(tree: &FileTree) -> Vec<CheckFailure> {
    let mut failures = Vec::new();
    for (path, node) in tree.iter() {
        let NodeKind::Symlink(target) = &node.kind else { continue };
        let problem = match missing(tree, path) {
            Ok(None) => continue,
            Ok(Some(end)) if is_filled_at_run_time(&end) || is_exception(path) => continue,
            Ok(Some(end)) if format!("{end}") == *target => {
                format!("links to {target}, which is not in the image")
            }
            Ok(Some(end)) => format!("links to {target}, and {end} is not in the image"),
            Err(error) => format!("links to {target}, which cannot be followed: {error}"),
        };
        failures.push(CheckFailure {
            path: path.clone(),
            owner: node.owner.clone(),
            check: "links",
            problem,
            cure: format!(
                "add the package that has the target, or drop the link with `fs: [{{delete: {path}}}]`"
            ),
        });
    }
    failures
}

fn is_filled_at_run_time(end: &TreePath) -> bool {
    end.components().next().is_some_and(|first| FILLED_AT_RUN_TIME.contains(&first))
}

fn is_exception(path: &TreePath) -> bool {
    EXCEPTIONS.iter().any(|(exception, _)| match exception.strip_suffix('/') {
        Some(_) => path.as_str().starts_with(exception),
        None => path.as_str() == *exception,
    })
}

/// The path that is missing at the end of a link; none when the link leads to something.
fn missing(tree: &FileTree, link: &TreePath) -> Result<Option<TreePath>, TreeError> {
    if tree.resolve(link)?.is_some() {
        return Ok(None);
    }
    let bad = |source| TreeError::BadPath { path: link.clone(), source };
    let mut here = link.clone();
    // As many links as the kernel follows; a loop was found above.
    for _ in 0..40 {
        let Some(NodeKind::Symlink(target)) = tree.get(&here).map(|node| &node.kind) else { break };
        here = here.resolve_link(target).map_err(bad)?;
        if let Some(parent) = here.parent()
            && let Some(real) = tree.resolve(&parent)?
        {
            here = real.join(here.file_name()).map_err(bad)?;
        }
    }
    Ok(Some(here))
}
