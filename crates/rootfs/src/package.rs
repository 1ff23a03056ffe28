//! A package as it lies unpacked in the store: what its archive said, without the files' bytes.
//!
//! Everything that a later step wants to know about a file is collected while the archive streams by, so that
//! merging, finishers and checks open no file, and a second build reads only this.

use std::collections::BTreeMap;

use calypte_base::{Digest, Epoch, TreePath};
use calypte_formats::deb822;
use calypte_formats::elf::ElfFacts;
use serde::{Deserialize, Serialize};

use crate::tree::Node;

/// One unpacked package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpackedPackage {
    /// Its name (`libc6`), without an architecture.
    pub name: String,
    /// Its version, as the package writes it.
    pub version: String,
    /// `amd64`, `arm64` or `all`, as the package writes it.
    pub architecture: String,
    /// The source package's name.
    pub source: String,
    /// The source package's version.
    pub source_version: String,
    /// SHA-256 of the package file.
    pub digest: Digest,
    /// What it says of itself in the words of its format; the package records are made of this.
    pub description: Description,
    /// The maintainer scripts that it has, by the name of their kind (`postinst`, `post`); where there may be several
    /// of a kind, with a number (`triggerin.2`). An RPM scriptlet's text begins with its interpreter as a `#!` line.
    pub scripts: BTreeMap<String, Script>,
    /// Its configuration files, usrmerged as the entries are.
    pub conffiles: Vec<TreePath>,
    /// The users and groups that it declares beside its files, each as a line of sysusers.d(5).
    pub accounts: Vec<String>,
    /// Its files in path order: each path once, each directory before what lies in it.
    pub entries: Vec<UnpackedEntry>,
    /// The newest modification time in the package.
    pub date: Epoch,
    /// How often it changes: the entries of its changelog in the 365 days that end with the newest one, itself counted.
    /// 0 when it has no changelog that can be read.
    pub changes: u32,
}

impl UnpackedPackage {
    /// What a Debian package says of itself; none for others.
    #[must_use]
    pub fn deb(&self) -> Option<&DebDescription> {
        match &self.description {
            Description::Deb(deb) => Some(deb),
            Description::Rpm(_) => None,
        }
    }

    /// What an RPM package says of itself; none for others.
    #[must_use]
    pub fn rpm(&self) -> Option<&RpmDescription> {
        match &self.description {
            Description::Rpm(rpm) => Some(rpm),
            Description::Deb(_) => None,
        }
    }
}

/// What a package says of itself, as its format says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Description {
    /// `deb(5)`.
    Deb(DebDescription),
    /// RPM, version 4 or 6.
    Rpm(RpmDescription),
}

/// The control archive of a Debian package, its scripts and conffiles left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebDescription {
    /// The control paragraph, as it lies in the package.
    pub control: String,
    /// The dpkg triggers file; empty when there is none.
    pub triggers: String,
    /// The `md5sums` file as it lies in the package; empty when there is none.
    pub md5sums: String,
    /// The other members of the control archive (`conffiles`, `shlibs`, `symbols`, `templates`), by name.
    pub control_files: BTreeMap<String, String>,
}

impl DebDescription {
    /// The value of a field of the control paragraph; none when it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        // The paragraph's form was checked when the package was unpacked.
        deb822::paragraphs(self.control.as_bytes()).next()?.ok()?.get(name)
    }
}

/// The headers of an RPM package, in Base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpmDescription {
    /// The signature header, without its padding.
    pub signature: String,
    /// The main header.
    pub header: String,
    /// Where each file of the header's list went, usrmerged as the entries are, in the header's order; none for what is
    /// not put where the header says ([`crate::merge::follow`]), or is not what it says (a kernel module, which is
    /// uncompressed).
    pub files: Vec<Option<TreePath>>,
}

/// One path of an unpacked package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpackedEntry {
    /// Where it goes, top-level aliases (`/lib`) already mapped below `/usr`.
    pub path: TreePath,
    /// What goes there.
    pub node: Node,
    /// Where the bytes of a regular file that has some begin in the package's pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The user that the package gives it to by name; none when the node's id says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The group that the package gives it to by name; none when the node's id says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What the package marks it as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// What the file's bytes say of how it is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<FileFacts>,
}

impl UnpackedEntry {
    /// An entry of which nothing more is known.
    #[must_use]
    pub const fn new(path: TreePath, node: Node) -> Self {
        Self { path, node, offset: None, user: None, group: None, mark: None, facts: None }
    }
}

/// What a package says that a file is (`%config`, `%doc` and `%license` of RPM).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Configuration, which an administrator may change.
    Config,
    /// Documentation, which nothing reads at run time.
    Doc,
    /// A licence text, which must travel with the files.
    License,
}

/// How a regular file is run or loaded, read from its first bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFacts {
    /// An ELF program, library or object.
    Elf(ElfFacts),
    /// A script: the line after `#!`, trimmed, at most 256 bytes.
    Script(String),
}

/// A maintainer script. Nearly all are text; a compiled one is kept as bytes, so that nothing is lost of what is
/// to be reviewed or installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Script {
    /// UTF-8 text.
    Text(String),
    /// Anything else.
    Binary(Vec<u8>),
}

impl Script {
    /// The script's bytes as they lie in the package.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The script's text; none for a compiled one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl From<Vec<u8>> for Script {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Binary(error.into_bytes()), Self::Text)
    }
}
