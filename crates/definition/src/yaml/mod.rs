//! The one reader of catalog files: strict YAML 1.2, text in, typed values or a [`Diagnostic`] out.
//!
//! The syntax is `granit-parser`'s; what this module adds is a tree whose nodes know their place, so that every error
//! of the typed layer above points at a line and column too. It is strict where YAML is known to surprise:
//!
//! - one document; no anchors, aliases, tags, merge keys, directives or duplicate keys;
//! - a string that looks like a number, a boolean or null must be quoted (`"0644"`, `"3.14"`, `"true"`);
//! - a key without a value is an error, and never means "empty" or "absent";
//! - whole numbers are decimal, without leading zero.
//!
//! A Rust enum is chosen by the key that bears a variant's name. Where the variant holds a struct that has a field of
//! that very name, its options stand beside the key (`{dir: /run/x, mode: "0755"}`); otherwise the variant's value is
//! the key's value (`{port: 80}`). A variant without a value is its name.

mod deserialize;
mod enumeration;
mod node;
mod problem;
mod scalar;
mod spanned;

use serde::de::DeserializeOwned;

pub use spanned::{Entries, Span, Spanned};

use crate::diagnostic::{Diagnostic, diagnostic};

/// The largest catalog file in bytes: hundreds of times what a hand writes, and small beside the memory of any machine.
pub const MAX_SIZE: usize = 4 << 20;
/// The deepest nesting: the catalog's own formats need seven levels, and the reader recurses once for each.
pub const MAX_DEPTH: usize = 32;
/// The most nodes (keys, values, lists, mappings) in one file: bounds memory to some tens of megabytes.
pub const MAX_NODES: usize = 400_000;

/// Reads one catalog file. `file` is only its name in errors.
///
/// # Errors
/// At the first thing that is not the strict YAML described above or does not fit `T`; unknown keys and values are
/// answered with those that there are.
pub fn from_str<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Diagnostic> {
    node::parse(text).and_then(|node| T::deserialize(&node)).map_err(|problem| {
        diagnostic(file, text, problem.span.unwrap_or_default(), problem.message, problem.hint)
    })
}

#[cfg(test)]
mod tests;
