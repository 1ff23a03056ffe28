//! Documents of feeds → advisories, scores and known exploits, one by one as they are read.

mod chainguard;
mod csaf;
mod debian_tracker;
mod documents;
mod ecosystem;
mod epss;
mod error;
mod kev;
mod osv;
mod purl;
mod rustsec;
mod updateinfo;
pub(crate) mod whole;

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use calypte_base::Epoch;

pub use documents::read_file;
pub use ecosystem::osv_name;
pub use error::FeedError;

use crate::finding::Exploited;
use crate::model::Advisory;

/// The forms of documents that feeds come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feed {
    /// Chainguard's advisories, version 2, YAML: a package a document.
    Chainguard,
    /// CSAF 2.0: advisories and VEX, a document each; `deletions.csv` beside them takes documents away.
    Csaf,
    /// Debian's security tracker: all in one JSON document.
    DebianTracker,
    /// EPSS scores, CSV.
    Epss,
    /// CISA's known exploited vulnerabilities, JSON.
    Kev,
    /// OSV, a document each, JSON or YAML.
    Osv,
    /// RustSec's advisories, Markdown with TOML in front.
    Rustsec,
    /// The `updateinfo.xml` of an RPM repository.
    Updateinfo,
}

impl Feed {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 8] = [
        Self::Chainguard,
        Self::Csaf,
        Self::DebianTracker,
        Self::Epss,
        Self::Kev,
        Self::Osv,
        Self::Rustsec,
        Self::Updateinfo,
    ];

    /// Its name in `catalog/advisories.yaml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chainguard => "chainguard",
            Self::Csaf => "csaf",
            Self::DebianTracker => "debian-tracker",
            Self::Epss => "epss",
            Self::Kev => "kev",
            Self::Osv => "osv",
            Self::Rustsec => "rustsec",
            Self::Updateinfo => "updateinfo",
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Feed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|feed| feed.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|feed| feed.name()).collect();
            format!("there is no form of feed `{text}`: there are {}", names.join(", "))
        })
    }
}

/// Takes what a feed says. An error of it ends the reading, and comes out as [`FeedError::Sink`].
pub trait Sink {
    /// An advisory; one with the same id as an earlier one of the same feed takes its place.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError>;

    /// A CVE's probability of being exploited in the next 30 days, and its percentile, both 0 to 1.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn epss(&mut self, flaw: &str, probability: f64, percentile: f64) -> Result<(), SinkError>;

    /// A CVE that is known to be exploited.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn exploited(&mut self, flaw: &str, exploited: Exploited) -> Result<(), SinkError>;

    /// The feed says of what date its content is; the newest that was told counts.
    fn dated(&mut self, date: Epoch);
}

/// Why what a feed says cannot be taken.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Reads one document of a feed, whose name is for errors.
///
/// # Errors
/// When it is not what the form says, or is larger than any: with its name and the place in it.
pub fn read(feed: Feed, document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    match feed {
        Feed::Chainguard => chainguard::read(document, reader, sink),
        Feed::Csaf => csaf::read(document, reader, sink),
        Feed::DebianTracker => debian_tracker::read(document, reader, sink),
        Feed::Epss => epss::read(document, reader, sink),
        Feed::Kev => kev::read(document, reader, sink),
        Feed::Osv => osv::read(document, reader, sink),
        Feed::Rustsec => rustsec::read(document, reader, sink),
        Feed::Updateinfo => updateinfo::read(document, reader, sink),
    }
}

#[cfg(test)]
mod tests;
