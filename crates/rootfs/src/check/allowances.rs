//! What an image may only hold when its definition says so: a shell, a package manager, setuid and setgid files.

use calypte_base::{Digest, TreePath};
use calypte_definition::Allowance;

use super::CheckFailure;
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// Programs that read commands from a user, by the names that they go by.
const SHELLS: [&str; 17] = [
    "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "mksh", "nu", "rbash", "sh",
    "tcsh", "toybox", "yash", "zsh",
];

/// Programs that install packages of a distribution.
const PACKAGE_MANAGERS: [&str; 18] = [
    "apk",
    "apt",
    "apt-get",
    "aptitude",
    "dnf",
    "dnf5",
    "dpkg",
    "dpkg-deb",
    "emerge",
    "flatpak",
    "microdnf",
    "nix",
    "pacman",
    "rpm",
    "snap",
    "xbps-install",
    "yum",
    "zypper",
];

/// The program of the catalog that may bear a shell's name, since it is none: called so, it runs plain commands of a
/// fixed list of programs (`crates/entrypoint/src/sh.rs`).
const RUNNER: &str = "entrypoint";

/// Finds what this definition does not allow.
pub(super) fn check(tree: &FileTree, context: &FinishContext<'_>) -> Vec<CheckFailure> {
    let allow = &context.definition.allow;
    let mut failures = Vec::new();
    for (path, node) in tree.iter() {
        for (allowance, what, key) in [
            (
                Allowance::Shell,
                (is_program(path, node, &SHELLS) && !is_runner(path, tree, context)).then_some("a shell"),
                "shell",
            ),
            (
                Allowance::PackageManager,
                is_program(path, node, &PACKAGE_MANAGERS).then_some("a package manager"),
                "package-manager",
            ),
            (Allowance::Setuid, set_id(tree, node), "setuid"),
        ] {
            let Some(what) = what.filter(|_| !allow.contains(&allowance)) else { continue };
            failures.push(CheckFailure {
                path: path.clone(),
                owner: node.owner.clone(),
                check: "allowances",
                problem: format!("{what} must not be in this image"),
                cure: format!(
                    "leave the package out, drop the file with `fs: [{{delete: {path}}}]` or a slice, or say `allow: [{key}]`"
                ),
            });
        }
    }
    failures
}

/// Whether this is something that can be run under one of these names. A link counts, wherever it leads: what it
/// leads to may come with a volume.
fn is_program(path: &TreePath, node: &Node, names: &[&str]) -> bool {
    let runnable = match node.kind {
        NodeKind::File(_) | NodeKind::HardLink(_) => node.mode & 0o111 != 0,
        NodeKind::Symlink(_) => true,
        _ => false,
    };
    let directory = path.parent().is_some_and(|parent| matches!(parent.file_name(), "bin" | "sbin"));
    runnable && directory && names.binary_search(&path.file_name()).is_ok()
}

/// Whether this is the catalog's program [`RUNNER`], or a link to it: known by its content, not by its name.
fn is_runner(path: &TreePath, tree: &FileTree, context: &FinishContext<'_>) -> bool {
    let Some(runner) = context.programs.get(RUNNER) else { return false };
    let Ok(Some(real)) = tree.resolve(path) else { return false };
    tree.file(&real).is_some_and(|content| content.digest == Digest::of(runner))
}

fn set_id(tree: &FileTree, node: &Node) -> Option<&'static str> {
    let mode = match &node.kind {
        NodeKind::File(_) => node.mode,
        NodeKind::HardLink(target) => tree.get(target)?.mode,
        _ => return None,
    };
    match mode & 0o6000 {
        0 => None,
        0o2000 => Some("a setgid file"),
        _ => Some("a setuid file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_can_be_searched() {
        assert!(SHELLS.is_sorted());
        assert!(PACKAGE_MANAGERS.is_sorted());
    }
}
