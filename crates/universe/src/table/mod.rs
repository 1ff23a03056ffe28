//! The packages of one repository and architecture as a compact table: an index of either format in, one line a package
//! out, its columns separated by tabs.
//!
//! Of the 65 MB of Debian's `Packages`, or the 400 MB of Fedora's `primary.xml`, a solver needs a small part. As a text of
//! fixed columns that part is read back at the speed of a search for line ends and needs no allocation per package.

pub mod deb;
pub mod rpm;

use calypte_base::TreePath;
use calypte_base::path::PathError;
use calypte_base::version::deb::DebVersionError;
use calypte_formats::compression::CompressionError;
use calypte_formats::deb822::Deb822Error;
use calypte_formats::rpm_repository::RepositoryError;

/// The columns, in their order. A change of them needs a new [`crate::index::VERSION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    Version,
    Architecture,
    Source,
    SourceVersion,
    MultiArch,
    Essential,
    Priority,
    PreDepends,
    Depends,
    Recommends,
    Suggests,
    Supplements,
    Enhances,
    Provides,
    Conflicts,
    Breaks,
    Obsoletes,
    InstalledSize,
    Path,
    Size,
    Sha256,
}

/// How many columns a line has.
pub(crate) const COLUMNS: usize = 22;

/// An index that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A `Packages` file is no control data, or cannot be read.
    #[error(transparent)]
    Form(#[from] Deb822Error),
    /// A package lacks a field.
    #[error("the package at line {line} has no field `{field}`")]
    Missing {
        /// Line number of the paragraph's start.
        line: usize,
        /// The field's name.
        field: &'static str,
    },
    /// A field's value is not of its form.
    #[error("package `{package}` at line {line}: field `{field}`: `{text}` is not {expected}")]
    Field {
        /// The package.
        package: String,
        /// Line number of the paragraph's start.
        line: usize,
        /// The field's name.
        field: &'static str,
        /// The value, cut at 100 characters.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A package's version cannot be compared.
    #[error("package `{package}` at line {line}: {source}")]
    Version {
        /// The package.
        package: String,
        /// Line number of the paragraph's start.
        line: usize,
        /// What is wrong.
        source: DebVersionError,
    },
    /// A package's file would lie outside of the repository.
    #[error("package `{package}` at line {line}: {source}")]
    Path {
        /// The package.
        package: String,
        /// Line number of the paragraph's start.
        line: usize,
        /// What is wrong.
        source: PathError,
    },
    /// The metadata of an RPM repository cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A package of an RPM repository has a value that cannot be.
    #[error("package `{package}`: {field}: `{text}` is not {expected}")]
    Value {
        /// The package.
        package: String,
        /// The element.
        field: &'static str,
        /// The value, cut at 100 characters.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The lists of files are of other packages than the index.
    #[error("it lists the files of {found}, but primary calls the package with this checksum {expected}")]
    OtherFiles {
        /// What the list says: name, version and architecture.
        found: String,
        /// What the index says.
        expected: String,
    },
    /// It has more in it than is held in memory.
    #[error("it holds more than {limit} bytes of {of}")]
    TooBig {
        /// Of what.
        of: &'static str,
        /// The most that is held.
        limit: usize,
    },
    /// The lists of files lack a package.
    #[error("it lists no files of {package}, which primary has")]
    NoFiles {
        /// The package: name, version and architecture.
        package: String,
    },
}

impl TableError {
    /// Whether it is only that there is too much.
    #[must_use]
    pub fn is_too_big(&self) -> bool {
        let of = |error| matches!(CompressionError::of(error), Some(CompressionError::LimitExceeded { .. }));
        match self {
            Self::TooBig { .. } => true,
            Self::Form(Deb822Error::Io(error)) | Self::Repository(RepositoryError::Io(error)) => of(error),
            _ => false,
        }
    }
}

/// Whether a text can be the name or version of a package in a table, and therefore in a lock: it becomes part of paths,
/// addresses and messages. Looser than either format, so that it refuses nothing that a distribution has.
#[must_use]
pub fn is_name_or_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._~^:".contains(&byte))
}

/// What is wrong with a text that is to be the path of a package file below a mirror; `None` when nothing is.
#[must_use]
pub fn wrong_path(text: &str) -> Option<String> {
    let odd = text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
    if odd || text.is_empty() || text.starts_with('/') || text.contains("://") {
        return Some(format!("`{text}` is not a path below a mirror"));
    }
    TreePath::new(text).err().map(|error| error.to_string())
}

/// Appends a package.
fn push_row(table: &mut String, columns: &[&str; COLUMNS]) {
    for (place, value) in columns.iter().enumerate() {
        if place > 0 {
            table.push('\t');
        }
        push_unfolded(table, value);
    }
    table.push('\n');
}

/// Appends a value with each run of white space that holds a tab or a line end as one space.
fn push_unfolded(table: &mut String, value: &str) {
    if memchr::memchr2(b'\n', b'\t', value.as_bytes()).is_none() {
        return table.push_str(value);
    }
    for (place, word) in value.split_ascii_whitespace().enumerate() {
        if place > 0 {
            table.push(' ');
        }
        table.push_str(word);
    }
}
