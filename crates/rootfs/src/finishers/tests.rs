//! Small hand-made trees for the tests of finishers and checks.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Architecture, Digest, Epoch, PackageFormat, TreePath};
use calypte_definition::ImageDefinition;
use calypte_definition::image::{Category, ImageId, RunConfig, User};
use calypte_store::Contents;
use calypte_universe::Rules;

use super::{Apply, FinishError};
use crate::context::FinishContext;
use crate::package::{UnpackedEntry, UnpackedPackage};
use crate::tree::{Content, FileTree, Node, NodeKind, Owner};

/// The time of everything in a test's tree.
pub(crate) const EPOCH: Epoch = Epoch(1_800_000_000);

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

/// A package of this name with nothing but these entries.
pub(crate) fn package(name: &str, entries: &[UnpackedEntry]) -> UnpackedPackage {
    UnpackedPackage {
        name: name.into(),
        version: "1".into(),
        architecture: "amd64".into(),
        source: name.into(),
        source_version: "1".into(),
        digest: Digest::of(name.as_bytes()),
        control: String::new(),
        scripts: BTreeMap::new(),
        triggers: String::new(),
        conffiles: Vec::new(),
        md5sums: String::new(),
        control_files: BTreeMap::new(),
        entries: entries.to_vec(),
        date: EPOCH,
    }
}

/// An image `web` of user `nonroot`, variant `default`.
pub(crate) fn definition() -> ImageDefinition {
    ImageDefinition {
        id: ImageId { family: "web".into(), stream: None, variant: "default".into() },
        title: "Web".into(),
        description: String::new(),
        category: Category::Web,
        url: None,
        licenses: None,
        parent: None,
        universes: None,
        packages: BTreeMap::new(),
        prefer: BTreeMap::new(),
        slices: BTreeSet::new(),
        fs: Vec::new(),
        run: RunConfig::default(),
        user: User { name: "nonroot".into(), uid: 65532, gid: 65532, home: path("home/nonroot") },
        tests: Vec::new(),
        tags: Vec::new(),
        version_of: BTreeMap::new(),
        end_of_life: None,
        allow: BTreeSet::new(),
    }
}

/// The universe's real tables.
pub(crate) fn rules() -> Rules {
    let text = include_str!("../../../../catalog/universes/debian/accounts.yaml");
    Rules { accounts: calypte_definition::yaml::from_str("accounts.yaml", text).unwrap(), ..Rules::default() }
}

/// A tree with its contents, packages and definition.
#[derive(Debug)]
pub(crate) struct Bench {
    pub tree: FileTree,
    pub contents: Contents,
    pub packages: Vec<UnpackedPackage>,
    pub definition: ImageDefinition,
    pub rules: Rules,
    pub architecture: Architecture,
}

impl Bench {
    /// An empty tree.
    pub fn new() -> Self {
        Self {
            tree: FileTree::new(Node::directory(EPOCH.0, owner())),
            contents: Contents::new(),
            packages: Vec::new(),
            definition: definition(),
            rules: rules(),
            architecture: Architecture::Amd64,
        }
    }

    /// With packages of these names, that have no files.
    pub fn packages(mut self, names: &[&str]) -> Self {
        self.packages.extend(names.iter().map(|name| package(name, &[])));
        self
    }

    /// With a file of the package `p`, mode 0644.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with(name, content, 0o644)
    }

    /// With a file of this mode.
    pub fn file_with(mut self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let (digest, size) = self.contents.add(content.as_ref().to_vec());
        self.put(name, NodeKind::File(Content { digest, size }), mode);
        self
    }

    /// With a directory, mode 0755.
    pub fn directory(mut self, name: &str) -> Self {
        self.put(name, NodeKind::Directory, 0o755);
        self
    }

    /// With a symlink.
    pub fn link(mut self, name: &str, target: &str) -> Self {
        self.put(name, NodeKind::Symlink(target.into()), 0o777);
        self
    }

    pub fn put(&mut self, name: &str, kind: NodeKind, mode: u32) {
        self.tree.create_parents(&path(name), EPOCH.0, &owner()).unwrap();
        self.tree.insert(path(name), Node { kind, mode, ..Node::directory(EPOCH.0, owner()) }).unwrap();
    }

    pub fn context(&mut self) -> (&mut FileTree, FinishContext<'_>) {
        let context = FinishContext {
            architecture: self.architecture,
            format: PackageFormat::Deb,
            definition: &self.definition,
            rules: &self.rules,
            packages: &self.packages,
            contents: &mut self.contents,
            epoch: EPOCH,
        };
        (&mut self.tree, context)
    }

    /// Runs one finisher.
    pub fn run(&mut self, apply: Apply) -> Result<(), FinishError> {
        let (tree, mut context) = self.context();
        apply(tree, &mut context)
    }

    /// The text of a file that must be there, links followed.
    pub fn text(&self, name: &str) -> String {
        let content = self.tree.file(&path(name)).unwrap_or_else(|| panic!("no file {name}"));
        String::from_utf8(self.contents.read(&content.digest).unwrap()).unwrap()
    }

    /// All that finishers made, one line each: path, mode, owner, and where a link leads.
    pub fn made(&self) -> String {
        let mut lines = String::new();
        for (path, node) in self.tree.iter().filter(|(_, node)| matches!(node.owner, Owner::Finisher(_))) {
            let kind = match &node.kind {
                NodeKind::Directory => "/".to_owned(),
                NodeKind::Symlink(target) => format!(" -> {target}"),
                _ => String::new(),
            };
            let Node { mode, uid, gid, .. } = node;
            lines.push_str(&format!("{mode:04o} {uid}:{gid} {path}{kind}\n"));
        }
        lines
    }
}

fn owner() -> Owner {
    Owner::Package("p".into())
}
