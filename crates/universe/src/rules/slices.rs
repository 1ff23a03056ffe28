//! `slices.yaml`: named sets of files (`docs`, `man`, `locale`, …) that an image can leave out by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The slices by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slices(pub BTreeMap<String, Slice>);

/// A named set of files. `usr/share/doc/*/copyright` is kept whatever a slice says: licences must travel with the
/// files, and scanners read them there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// What is in it, for a person who chooses.
    pub title: String,
    /// Globs of the paths to drop, without a leading slash; `*` stays within a directory, `**` does not.
    pub drop: Vec<String>,
    /// Globs of the paths to keep although a glob of `drop` matches them.
    #[serde(default)]
    pub keep: Vec<String>,
}
