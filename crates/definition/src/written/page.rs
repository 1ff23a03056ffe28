//! Keys that are for the page about a family, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Text, TextFile};
use crate::yaml::{Entries, Spanned};

/// How the image differs from a well-known one with the same software.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompatibilityFile {
    /// The well-known image, with its registry and without a tag: `docker.io/library/nginx`.
    #[schemars(regex(pattern = "^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$"))]
    pub image: Text,
    /// What a user of that image must know.
    #[schemars(length(min = 1))]
    pub table: Vec<DifferenceFile>,
}

/// One thing of the well-known image, and what stands in its place.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceFile {
    /// What the well-known image has.
    pub theirs: Text,
    /// What this one has.
    pub here: Text,
    /// Why it is otherwise; left out where it is the same.
    #[serde(default)]
    pub why: Option<Text>,
}

/// A program that is built in one image and runs in another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleFile {
    /// What the example shows, in a sentence.
    pub shows: Text,
    /// The files beside the Containerfile, by their names.
    #[serde(default)]
    pub files: Entries<Text>,
    /// The Containerfile. Behind `FROM` stands `{image}` (this image), `{builder}` (its builder variant), another image of
    /// the catalog (`{static}`), or the name of a stage.
    pub containerfile: Text,
    /// What a container of the outcome must write to standard output.
    pub output: Spanned<TextFile>,
}
