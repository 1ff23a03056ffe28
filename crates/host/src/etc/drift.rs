//! What differs between a machine's `/etc` and its image's.

use calypte_base::TreePath;
use serde::Serialize;

use super::{OWN, same};
use crate::files::Nodes;

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// The path, from the root: `/etc/hostname`.
    pub path: String,
    /// How it differs.
    pub kind: DriftKind,
    /// Whether the machine writes it by itself.
    pub own: bool,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftKind {
    /// The image does not have it.
    Added,
    /// The machine does not have it.
    Removed,
    /// Its contents differ, or what it is.
    Changed,
    /// Only its owner, mode or extended attributes differ.
    Attributes,
}

impl Drift {
    /// All that differs, in the order of the paths.
    pub(crate) fn between(image: &Nodes, machine: &Nodes) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |path: &TreePath, kind| {
            if !path.is_root() {
                let own = OWN.contains(&path.as_str());
                all.push(Self { path: format!("/etc{path}"), kind, own });
            }
        };
        for (path, node) in image {
            match machine.get(path) {
                None => add(path, DriftKind::Removed),
                Some(live) if same(node, live) => {}
                Some(live) if node.kind == live.kind => add(path, DriftKind::Attributes),
                Some(_) => add(path, DriftKind::Changed),
            }
        }
        machine.keys().filter(|path| !image.contains_key(*path)).for_each(|path| add(path, DriftKind::Added));
        all.sort();
        all
    }
}
