//! Entries of a catalog file that are well-formed each, and yet cannot hold together: found on the typed values, shown
//! at their place in the text.

use calypte_definition::yaml::Span;
use calypte_definition::{Diagnostic, Source};

/// Something that contradicts the rest of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// What stands in the file at the place to show; the last such text is meant.
    pub text: String,
    /// What is wrong.
    pub message: String,
}

impl Contradiction {
    /// Shows it at its place.
    #[must_use]
    pub fn diagnostic(self, path: &str, text: &str) -> Diagnostic {
        let start = text.rfind(&self.text).unwrap_or(0);
        let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let span = Span { start: place(start), end: place(start + self.text.len()) };
        Source::new(path, text).diagnostic(span, self.message)
    }
}
