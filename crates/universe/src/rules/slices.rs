//! `slices.yaml`: named sets of files (`docs`, `man`, `locale`, …) that an image can leave out by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The slices by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slices(pub BTreeMap<String, Slice>);

/// A named set of files. Licences are kept whatever a slice says: they must travel with the files, and scanners read
/// them in `usr/share/doc/*/copyright`, in `usr/share/licenses`, and where a package marks a file as its licence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// What is in it, for a person who chooses.
    pub title: String,
    /// Globs of the paths to drop, without a leading slash; `*` stays within a directory, `**` does not.
    #[serde(default)]
    pub drop: Vec<String>,
    /// What packages say of their own files: those of these kinds are dropped, wherever they lie.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub marked: BTreeSet<Marked>,
    /// Globs of the paths to keep although the slice drops them.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// What a package can say of a file (RPM's `%doc`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Marked {
    /// It is documentation.
    Doc,
}
