//! YAML documents that others write: text in, typed values out, or what is wrong and where.
//!
//! Advisories come in it, tens of thousands in one feed. The reader of the catalog is strict, so that a person's slip is
//! found; this one takes what programs write, and is strict only where a text could cost more than its size:
//!
//! - one document, no deeper than [`MAX_DEPTH`], with no more nodes than the caller allows;
//! - no aliases: a few lines of them expand to gigabytes, or to themselves; no tags and no merge keys;
//! - no key twice in one mapping.
//!
//! What a plain scalar means follows the type that is asked for: where a string is wanted, `1.10` is the text `1.10`,
//! because it is a version as often as it is a number. A key without a value is an absent [`Option`].

mod deserialize;
mod node;

use std::fmt;

use serde::de::DeserializeOwned;

/// The deepest nesting; advisories need ten levels, and the reader recurses once for each.
pub const MAX_DEPTH: usize = 64;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

impl YamlError {
    fn at(place: Place, reason: impl Into<String>) -> Self {
        Self { line: place.line, column: place.column, reason: reason.into() }
    }

    /// The place, unless a node further in has given a nearer one.
    fn or_at(self, place: Place) -> Self {
        if self.line == 0 { Self { line: place.line, column: place.column, ..self } } else { self }
    }
}

impl serde::de::Error for YamlError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        // Errors of serde know no place: line 0 until a node on the way up gives its own.
        Self { line: 0, column: 0, reason: message.to_string() }
    }
}

/// A place in the text, counted from 1.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    line: usize,
    column: usize,
}

/// Reads one document of at most `max_nodes` keys, values, lists and mappings; memory is some hundred bytes for each.
///
/// # Errors
/// At the first thing that is no YAML, that is refused as described above, or that does not fit `T`.
pub fn from_str<T: DeserializeOwned>(text: &str, max_nodes: usize) -> Result<T, YamlError> {
    let node = node::parse(text, max_nodes)?;
    T::deserialize(&node).map_err(|error| error.or_at(node.place))
}

#[cfg(test)]
mod tests;
