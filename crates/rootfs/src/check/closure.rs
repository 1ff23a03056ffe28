//! Every package is there for something: from what the definition names and starts, each other one is reached by a
//! library that a program needs, an interpreter, a link, or as the data of a package that is reached. What is not reached
//! came by a dependency that nothing in the image uses, most often of a maintainer script; it is left out by a rule of the
//! universe (`assumed.yaml`), or the definition says for what it is kept, where no file tells: a library or a program that
//! is looked for by its name while the image runs.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_definition::Allowance;
use calypte_resolve::DEFINITION;

use super::CheckFailure;
use super::facts::Facts;
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// The tree with what is known of its packages.
struct Closure<'a> {
    tree: &'a FileTree,
    context: &'a FinishContext<'a>,
    facts: &'a Facts<'a>,
    /// The packages that have a library or program of a name.
    named: BTreeMap<&'a str, BTreeSet<&'a str>>,
    nodes: BTreeMap<&'a str, Vec<(&'a TreePath, &'a Node)>>,
    /// Who asks for a package.
    asked_by: BTreeMap<&'a str, &'a BTreeSet<String>>,
}

/// Finds the packages that nothing in the image refers to. An image to build in is not asked: what a person will run in it
/// cannot be known.
pub(super) fn check(tree: &FileTree, context: &FinishContext<'_>, facts: &Facts<'_>) -> Vec<CheckFailure> {
    if context.definition.allow.contains(&Allowance::PackageManager) {
        return Vec::new();
    }
    let closure = Closure::new(tree, context, facts);
    let reached = closure.reached();
    let unreached = closure.asked_by.iter().filter(|(name, _)| !reached.contains(*name));
    unreached.filter_map(|(name, by)| closure.failure(name, by)).collect()
}

impl<'a> Closure<'a> {
    fn new(tree: &'a FileTree, context: &'a FinishContext<'_>, facts: &'a Facts<'_>) -> Self {
        let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut nodes: BTreeMap<&str, Vec<(&TreePath, &Node)>> = BTreeMap::new();
        for (path, node) in tree.iter() {
            let Some(package) = node.owner.package() else { continue };
            nodes.entry(package).or_default().push((path, node));
            if is_library(path, node) || is_program(path, node) {
                named.entry(path.file_name()).or_default().insert(package);
            }
        }
        let asked_by = context.locked.iter().map(|package| (package.id.as_str(), &package.by)).collect();
        Self { tree, context, facts, named, nodes, asked_by }
    }

    /// The packages that are there for something.
    fn reached(&self) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut rest: Vec<&str> = Vec::new();
        let kept = self.context.definition.keep.get(&self.context.format);
        for (name, by) in &self.asked_by {
            if by.contains(DEFINITION) || kept.is_some_and(|kept| kept.contains_key(*name)) {
                rest.push(name);
            }
        }
        if let Some(program) = self.context.definition.run.entrypoint.first() {
            rest.extend(self.program(program));
        }
        for (path, node) in self.tree.iter().filter(|(_, node)| node.owner.package().is_none()) {
            rest.extend(self.referred(path, node));
        }
        while let Some(package) = rest.pop() {
            if !reached.insert(package) {
                continue;
            }
            for (path, node) in self.nodes.get(package).into_iter().flatten() {
                rest.extend(self.referred(path, node));
            }
            rest.extend(self.data(package));
        }
        reached
    }

    /// The packages whose files one file refers to.
    fn referred(&self, path: &TreePath, node: &Node) -> Vec<&'a str> {
        if let NodeKind::Symlink(_) = node.kind {
            return self.owner(path).into_iter().collect();
        }
        let mut found = Vec::new();
        if let Some(elf) = self.facts.elf(node) {
            let names = elf.needed.iter().map(|needed| needed.rsplit('/').next().unwrap_or(needed));
            found.extend(names.flat_map(|name| self.by_name(name)));
            let loader = elf.interpreter.as_ref().and_then(|loader| TreePath::new(loader).ok());
            found.extend(loader.and_then(|loader| self.owner(&loader)));
        } else if let Some(line) = self.facts.script(node, self.context.contents) {
            found.extend(line.split_ascii_whitespace().take(3).flat_map(|word| self.program(word)));
        }
        found
    }

    /// What a package asks for that has neither libraries nor programs: its data. Of a package without any of its own,
    /// all that it asks for: it stands for these.
    fn data(&self, package: &str) -> Vec<&'a str> {
        let stands_for_others = !self.has_code(package);
        let asked = self.asked_by.iter().filter(|(_, by)| by.contains(package)).map(|(name, _)| *name);
        asked.filter(|name| stands_for_others || !self.has_code(name)).collect()
    }

    fn has_code(&self, package: &str) -> bool {
        let nodes = self.nodes.get(package).into_iter().flatten();
        nodes.into_iter().any(|(path, node)| is_program(path, node) || is_library(path, node))
    }

    fn by_name(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.named.get(name).into_iter().flatten().copied()
    }

    /// The packages of a program, by its path or its name.
    fn program(&self, word: &str) -> Vec<&'a str> {
        match TreePath::new(word) {
            Ok(path) if word.starts_with('/') => self.owner(&path).into_iter().collect(),
            _ => self.by_name(word).collect(),
        }
    }

    /// The package of what a path leads to.
    fn owner(&self, path: &TreePath) -> Option<&'a str> {
        let real = self.tree.resolve(path).ok()??;
        self.tree.get(&real)?.owner.package()
    }

    fn failure(&self, name: &str, by: &BTreeSet<String>) -> Option<CheckFailure> {
        let (path, node) = self.nodes.get(name)?.iter().find(|(path, node)| is_program(path, node) || is_library(path, node))?;
        // The lock is that of the whole family.
        let by = by.iter().map(String::as_str).filter(|by| self.asked_by.contains_key(by));
        let by = by.collect::<Vec<_>>().join(", ");
        Some(CheckFailure {
            path: (*path).clone(),
            owner: node.owner.clone(),
            check: "closure",
            problem: format!("nothing in the image refers to the package {name}, which {by} asks for"),
            cure: format!(
                "leave it out (`only-for` in the universe's assumed.yaml), or say for what it is there: \
                 `keep: {{{}: {{{name}: …}}}}`",
                self.context.format
            ),
        })
    }
}

/// A library that programs name when they are linked: not the modules that lie in directories of their own.
fn is_library(path: &TreePath, node: &Node) -> bool {
    let is_file = matches!(node.kind, NodeKind::File(_) | NodeKind::HardLink(_) | NodeKind::Symlink(_));
    is_file && path.file_name().contains(".so") && path.parent().is_some_and(|parent| is_library_directory(&parent))
}

fn is_library_directory(directory: &TreePath) -> bool {
    let text = directory.as_str();
    matches!(text, "lib" | "lib64" | "usr/lib" | "usr/lib64") || {
        let triplet = text.strip_prefix("usr/lib/").or_else(|| text.strip_prefix("lib/"));
        triplet.is_some_and(|triplet| triplet.ends_with("-linux-gnu") && !triplet.contains('/'))
    }
}

fn is_program(path: &TreePath, node: &Node) -> bool {
    let runnable = match node.kind {
        NodeKind::File(_) | NodeKind::HardLink(_) => node.mode & 0o111 != 0,
        NodeKind::Symlink(_) => true,
        _ => false,
    };
    runnable && path.parent().is_some_and(|parent| matches!(parent.file_name(), "bin" | "sbin"))
}
