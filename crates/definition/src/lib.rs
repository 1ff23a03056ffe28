//! Stage 1 of 8: text → Definition.
//!
//! In come the catalog's YAML files as text; out come checked, flattened image definitions, or errors that each point
//! at file, line and column and say what to do. Nothing here reads a disk: the caller hands in names and texts.

pub mod diagnostic;
mod nearest;
pub mod yaml;

pub use diagnostic::{Diagnostic, Source};
pub use nearest::nearest;
