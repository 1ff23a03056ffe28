//! Every ELF file is for the image's architecture, and finds its loader and its libraries in the tree.
//!
//! Looked for as `ld.so(8)` does: `DT_RPATH` where there is no `DT_RUNPATH`, `DT_RUNPATH`, then the directories of
//! `ld.so.conf` and the built-in ones. `$ORIGIN` is the directory of the file. A library that is loaded already is not
//! looked for again: so a program's private libraries need each other by name alone, and count as found where the
//! program finds them. What a program loads by itself while it runs cannot be known, and does not count.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::elf::{ElfFacts, ElfKind};

use super::CheckFailure;
use super::facts::Facts;
use crate::context::FinishContext;
use crate::finishers::{library_directories, library_name};
use crate::tree::{FileTree, NodeKind};

struct Search<'a> {
    tree: &'a FileTree,
    facts: &'a Facts<'a>,
    machine: u16,
    /// What `$LIB` stands for.
    lib: String,
    directories: Vec<TreePath>,
    /// Names already found in `directories`, and those that are not there: most files need the same few.
    known: BTreeMap<&'a str, bool>,
}

/// Finds the files that could not be started or loaded.
pub(super) fn check(tree: &FileTree, context: &FinishContext<'_>, facts: &Facts<'_>) -> Vec<CheckFailure> {
    let directories = library_directories(tree, context.contents, context.architecture);
    let (machine, lib) = (context.architecture.elf_machine(), library_name(tree, context.architecture));
    let mut search = Search { tree, facts, machine, lib, directories, known: BTreeMap::new() };
    let mut failures = Vec::new();
    for (path, node) in tree.iter() {
        let Some(elf) = facts.elf(node) else { continue };
        for (problem, cure) in search.problems(path, elf) {
            failures.push(CheckFailure {
                path: path.clone(),
                owner: node.owner.clone(),
                check: "libraries",
                problem,
                cure,
            });
        }
    }
    failures
}

impl<'a> Search<'a> {
    fn problems(&mut self, path: &TreePath, elf: &'a ElfFacts) -> Vec<(String, String)> {
        if !matches!(elf.kind, ElfKind::Executable | ElfKind::SharedObject) {
            return Vec::new();
        }
        if elf.machine != self.machine {
            let problem = format!(
                "is for another machine (ELF machine {}, the image's is {})",
                elf.machine, self.machine
            );
            return vec![(problem, "build the image for that architecture, or drop the file".to_owned())];
        }
        let mut problems = Vec::new();
        if let Some(loader) = &elf.interpreter
            && !self.leads_to_elf(loader)
        {
            let cure = "add the package of the C library that it was linked with".to_owned();
            problems.push((format!("its loader {loader} is not in the image"), cure));
        }
        let own = self.own_directories(path, elf);
        for needed in &elf.needed {
            if !self.find(needed, &own) && !self.is_brought_along(path, needed) {
                let cure = format!("add the package that has {needed}, or drop the file if nothing uses it");
                problems.push((format!("needs {needed}, which is not in the image"), cure));
            }
        }
        problems
    }

    /// The directories that the file itself names.
    fn own_directories(&self, path: &TreePath, elf: &ElfFacts) -> Vec<TreePath> {
        let named = if elf.runpath.is_empty() { &elf.rpath } else { &elf.runpath };
        let origin = path.parent().unwrap_or_else(TreePath::root);
        let mut directories = Vec::new();
        for text in named {
            let text = text.replace("${LIB}", &self.lib).replace("$LIB", &self.lib);
            let relative = text.strip_prefix("$ORIGIN").or_else(|| text.strip_prefix("${ORIGIN}"));
            let resolved = match relative {
                // A link in that directory, so that `..` goes up from there.
                Some(rest) => origin.join("x").and_then(|inside| inside.resolve_link(&format!(".{rest}"))),
                None => TreePath::new(&text),
            };
            directories.extend(resolved);
        }
        directories
    }

    fn find(&mut self, needed: &'a str, own: &[TreePath]) -> bool {
        if needed.contains('/') {
            return self.leads_to_elf(needed);
        }
        if own.iter().any(|directory| self.is_in(directory, needed)) {
            return true;
        }
        if let Some(known) = self.known.get(needed) {
            return *known;
        }
        let found = self.directories.iter().any(|directory| self.is_in(directory, needed));
        self.known.insert(needed, found);
        found
    }

    /// Whether a needed library lies beside the library at this path, and a program that looks into that directory has
    /// both loaded. The program finds the one by its own `DT_RUNPATH`, which does not count for what the other needs;
    /// but by then it is there.
    fn is_brought_along(&self, path: &TreePath, needed: &str) -> bool {
        let Some(directory) = path.parent() else { return false };
        let beside = directory.join(needed).ok().filter(|_| !needed.contains('/'));
        let Some(beside) = beside.and_then(|beside| self.elf_at(beside.as_str())) else { return false };
        self.tree.iter().any(|(program, node)| {
            let Some(elf) = self.facts.elf(node).filter(|elf| elf.interpreter.is_some()) else {
                return false;
            };
            let own = self.own_directories(program, elf);
            let looks =
                own.iter().any(|own| self.tree.resolve(own).ok().flatten().as_ref() == Some(&directory));
            looks && {
                let loaded = self.loaded(program, elf);
                loaded.contains(path) && loaded.contains(&beside)
            }
        })
    }

    /// The libraries that a program needs, and those that they need, as far as each finds them.
    fn loaded(&self, program: &TreePath, elf: &ElfFacts) -> BTreeSet<TreePath> {
        // Unlike `DT_RUNPATH`, a program's `DT_RPATH` also counts for what its libraries need.
        let inherited = if elf.runpath.is_empty() { self.own_directories(program, elf) } else { Vec::new() };
        let mut loaded = BTreeSet::new();
        let mut rest = vec![program.clone()];
        while let Some(path) = rest.pop() {
            let node = self.tree.get(&path);
            let Some(elf) = node.and_then(|node| self.facts.elf(node)) else { continue };
            let own = self.own_directories(&path, elf);
            for needed in &elf.needed {
                let places = own.iter().chain(&inherited).chain(&self.directories);
                let found = if needed.contains('/') {
                    self.elf_at(needed)
                } else {
                    places
                        .filter_map(|place| place.join(needed).ok())
                        .find_map(|path| self.elf_at(path.as_str()))
                };
                if let Some(library) = found
                    && loaded.insert(library.clone())
                {
                    rest.push(library);
                }
            }
        }
        loaded
    }

    fn is_in(&self, directory: &TreePath, name: &str) -> bool {
        directory.join(name).is_ok_and(|path| self.leads_to_elf(path.as_str()))
    }

    /// Whether a path leads to an ELF file for this machine.
    fn leads_to_elf(&self, path: &str) -> bool {
        self.elf_at(path).is_some()
    }

    /// The ELF file for this machine that a path leads to; of several names of it, the one that is the file.
    fn elf_at(&self, path: &str) -> Option<TreePath> {
        let real = self.tree.resolve(&TreePath::new(path).ok()?).ok()??;
        let node = self.tree.get(&real)?;
        let elf = self.facts.elf_behind(self.tree, node)?;
        let file = if let NodeKind::HardLink(file) = &node.kind { file.clone() } else { real };
        (elf.machine == self.machine).then_some(file)
    }
}
