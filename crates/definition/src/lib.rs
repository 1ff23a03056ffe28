//! Stage 1 of 8: text → Definition.
//!
//! In come the catalog's YAML files as text; out come checked, flattened image definitions, or errors that each point
//! at file, line and column and say what to do. Nothing here reads a disk: the caller hands in names and texts.
//!
//! The way of a file: [`yaml`] reads it strictly into the shapes of [`written`]; `check` looks at every value; `flatten`
//! applies parents, streams and variants; [`Catalog`] holds the outcome, an [`ImageDefinition`] for each image.
//! The format is described in `docs/reference/definition.md`.

pub mod catalog;
mod check;
pub mod diagnostic;
mod flatten;
pub mod fs;
pub mod image;
mod nearest;
pub mod page;
pub mod tags;
pub mod test;
pub mod written;
pub mod yaml;

pub use catalog::{Catalog, Family, UnknownImage};
pub use diagnostic::{Diagnostic, Source};
pub use flatten::MAX_LEVELS;
pub use fs::{FsChange, FsOwner, FsVerb, Replacement};
pub use image::{
    Allowance, Category, DEFAULT_VARIANT, EndOfLife, Host, ImageDefinition, ImageId, Port, Protocol,
    Requirement, RunConfig, User,
};
pub use nearest::nearest;
pub use page::{Compatibility, Difference, Example};
pub use test::{Sandbox, Start, Step, Test, TextCheck, Wait};
pub use written::schema;
