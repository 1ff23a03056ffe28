//! `calypte diff`: what is different between two images or two locks, in packages, files and bytes.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use serde::Serialize;

/// What one side of a comparison holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// What the user called it.
    pub name: String,
    /// Package name → version.
    pub packages: BTreeMap<String, String>,
    /// Path → what is there; `None` for a lock, which knows no files.
    pub files: Option<BTreeMap<TreePath, FileState>>,
    /// Bytes to download: of the packages of a lock, of the layers of an image.
    pub size: u64,
}

/// What lies at a path, as far as a difference can show in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// All that makes it what it is, but for its time: kind, mode, owner, content.
    pub state: String,
    /// Size in bytes; 0 for all but regular files.
    pub size: u64,
}

/// The differences between two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What the user called the first side.
    pub from: String,
    /// What the user called the second side.
    pub to: String,
    /// Packages that differ, by name.
    pub packages: Vec<PackageChange>,
    /// Paths that differ; `None` when one side is a lock.
    pub files: Option<Vec<FileChange>>,
    /// Bytes to download of the first side.
    pub size_from: u64,
    /// Bytes to download of the second side.
    pub size_to: u64,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Its version on the first side; `None` when it is not there.
    pub from: Option<String>,
    /// Its version on the second side; `None` when it is not there.
    pub to: Option<String>,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// The path.
    pub path: TreePath,
    /// How.
    pub change: Change,
    /// Size on the second side less that on the first, in bytes.
    pub size: i64,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the second side has it.
    Added,
    /// Only the first side has it.
    Removed,
    /// Kind, mode, owner or content differ; a mere difference in time is none.
    Changed,
}

impl Difference {
    /// Whether both sides are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.files.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Compares two sides.
#[must_use]
pub fn diff(from: &Side, to: &Side) -> Difference {
    let names: BTreeSet<&String> = from.packages.keys().chain(to.packages.keys()).collect();
    let packages = names.into_iter().filter(|name| from.packages.get(*name) != to.packages.get(*name));
    let change = |name: &String| PackageChange {
        name: name.clone(),
        from: from.packages.get(name).cloned(),
        to: to.packages.get(name).cloned(),
    };
    Difference {
        from: from.name.clone(),
        to: to.name.clone(),
        packages: packages.map(change).collect(),
        files: from.files.as_ref().zip(to.files.as_ref()).map(|(from, to)| files(from, to)),
        size_from: from.size,
        size_to: to.size,
    }
}

fn files(from: &BTreeMap<TreePath, FileState>, to: &BTreeMap<TreePath, FileState>) -> Vec<FileChange> {
    let paths: BTreeSet<&TreePath> = from.keys().chain(to.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (old, new) = (from.get(path), to.get(path));
        let change = match (old, new) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (Some(old), Some(new)) if old.state != new.state => Change::Changed,
            _ => continue,
        };
        let size = |state: Option<&FileState>| {
            state.map_or(0, |state| i64::try_from(state.size).unwrap_or(i64::MAX))
        };
        changes.push(FileChange { path: path.clone(), change, size: size(new) - size(old) });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, packages: &[(&str, &str)], files: &[(&str, &str, u64)]) -> Side {
        let file = |(path, state, size): &(&str, &str, u64)| {
            (TreePath::new(path).unwrap(), FileState { state: (*state).into(), size: *size })
        };
        Side {
            name: name.into(),
            packages: packages.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect(),
            files: Some(files.iter().map(file).collect()),
            size: 0,
        }
    }

    #[test]
    fn added_removed_and_changed() {
        let old =
            side("a", &[("p", "1"), ("q", "1"), ("r", "1")], &[("x", "1", 10), ("y", "1", 5), ("z", "1", 1)]);
        let new =
            side("b", &[("p", "2"), ("q", "1"), ("s", "1")], &[("x", "2", 7), ("z", "1", 1), ("w", "1", 3)]);
        let difference = diff(&old, &new);
        let packages: Vec<_> = difference
            .packages
            .iter()
            .map(|change| (&*change.name, change.from.as_deref(), change.to.as_deref()))
            .collect();
        assert_eq!(packages, [("p", Some("1"), Some("2")), ("r", Some("1"), None), ("s", None, Some("1"))]);
        let files: Vec<_> = difference
            .files
            .unwrap()
            .iter()
            .map(|file| (file.path.to_string(), file.change, file.size))
            .collect();
        let expected = [("/w", Change::Added, 3), ("/x", Change::Changed, -3), ("/y", Change::Removed, -5)];
        assert_eq!(files, expected.map(|(path, change, size)| (path.to_owned(), change, size)));
    }

    #[test]
    fn the_same_is_empty() {
        let one = side("a", &[("p", "1")], &[("x", "1", 1)]);
        assert!(diff(&one, &one).is_empty());
    }
}
