//! `/etc`: three trees come in — the image's as it was, the machine's, the new image's — and one goes out.
//!
//! What the machine did not change follows the image; what it changed stays as it is. A deployment's `/etc` is written once,
//! when it is switched to, and after that belongs to the machine: a deployment that is rolled back to has its own as it was
//! left.

mod drift;
mod merge;

use std::path::Path;

use calypte_base::TreePath;
use calypte_composefs::Tree;

pub use drift::{Drift, DriftKind};
pub use merge::{Merge, Side};

use crate::files::{self, Bytes, Nodes};
use crate::{HostError, Repository};

/// Files that a machine writes into `/etc` by itself, and in which nobody is interested.
const OWN: [&str; 4] = [".updated", "machine-id", "mtab", "resolv.conf"];

fn etc() -> Result<TreePath, HostError> {
    Ok(TreePath::new("etc")?)
}

/// The `/etc` of an image.
pub(crate) fn of_image(tree: &Tree) -> Result<Nodes, HostError> {
    let nodes = files::below(tree, &etc()?)?;
    if nodes.is_empty() {
        return Err(HostError::NoHost { reason: "it has no /etc".to_owned() });
    }
    Ok(nodes)
}

/// Writes the `/etc` of an image to a directory that is not there.
pub(crate) fn write_pristine(
    tree: &Tree,
    repository: &Repository,
    directory: &Path,
) -> Result<(), HostError> {
    files::write_all(directory, &of_image(tree)?, |_| Bytes::Repository(repository))
}

/// Writes a merge to a directory that is not there.
pub(crate) fn write_merged(
    merge: &Merge,
    live: &Path,
    repository: &Repository,
    directory: &Path,
) -> Result<(), HostError> {
    files::write_all(directory, &merge.nodes, |path| match merge.sides.get(path) {
        Some(Side::Machine) => Bytes::File(live.join(path.as_str())),
        _ => Bytes::Repository(repository),
    })
}

/// Whether two nodes are the same but for their times.
pub(crate) fn same(left: &calypte_composefs::Node, right: &calypte_composefs::Node) -> bool {
    left.kind == right.kind && same_attributes(left, right)
}

fn same_attributes(left: &calypte_composefs::Node, right: &calypte_composefs::Node) -> bool {
    let link = matches!(left.kind, calypte_composefs::Kind::Symlink(_));
    (link || left.mode == right.mode)
        && left.uid == right.uid
        && left.gid == right.gid
        && left.xattrs == right.xattrs
}
