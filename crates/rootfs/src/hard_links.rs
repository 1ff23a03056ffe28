//! The names of one file within a package: whichever name the package gave the contents to, the first in path order is
//! the file, and the others are links to it. So a tree is built, packed and compared in one order.

use std::collections::BTreeMap;

use calypte_base::TreePath;

use crate::package::UnpackedEntry;
use crate::tree::NodeKind;

/// Makes the first name of each file that has several the file itself, and the others links to it. All get the mode,
/// the owner, the time and the attributes of the one that was the file. Links must name a file of the same entries, not
/// another link.
pub fn order(entries: &mut BTreeMap<TreePath, UnpackedEntry>) {
    let mut names: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
    for (path, entry) in &*entries {
        if let NodeKind::HardLink(target) = &entry.node.kind {
            names.entry(target.clone()).or_default().push(path.clone());
        }
    }
    for (target, mut paths) in names {
        let Some(file) = entries.get(&target).cloned() else { continue };
        paths.push(target);
        paths.sort();
        let Some((first, others)) = paths.split_first() else { continue };
        for path in others {
            let mut link = UnpackedEntry { path: path.clone(), offset: None, facts: None, ..file.clone() };
            link.node.kind = NodeKind::HardLink(first.clone());
            entries.insert(path.clone(), link);
        }
        entries.insert(first.clone(), UnpackedEntry { path: first.clone(), ..file });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, path};

    #[test]
    fn the_first_name_is_the_file() {
        let fixture = Fixture::new("p")
            .file("b", "body")
            .hard_link("a", "b")
            .hard_link("c", "b")
            .hard_link("z", "none");
        let mut entries: BTreeMap<TreePath, UnpackedEntry> =
            fixture.0.entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        entries.get_mut(&path("b")).unwrap().offset = Some(7);
        entries.get_mut(&path("b")).unwrap().node.mode = 0o755;
        order(&mut entries);
        let shown: Vec<String> = entries
            .values()
            .map(|entry| match &entry.node.kind {
                NodeKind::HardLink(target) => {
                    format!("{} to {target} {:o} {:?}", entry.path, entry.node.mode, entry.offset)
                }
                kind => format!("{} {} {:o} {:?}", entry.path, kind.noun(), entry.node.mode, entry.offset),
            })
            .collect();
        assert_eq!(
            shown,
            ["/a a file 755 Some(7)", "/b to /a 755 None", "/c to /a 755 None", "/z to /none 644 None",]
        );
    }
}
