//! Boot loader entries (UAPI Boot Loader specification): their texts, their file names with boot counters, `loader.conf`.

/// A file name of an entry or of a unified kernel image, taken apart: `name+LEFT-DONE.conf` counts boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// The name without counter and extension.
    pub name: String,
    /// The counter, where there is one.
    pub counter: Option<Counter>,
    /// `conf` or `efi`.
    pub extension: String,
}

/// How often an entry may still be tried, and how often it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// Tries left.
    pub left: u32,
    /// Tries done.
    pub done: u32,
}

/// A text file of keys and values: an entry (`loader/entries/*.conf`) or `loader.conf`. Comments, blank lines and keys
/// that are unknown stay where they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Other(String),
    Field { key: String, value: String },
}
