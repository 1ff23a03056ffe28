//! What is known of an image's contents, in no document format: the one model that is written as SPDX 2.3, SPDX 3.0.1 and
//! CycloneDX 1.6, and that is matched against advisories. It holds no vulnerability data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use calypte_base::{Digest, Epoch};
use serde::{Deserialize, Serialize};

/// A bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sbom {
    /// What it is of.
    pub subject: Subject,
    /// The time that the documents carry: that of the image, never the clock.
    pub created: Epoch,
    /// The distribution, as `/usr/lib/os-release` says; none where there is none.
    pub distribution: Option<Distribution>,
    /// The components, by their [`Component::id`].
    pub components: BTreeMap<String, Component>,
    /// The files, by path with a leading slash; regular files and hard links, and symbolic links as empty files are not
    /// listed.
    pub files: BTreeMap<String, SbomFile>,
    /// What each component needs, by [`Component::id`]; a component that is not here is one of which nothing is known.
    pub dependencies: BTreeMap<String, Dependencies>,
}

/// What a bill of materials is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its name (`nginx`, `python:3.14-builder`).
    pub name: String,
    /// Its version: the label `org.opencontainers.image.version`, or none.
    pub version: Option<String>,
    /// The digest of the image's manifest, where it is an image.
    pub digest: Option<Digest>,
    /// The OCI name of its architecture (`amd64`); none for a directory.
    pub architecture: Option<String>,
    /// Who supplies it (an organisation), where it is known.
    pub supplier: Option<String>,
}

/// The kinds of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A container image.
    Container,
    /// A directory.
    Directory,
}

/// A distribution, by its os-release(5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// `ID`.
    pub id: String,
    /// `ID_LIKE`, word by word.
    pub like: Vec<String>,
    /// `VERSION_ID`; none for rolling ones.
    pub version: Option<String>,
    /// `VERSION_CODENAME`, or what tells a rolling one (`sid`).
    pub codename: Option<String>,
    /// `PRETTY_NAME`.
    pub title: Option<String>,
    /// `CPE_NAME`.
    pub cpe: Option<String>,
}

/// The kinds of package, each an ecosystem with rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// Debian and its kin.
    Deb,
    /// RPM.
    Rpm,
    /// Alpine and its kin.
    Apk,
    /// Python, of PyPI.
    Python,
    /// JavaScript, of npm.
    Npm,
    /// A Go module, out of a binary's build information; Go's own library is `stdlib`.
    Go,
    /// A Rust crate, out of what `cargo auditable` leaves in a binary.
    Cargo,
    /// A Java archive, by Maven's coordinates: the name is `group:artifact`.
    Maven,
}

impl PackageKind {
    /// The type of its package URLs.
    #[must_use]
    pub const fn purl_type(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
            Self::Python => "pypi",
            Self::Npm => "npm",
            Self::Go => "golang",
            Self::Cargo => "cargo",
            Self::Maven => "maven",
        }
    }

    /// Whether a distribution's package manager installs it.
    #[must_use]
    pub const fn is_distribution(self) -> bool {
        matches!(self, Self::Deb | Self::Rpm | Self::Apk)
    }
}

impl fmt::Display for PackageKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.purl_type())
    }
}

/// A package in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What tells it from all others of the document, and is the same in each build: `deb/libc6@2.41-1.amd64`, for language
    /// packages with the place where it was found (`pypi/requests@2.0#/usr/lib/python3/dist-packages/…`).
    pub id: String,
    /// Its ecosystem.
    pub kind: PackageKind,
    /// Its name, as its ecosystem writes it.
    pub name: String,
    /// Its version, whole, as its ecosystem writes it (`1:2.3-4`; an RPM's epoch is left out only where it has none).
    pub version: String,
    /// As the package writes it (`amd64`, `all`, `noarch`); none where it has none.
    pub architecture: Option<String>,
    /// The source package that it was built from; none where none is named.
    pub source: Option<SourcePackage>,
    /// The label of the module stream that it belongs to (`nodejs:18:…`, RPM only).
    pub module: Option<String>,
    /// Who supplies it: an organisation, or a person with an address in angle brackets.
    pub supplier: Option<String>,
    /// Under which terms it may be used.
    pub licences: Licences,
    /// The copyright notices, one a line, in the order of their file; empty where none are known.
    pub copyright: Vec<String>,
    /// One line that says what it is.
    pub summary: Option<String>,
    /// Its home page.
    pub homepage: Option<String>,
    /// Where the package file can be had; none where it is not known.
    pub download: Option<String>,
    /// SHA-256 of the package file; none where it is not known.
    pub sha256: Option<Digest>,
    /// Its package URL, with `distro`, `arch`, `upstream`, `epoch` where they apply.
    pub purl: String,
    /// Names in the Common Platform Enumeration 2.3, as its ecosystem itself gives them; never guessed for matching.
    pub cpes: Vec<String>,
    /// For a language package: the paths that told of it.
    pub found_in: BTreeSet<String>,
    /// For a language package: the distribution package (its [`Component::id`]) whose files tell of it. Such a one is part
    /// of that package and is matched by that package's advisories alone.
    pub part_of: Option<String>,
    /// Until when it is supported, where the universe says so.
    pub end_of_life: Option<Epoch>,
}

/// A source package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version. That of an RPM lacks the epoch, which source packages' file names do not have.
    pub version: String,
}

/// Under which terms a package may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licences {
    /// What its makers say, as an SPDX expression; none where they say nothing that can be read.
    pub declared: Option<String>,
    /// What we conclude from the files that we read, as an SPDX expression; none where we conclude nothing.
    pub concluded: Option<String>,
    /// The text of each `LicenseRef-…` that the expressions name, by that name.
    pub texts: BTreeMap<String, String>,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SbomFile {
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// SHA-512 of its bytes, in lower-case hexadecimal digits; none where it was not computed.
    pub sha512: Option<String>,
    /// SHA-1 of its bytes, which SPDX 2.3 demands, in lower-case hexadecimal digits; none where it was not computed.
    pub sha1: Option<String>,
    /// Its number of bytes.
    pub size: u64,
    /// Whether it may be run.
    pub executable: bool,
    /// Whose it is.
    pub owner: FileOwner,
    /// The digest of the layer blob that it lies in; none where it is not known.
    pub layer: Option<Digest>,
}

/// Whose a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileOwner {
    /// A component's, by its id.
    Component(String),
    /// Made while the image was.
    Generated {
        /// By which finisher (`ld-so-cache`).
        by: String,
        /// Out of which component's data alone; none when out of more.
        of: Option<String>,
    },
    /// The image definition's own.
    Definition,
    /// Nobody is known to own it: in foreign images.
    Nobody,
}

/// What a component needs to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    /// The components that meet its needs, by their ids.
    pub on: BTreeSet<String>,
    /// Whether these are all.
    pub completeness: Completeness,
}

/// How much is known of relations (CISA's and BSI's minimum elements).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// All that there are.
    Complete,
    /// Some are known to be missing: what they name is not in the image.
    Incomplete,
    /// Nothing is known.
    Unknown,
}
