//! `/usr/lib/sysimage/rpm/rpmdb.sqlite`: the database of rpm, which rpm, dnf and scanners read alike.
//!
//! A header lies in it as the package has it, signature and all, so its list of files cannot be shortened. What is not
//! in the tree as the package brought it, or where its header says, is marked as not installed: then `rpm -V` does not
//! miss it, and nobody ascribes to the package what a slice took out or the definition wrote.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use calypte_base::TreePath;
use calypte_rpmdb::{FileState, Installed, database};

use super::{RecordError, Recorder, shared};
use crate::package::{RpmDescription, UnpackedPackage};
use crate::tree::FileTree;

/// Where it lies.
pub(super) const PATH: &str = "usr/lib/sysimage/rpm/rpmdb.sqlite";

/// An RPM package with what it says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct RpmPackage<'a> {
    unpacked: &'a UnpackedPackage,
    rpm: &'a RpmDescription,
}

impl<'a> RpmPackage<'a> {
    pub(super) fn among(packages: &'a [UnpackedPackage]) -> Vec<Self> {
        let rpm = |unpacked: &'a UnpackedPackage| Some(Self { unpacked, rpm: unpacked.rpm()? });
        packages.iter().filter_map(rpm).collect()
    }

    /// What became of each file of the header's list.
    fn states(&self, tree: &FileTree) -> Vec<FileState> {
        let state = |path: &Option<TreePath>| {
            // A link that another package's link made needless, or a directory that is a link now.
            path.as_ref().map_or(FileState::NotInstalled, |path| self.state(tree, path))
        };
        self.rpm.files.iter().map(state).collect()
    }

    fn state(&self, tree: &FileTree, path: &TreePath) -> FileState {
        let entries = &self.unpacked.entries;
        let brought =
            entries.binary_search_by(|entry| entry.path.cmp(path)).ok().and_then(|place| entries.get(place));
        match (brought, tree.get(path)) {
            // A ghost is in no package: rpm calls it normal, there or not.
            (None, _) => FileState::Normal,
            (Some(brought), Some(node)) => {
                let (brought, node) = (&brought.node, node);
                let same = (&brought.kind, brought.mode, brought.uid, brought.gid)
                    == (&node.kind, node.mode, node.uid, node.gid);
                // Of a directory that several packages have, one says how it is.
                if same || (brought.is_directory() && node.is_directory()) {
                    FileState::Normal
                } else {
                    FileState::NotInstalled
                }
            }
            (Some(_), None) => FileState::NotInstalled,
        }
    }
}

pub(super) fn write(recorder: &mut Recorder<'_>, packages: &[RpmPackage<'_>]) -> Result<(), RecordError> {
    let mut parts = Vec::with_capacity(packages.len());
    for package in packages {
        let decode = |text: &str| {
            let name = || package.unpacked.name.clone();
            BASE64.decode(text).map_err(|_| RecordError::Header { package: name() })
        };
        let (signature, header) = (decode(&package.rpm.signature)?, decode(&package.rpm.header)?);
        parts.push((signature, header, package.states(recorder.tree)));
    }
    let installed: Vec<Installed<'_>> =
        parts.iter().map(|(signature, header, states)| Installed { signature, header, states }).collect();
    let time = u32::try_from(recorder.dates.epoch.0).unwrap_or(0);
    let bytes = database(&installed, time)?;
    recorder.file(PATH, &bytes, 0o644, &shared())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::merge::{follow, merge};
    use crate::package::Description;

    #[test]
    fn what_a_link_made_needless_is_not_installed() {
        let filesystem = Fixture::new("filesystem").directory("usr/bin").link("usr/sbin", "bin").0;
        let mut tool = Fixture::new("tool")
            .file("usr/bin/tool", "tool")
            .link("usr/sbin/tool", "../bin/tool")
            .directory("usr/sbin")
            .0;
        let files = ["usr/bin/tool", "usr/sbin", "usr/sbin/tool", "var/log/ghost"];
        let files = files.iter().map(|path| TreePath::new(path).ok()).collect();
        tool.description = Description::Rpm(RpmDescription { files, ..RpmDescription::default() });
        let mut packages = [filesystem, tool];
        follow(&mut packages).unwrap();
        let tree = merge(&packages, calypte_base::Epoch(0)).unwrap();
        let states: Vec<Vec<FileState>> =
            RpmPackage::among(&packages).iter().map(|package| package.states(&tree)).collect();
        use FileState::{Normal, NotInstalled};
        assert_eq!(states, [[Normal, NotInstalled, NotInstalled, Normal]]);
    }
}
