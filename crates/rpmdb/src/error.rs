//! Why a database cannot be made or read.

use calypte_formats::rpm::HeaderError;

/// Why a database cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A header is malformed.
    #[error("package number {number}: {source}")]
    Header {
        /// Which package, counted from one.
        number: i64,
        /// What is wrong.
        source: HeaderError,
    },
    /// The states are not those of the package's files.
    #[error("package {package} has {files} files, but {states} states are given for them")]
    States {
        /// Its name.
        package: String,
        /// How many files its header lists.
        files: usize,
        /// How many states were given.
        states: usize,
    },
    /// The signature header has a value of a type that rpm does not take.
    #[error("package {package}: tag {tag} of its signature header has values of another type than rpm takes")]
    SignatureTag {
        /// Its name.
        package: String,
        /// The tag.
        tag: u32,
    },
    /// The signature header names another digest of the main header than that has.
    #[error(
        "package {package}: tag {tag} of its signature header is not the digest {expected} of the main header"
    )]
    Digest {
        /// Its name.
        package: String,
        /// The tag.
        tag: u32,
        /// What it should be, in hex.
        expected: String,
    },
    /// The signatures are larger than any that is made in good faith.
    #[error("package {package}: its signatures have {size} bytes together; the most are {limit}")]
    Signatures {
        /// Its name.
        package: String,
        /// Their size in bytes.
        size: usize,
        /// The most, in bytes.
        limit: usize,
    },
    /// With what is added, the header is too large for its format.
    #[error("package {package}: the header is too large to be installed")]
    TooLarge {
        /// Its name.
        package: String,
    },
    /// It is no database of rpm.
    #[error("it is no package database of rpm: {0}")]
    NotOfRpm(&'static str),
    /// SQLite failed.
    #[error("the package database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}
