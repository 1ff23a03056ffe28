//! Packages made by hand, for the tests of this crate.

use std::collections::BTreeMap;

use calypte_base::{Digest, Epoch, TreePath};

use crate::package::{DebDescription, Description, UnpackedEntry, UnpackedPackage};
use crate::tree::{Content, Node, NodeKind, Owner};

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

pub(crate) fn content(text: &str) -> Content {
    Content { digest: Digest::of(text.as_bytes()), size: text.len() as u64 }
}

/// A package that is built up entry by entry.
#[derive(Debug, Clone)]
pub(crate) struct Fixture(pub UnpackedPackage);

impl Fixture {
    pub(crate) fn new(name: &str) -> Self {
        Self(UnpackedPackage {
            name: name.to_owned(),
            version: "1.0-1".to_owned(),
            architecture: "amd64".to_owned(),
            source: name.to_owned(),
            source_version: "1.0-1".to_owned(),
            digest: Digest::of(name.as_bytes()),
            description: Description::Deb(DebDescription {
                control: format!("Package: {name}\nVersion: 1.0-1\nArchitecture: amd64"),
                ..DebDescription::default()
            }),
            scripts: BTreeMap::new(),
            conffiles: Vec::new(),
            accounts: Vec::new(),
            entries: Vec::new(),
            date: Epoch(0),
            changes: 0,
        })
    }

    /// Adds a field to the control paragraph.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.deb().control.push_str(&format!("\n{name}: {value}"));
        self
    }

    /// What the package says of itself as a Debian package.
    pub(crate) fn deb(&mut self) -> &mut DebDescription {
        match &mut self.0.description {
            Description::Deb(deb) => deb,
            Description::Rpm(_) => unreachable!("fixtures are Debian packages"),
        }
    }

    pub(crate) fn node(mut self, text: &str, change: impl FnOnce(&mut Node)) -> Self {
        let mut node = Node::directory(1, Owner::Package(self.0.name.clone()));
        change(&mut node);
        self.0.entries.push(UnpackedEntry::new(path(text), node));
        self.0.entries.sort_by(|one, other| one.path.cmp(&other.path));
        self
    }

    pub(crate) fn directory(self, text: &str) -> Self {
        self.node(text, |_| {})
    }

    pub(crate) fn file(self, text: &str, bytes: &str) -> Self {
        self.node(text, |node| {
            node.kind = NodeKind::File(content(bytes));
            node.mode = 0o644;
        })
    }

    pub(crate) fn link(self, text: &str, target: &str) -> Self {
        self.node(text, |node| node.kind = NodeKind::Symlink(target.to_owned()))
    }

    pub(crate) fn hard_link(self, text: &str, target: &str) -> Self {
        self.node(text, |node| {
            node.kind = NodeKind::HardLink(path(target));
            node.mode = 0o644;
        })
    }
}
