//! The patterns of definitions and rule tables: `*` and `?` stay within a directory, `**` does not, `{a,b}` is either.

use calypte_base::TreePath;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern `{pattern}`: {reason}")]
pub struct GlobError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A set of patterns of paths.
#[derive(Debug, Clone)]
pub struct Globs {
    set: GlobSet,
}

impl Globs {
    /// Reads patterns; a leading slash carries no meaning.
    ///
    /// # Errors
    /// At the first that is malformed.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, GlobError> {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            let named = |error: globset::Error| GlobError {
                pattern: pattern.to_owned(),
                reason: error.kind().to_string(),
            };
            let relative = pattern.trim_start_matches('/');
            let glob = GlobBuilder::new(relative).literal_separator(true).backslash_escape(true).build();
            builder.add(glob.map_err(named)?);
        }
        let set = builder.build().map_err(|error| GlobError {
            pattern: error.glob().unwrap_or_default().to_owned(),
            reason: error.kind().to_string(),
        })?;
        Ok(Self { set })
    }

    /// Whether one of the patterns matches the path.
    #[must_use]
    pub fn matches(&self, path: &TreePath) -> bool {
        self.set.is_match(path.as_str())
    }
}
