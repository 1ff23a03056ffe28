//! What is known of how each file of a tree is run, collected from the packages by content.
//!
//! By content and not by path: a file keeps its facts when a definition moves or links it, and loses them when its
//! bytes are changed.

use std::collections::BTreeMap;

use calypte_base::Digest;
use calypte_formats::elf::ElfFacts;
use calypte_store::Contents;

use crate::package::{FileFacts, UnpackedPackage};
use crate::records;
use crate::tree::{FileTree, Node, NodeKind, Owner};

/// More than this is no `#!` line (`BINPRM_BUF_SIZE`).
const SCRIPT_HEAD: usize = 256;
/// A generated file that is larger is data: it is not read to look for `#!`.
const SCRIPT_SIZE: u64 = 1 << 20;

/// The facts of all files, by their content.
#[derive(Debug)]
pub(crate) struct Facts<'a>(BTreeMap<Digest, &'a FileFacts>);

impl<'a> Facts<'a> {
    pub(crate) fn new(packages: &'a [UnpackedPackage]) -> Self {
        let entries = packages.iter().flat_map(|package| &package.entries);
        Self(
            entries
                .filter_map(|entry| match (&entry.node.kind, &entry.facts) {
                    (NodeKind::File(content), Some(facts)) => Some((content.digest, facts)),
                    _ => None,
                })
                .collect(),
        )
    }

    fn of(&self, node: &Node) -> Option<&'a FileFacts> {
        match &node.kind {
            NodeKind::File(content) => self.0.get(&content.digest).copied(),
            _ => None,
        }
    }

    /// The ELF headers of a file; none for all else. Hard links count as their target, which is in the tree as well.
    pub(crate) fn elf(&self, node: &Node) -> Option<&'a ElfFacts> {
        match self.of(node)? {
            FileFacts::Elf(facts) => Some(facts),
            FileFacts::Script(_) => None,
        }
    }

    /// As [`Facts::elf`], of the file that a node of the tree is, hard links followed.
    pub(crate) fn elf_behind(&self, tree: &FileTree, node: &Node) -> Option<&'a ElfFacts> {
        match &node.kind {
            NodeKind::HardLink(target) => self.elf(tree.get(target)?),
            _ => self.elf(node),
        }
    }

    /// The line after `#!` of a script. Files that no package brought are read.
    pub(crate) fn script(&self, node: &Node, contents: &Contents) -> Option<String> {
        match self.of(node) {
            Some(FileFacts::Script(line)) => return Some(line.clone()),
            Some(FileFacts::Elf(_)) => return None,
            None => {}
        }
        let NodeKind::File(content) = node.kind else { return None };
        let known = match &node.owner {
            Owner::Package(_) => true,
            // Of a package's scripts in dpkg's database nothing is run before the package is changed.
            Owner::Finisher { name, .. } => name == records::NAME,
            Owner::Definition => false,
        };
        if known || content.size > SCRIPT_SIZE {
            return None;
        }
        let bytes = contents.read(&content.digest).ok()?;
        let head = &bytes[..bytes.len().min(SCRIPT_HEAD)];
        let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        Some(String::from_utf8_lossy(line).trim().to_owned())
    }
}
