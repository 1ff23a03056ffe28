//! The stage's product: an image definition with its parents, stream and variant applied, every value checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use calypte_base::{Architecture, PackageFormat, TreePath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fs::{FsChange, FsVerb};
use crate::page::{Compatibility, Example};
use crate::test::Test;

/// The name of the variant that every family has.
pub const DEFAULT_VARIANT: &str = "default";

/// Names one image. Displays as `family[:stream][-variant]`; the variant `default` is not written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageId {
    /// The family, as `image:` in its file.
    pub family: String,
    /// The stream; none only for families without streams, or where it is not settled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The variant, [`DEFAULT_VARIANT`] for the plain image.
    pub variant: String,
}

impl ImageId {
    /// What tells the image from others of its family: `default`, `builder`, `3.14`, `3.14-builder`.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.stream {
            None => self.variant.clone(),
            Some(stream) if self.variant == DEFAULT_VARIANT => stream.clone(),
            Some(stream) => format!("{stream}-{}", self.variant),
        }
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.family)?;
        if let Some(stream) = &self.stream {
            write!(formatter, ":{stream}")?;
        }
        if self.variant != DEFAULT_VARIANT {
            write!(formatter, "-{}", self.variant)?;
        }
        Ok(())
    }
}

/// Everything that a definition says about one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageDefinition {
    /// Which image this is; its stream is settled.
    pub id: ImageId,
    /// The name of the software as its makers write it.
    pub title: String,
    /// What the image is for.
    pub description: String,
    /// The shelf of the catalog on which it stands.
    pub category: Category,
    /// The home page of the software.
    pub url: Option<String>,
    /// The licences of the main software, as an SPDX expression.
    pub licenses: Option<String>,
    /// The image that this one adds to.
    pub parent: Option<ImageId>,
    /// The universes in which it can be built; all if none are named.
    pub universes: Option<BTreeSet<String>>,
    /// The packages asked for, by package format.
    pub packages: BTreeMap<PackageFormat, BTreeSet<String>>,
    /// Which package provides a virtual one.
    pub prefer: BTreeMap<String, String>,
    /// The named sets of files that are left out.
    pub slices: BTreeSet<String>,
    /// Changes to the tree, in the order in which they are made: the parents' first.
    pub fs: Vec<FsChange>,
    /// How containers start.
    pub run: RunConfig,
    /// Who they run as.
    pub user: User,
    /// What the finished image must do.
    pub tests: Vec<Test>,
    /// Templates of the image's tags; see [`crate::tags`].
    pub tags: Vec<String>,
    /// The package whose version is the image's; `{arch}` stands for the architecture.
    pub version_of: BTreeMap<PackageFormat, String>,
    /// When support ends.
    pub end_of_life: Option<EndOfLife>,
    /// What the image may hold although images normally must not.
    pub allow: BTreeSet<Allowance>,
    /// How it differs from a well-known image. For readers: what an image is made from does not hold it.
    #[serde(skip)]
    pub compatibility: Option<Compatibility>,
    /// An example of building upon it. For readers, as well.
    #[serde(skip)]
    pub example: Option<Example>,
    /// What the image must be.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub require: BTreeSet<Requirement>,
    /// By format, the packages that are in the image although no file of it refers to them, each with what it is for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keep: BTreeMap<PackageFormat, BTreeMap<String, String>>,
    /// What makes it an image that machines boot from; none for images of containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
}

/// What an image needs beside its files for machines to boot from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Host {
    /// The kernel modules in the initramfs, by the kernel's names; what they depend on comes along.
    pub modules: BTreeSet<String>,
    /// Arguments of the kernel's command line.
    pub kernel_arguments: Vec<String>,
}

impl ImageDefinition {
    /// Whether the image can be built in this universe.
    #[must_use]
    pub fn is_in_universe(&self, universe: &str) -> bool {
        self.universes.as_ref().is_none_or(|universes| universes.contains(universe))
    }

    /// The changes to the tree of an image that is made of packages of this format, in their order.
    pub fn fs_of(&self, format: PackageFormat) -> impl Iterator<Item = &FsVerb> {
        let holds = move |change: &&FsChange| change.format.is_none_or(|only| only == format);
        self.fs.iter().filter(holds).map(|change| &change.verb)
    }

    /// The programs of the catalog that an image holds which is made of packages of this format.
    #[must_use]
    pub fn programs_of(&self, format: PackageFormat) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for verb in self.fs_of(format) {
            if let FsVerb::Program { name, .. } = verb {
                names.insert(name.as_str());
            }
        }
        names
    }

    /// The tests of an image that is made of packages of this format, in their order.
    pub fn tests_of(&self, format: PackageFormat) -> impl Iterator<Item = &Test> {
        self.tests.iter().filter(move |test| test.format.is_none_or(|only| only == format))
    }

    /// The packages asked for in this format; empty if the definition names none.
    pub fn packages_of(&self, format: PackageFormat) -> impl Iterator<Item = &str> {
        self.packages.get(&format).into_iter().flatten().map(String::as_str)
    }

    /// The package whose version is the image's, on an architecture; none where the definition names none.
    #[must_use]
    pub fn version_package(&self, format: PackageFormat, architecture: Architecture) -> Option<String> {
        let name = match format {
            PackageFormat::Deb => architecture.deb(),
            PackageFormat::Rpm => architecture.rpm(),
        };
        Some(self.version_of.get(&format)?.replace("{arch}", name))
    }
}

/// How containers of an image start (OCI image config, `config` object).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RunConfig {
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Arguments after the entrypoint, which a user may replace.
    pub cmd: Vec<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// The directory in which the program starts.
    pub workdir: Option<TreePath>,
    /// Ports that the program listens on.
    pub ports: BTreeSet<Port>,
    /// Directories whose content outlives a container.
    pub volumes: BTreeSet<TreePath>,
    /// The signal that asks the program to stop: `SIGQUIT`.
    pub stop_signal: Option<String>,
    /// Labels beside the generated ones.
    pub labels: BTreeMap<String, String>,
}

/// A port. Displays and serialises as the OCI config writes it: `8080/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(formatter, "{}/{protocol}", self.number)
    }
}

impl Serialize for Port {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The user that containers run as. Its group bears the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name of the user and of its group.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The home directory.
    pub home: TreePath,
}

/// When support for an image's software ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOfLife {
    /// As endoflife.date says for this product; its cycle is the image's stream.
    Product(String),
    /// On this day, `YYYY-MM-DD`.
    Date(String),
}

/// What an image may hold although images normally must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Allowance {
    /// A shell.
    Shell,
    /// A package manager and its complete database.
    PackageManager,
    /// Files with the setuid or setgid bit.
    Setuid,
    /// Containers that run as root.
    Root,
}

/// What the tree of an image must be, and is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// OpenSSL's FIPS provider is there and active, and no library has cryptography of its own.
    Fips,
}

impl fmt::Display for Category {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Base => "base",
            Self::Runtime => "runtime",
            Self::Web => "web",
            Self::Database => "database",
            Self::Cache => "cache",
            Self::Network => "network",
            Self::Monitoring => "monitoring",
            Self::Tool => "tool",
            Self::Host => "host",
        })
    }
}

/// The shelves of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Images that others are made from.
    Base,
    /// Languages and their run-time environments.
    Runtime,
    /// Web servers and proxies.
    Web,
    /// Databases.
    Database,
    /// Caches, queues and stores of keys.
    Cache,
    /// Names, time, mail, logins and other services of networks.
    Network,
    /// Measuring and alerting.
    Monitoring,
    /// Programs run from the command line.
    Tool,
    /// Whole systems that machines boot from.
    Host,
}
