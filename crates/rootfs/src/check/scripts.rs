//! The interpreter of every executable script is in the tree.

use calypte_base::TreePath;

use super::CheckFailure;
use super::facts::Facts;
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// Where `/usr/bin/env` looks when the definition sets no `PATH`: what container engines set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds the scripts that could not be run.
pub(super) fn check(tree: &FileTree, context: &FinishContext<'_>, facts: &Facts<'_>) -> Vec<CheckFailure> {
    let search = context.definition.run.environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let mut failures = Vec::new();
    for (path, node) in tree.iter().filter(|(_, node)| node.mode & 0o111 != 0) {
        let Some(line) = facts.script(node, context.contents) else { continue };
        let Some(problem) = problem(tree, &line, search) else { continue };
        failures.push(CheckFailure {
            path: path.clone(),
            owner: node.owner.clone(),
            check: "scripts",
            problem,
            cure: format!(
                "drop the script with `fs: [{{delete: {path}}}]` or the slice `shell-scripts`, or add the package that has its interpreter"
            ),
        });
    }
    failures
}

fn problem(tree: &FileTree, line: &str, search: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let Some(interpreter) = words.next() else { return Some("has `#!` without an interpreter".to_owned()) };
    if !interpreter.starts_with('/') {
        return Some(format!("its interpreter `{interpreter}` is no absolute path"));
    }
    if !is_program(tree, interpreter) {
        return Some(format!("its interpreter {interpreter} is not in the image"));
    }
    if !interpreter.ends_with("/env") {
        return None;
    }
    // `env -S NAME arguments`, `env VARIABLE=value NAME`: the first word that is neither is the program.
    let program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    let found = program.starts_with('/') && is_program(tree, program)
        || search.split(':').any(|directory| is_program(tree, &format!("{directory}/{program}")));
    (!found).then(|| format!("its interpreter `{program}`, which env looks for, is not in the image's PATH"))
}

fn is_program(tree: &FileTree, path: &str) -> bool {
    let Ok(path) = TreePath::new(path) else { return false };
    let Ok(Some(real)) = tree.resolve(&path) else { return false };
    let runnable = |node: &Node| node.mode & 0o111 != 0;
    match tree.get(&real) {
        Some(node @ Node { kind: NodeKind::File(_), .. }) => runnable(node),
        Some(Node { kind: NodeKind::HardLink(target), .. }) => tree.get(target).is_some_and(runnable),
        _ => false,
    }
}
