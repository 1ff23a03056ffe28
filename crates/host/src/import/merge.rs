//! Layers onto each other, lowest first, with whiteouts (OCI image specification, layer.md).
//!
//! A layer's whiteouts are about the layers below it, wherever they stand in it. What engines would unpack differently is
//! refused: a path that leads through a link or a file.

use std::collections::BTreeSet;

use calypte_base::TreePath;
use calypte_composefs::{Content, Kind, Node, Tree};

use super::record::{LayerEntry, LayerEntryKind, LayerRecord, decoded};
use crate::error::LayerTrouble;

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

#[derive(Debug, Default)]
pub(super) struct Merged {
    tree: Tree,
    /// Paths that have other names: they must not be replaced without a look at those.
    linked: BTreeSet<TreePath>,
}

impl Merged {
    pub(super) fn into_tree(self) -> Tree {
        self.tree
    }

    /// Lays a layer over those that were there.
    pub(super) fn apply(&mut self, record: LayerRecord) -> Result<(), LayerTrouble> {
        let mut added = Vec::new();
        for entry in record.entries {
            let path = TreePath::new(&entry.path)?;
            if path.file_name() == OPAQUE {
                if let Some(directory) = path.parent() {
                    self.tree.clear(&directory);
                }
            } else if let Some(name) = path.file_name().strip_prefix(WHITEOUT) {
                let hidden = path.parent().unwrap_or_else(TreePath::root);
                if matches!(name, "" | "." | "..") {
                    return Err(LayerTrouble::Layer(format!("{path} deletes nothing that can be there")));
                }
                self.tree.remove(&hidden.join(name)?);
            } else {
                added.push((path, entry));
            }
        }
        added.into_iter().try_for_each(|(path, entry)| self.add(path, &entry))
    }

    fn add(&mut self, path: TreePath, entry: &LayerEntry) -> Result<(), LayerTrouble> {
        self.make_parents(&path)?;
        let kind = self.kind(&path, entry)?;
        if path.is_root() && kind != Kind::Directory {
            return Err(LayerTrouble::Layer("its root is no directory".to_owned()));
        }
        let is_directory = |node: &Node| node.kind == Kind::Directory;
        if let Some(before) = self.tree.get(&path) {
            if is_directory(before) && kind != Kind::Directory {
                self.tree.remove(&path);
            } else if self.linked.contains(&path) {
                // The other names go on without it.
                self.tree.remove(&path);
            }
        }
        let node = Node {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: decoded(&entry.xattrs),
        };
        self.tree.insert(path, node);
        Ok(())
    }

    fn make_parents(&mut self, path: &TreePath) -> Result<(), LayerTrouble> {
        let Some(parent) = path.parent() else { return Ok(()) };
        match self.tree.get(&parent) {
            Some(Node { kind: Kind::Directory, .. }) => Ok(()),
            Some(_) => Err(LayerTrouble::Layer(format!("{path} lies in {parent}, which is no directory"))),
            None => {
                self.make_parents(&parent)?;
                self.tree.insert(parent, Node::new(Kind::Directory, 0o755));
                Ok(())
            }
        }
    }

    fn kind(&mut self, path: &TreePath, entry: &LayerEntry) -> Result<Kind, LayerTrouble> {
        Ok(match &entry.kind {
            LayerEntryKind::Directory => Kind::Directory,
            LayerEntryKind::Small { .. } | LayerEntryKind::Object { .. } => {
                let content = entry.kind.content();
                Kind::File(content.unwrap_or_else(|| Content::Inline(Vec::new())))
            }
            LayerEntryKind::Symlink { target } => Kind::Symlink(target.clone()),
            LayerEntryKind::Char { device } => Kind::CharDevice(*device),
            LayerEntryKind::Block { device } => Kind::BlockDevice(*device),
            LayerEntryKind::Fifo => Kind::Fifo,
            LayerEntryKind::Link { target } => {
                let bad = || LayerTrouble::Layer(format!("{path} is a hard link to nothing: /{target}"));
                let mut target = TreePath::new(target)?;
                if let Some(Node { kind: Kind::HardLink(original), .. }) = self.tree.get(&target) {
                    target = original.clone();
                }
                match self.tree.get(&target) {
                    Some(node) if node.kind != Kind::Directory && target != *path => {}
                    _ => return Err(bad()),
                }
                self.linked.insert(target.clone());
                Kind::HardLink(target)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(path: &str, kind: LayerEntryKind) -> LayerEntry {
        LayerEntry {
            path: path.to_owned(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: BTreeMap::new(),
        }
    }

    fn file(path: &str) -> LayerEntry {
        entry(path, LayerEntryKind::small(path.as_bytes()))
    }

    fn merged(layers: &[&[LayerEntry]]) -> Result<Vec<String>, String> {
        let mut merged = Merged::default();
        for layer in layers {
            let record = LayerRecord { entries: layer.to_vec() };
            merged.apply(record).map_err(|trouble| format!("{trouble:?}"))?;
        }
        let shown = |(path, node): (&TreePath, &Node)| match &node.kind {
            Kind::HardLink(target) => format!("{path} = {target}"),
            _ => path.to_string(),
        };
        Ok(merged.into_tree().iter().skip(1).map(shown).collect())
    }

    #[test]
    fn upper_layers_hide_and_replace() {
        let lower = [file("a/one"), file("a/two"), file("b/three"), entry("c", LayerEntryKind::Directory)];
        // The order within a layer does not matter for what it hides.
        let upper = [file("a/four"), file("a/.wh.one"), file("b/five"), file("b/.wh..wh..opq"), file("c")];
        let tree = merged(&[&lower, &upper]).unwrap();
        assert_eq!(tree, ["/a", "/a/four", "/a/two", "/b", "/b/five", "/c"]);
    }

    #[test]
    fn other_names_of_a_file_outlive_its_replacement() {
        let link = |path: &str, target: &str| entry(path, LayerEntryKind::Link { target: target.to_owned() });
        let lower = [file("a"), link("b", "a"), link("c", "b")];
        let upper = [file("a"), link("d", "c")];
        assert_eq!(merged(&[&lower, &upper]).unwrap(), ["/a", "/b", "/c = /b", "/d = /b"]);
        assert!(merged(&[&[link("a", "b")]]).unwrap_err().contains("hard link to nothing"));
    }

    #[test]
    fn paths_through_links_are_refused() {
        let link = entry("a", LayerEntryKind::Symlink { target: "/etc".into() });
        assert!(merged(&[&[link, file("a/passwd")]]).unwrap_err().contains("which is no directory"));
        assert!(merged(&[&[file("../x")]]).is_err());
        assert!(merged(&[&[file(".wh...")]]).is_err());
    }
}
