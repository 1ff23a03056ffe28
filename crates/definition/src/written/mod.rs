//! A family file as it is written: the shapes and names of the keys, nothing about their meaning. Each value keeps its
//! place, so that the checks which follow can point at it. The JSON Schema is generated from these types, and their
//! comments are its descriptions.

mod page;
mod schema;
mod steps;
mod verbs;

use std::fmt;
use std::marker::PhantomData;

use calypte_base::PackageFormat;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

pub use page::{CompatibilityFile, DifferenceFile, ExampleFile};
pub use schema::schema;
pub use steps::{
    FilesFile, FilesStep, HttpStep, RunStep, SandboxFile, StartFile, StartStep, StepFile, TcpStep, TestFile,
    TextFile, WaitFile, WaitStep,
};
pub use verbs::{
    ChownVerb, DeleteVerb, DirVerb, EditVerb, FileVerb, LinkVerb, ProgramVerb, ReplaceFile, SetcapVerb,
    VerbFile,
};

use crate::image::{Allowance, Category, Requirement};
use crate::yaml::{Entries, Spanned};

/// A string and its place.
pub type Text = Spanned<String>;

/// An image family: everything that its images share, and how its streams and variants differ from that.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FamilyFile {
    /// The family's name, which is also the file's.
    #[schemars(regex(pattern = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"))]
    pub image: Text,
    /// The name of the software as its makers write it.
    pub title: Text,
    /// What the image is for, in one or two sentences.
    pub description: Text,
    /// The shelf of the catalog on which it stands.
    pub category: Category,
    /// Whether `calypte up` makes the family when it is told no names.
    #[serde(default)]
    pub starter: bool,
    /// The home page of the software.
    #[serde(default)]
    #[schemars(regex(pattern = "^https?://"))]
    pub url: Option<Text>,
    /// The licences of the image's main software, as an SPDX expression.
    #[serde(default)]
    pub licenses: Option<Text>,
    /// The image that this one adds to: a name, or a name with a stream. At most two images can lie below one.
    #[serde(default)]
    pub from: Option<Spanned<NameOr<FromFile>>>,
    /// The universes in which the family can be built; all of them if not given.
    #[serde(default)]
    pub universes: Option<Vec<Text>>,
    /// Packages by the name that each package format gives them; `-name` takes one out again.
    #[serde(default)]
    pub packages: PackagesFile,
    /// Which package provides a virtual one, where several could.
    #[serde(default)]
    pub prefer: Entries<Text>,
    /// Named sets of files to leave out.
    #[serde(default)]
    pub slices: SlicesFile,
    /// Changes to the tree of files, in order.
    #[serde(default)]
    pub fs: Vec<VerbFile>,
    /// How containers of the image start.
    #[serde(default)]
    pub run: RunFile,
    /// The user that containers run as; `nonroot` (65532) if not given.
    #[serde(default)]
    pub user: Option<Spanned<NameOr<UserFile>>>,
    /// What the finished image must do. Tests are not handed down to images built from this one.
    #[serde(default)]
    pub tests: Vec<TestFile>,
    /// Templates of the names under which the image is published: `{version}`, `{major}`, `{minor}`, `{patch}`,
    /// `{stream}`, `{date}`. Variants other than `default` add their name behind a dash.
    #[serde(default)]
    pub tags: Vec<Text>,
    /// The package whose version is the image's version, by package format. `{arch}` stands for the architecture as the
    /// distribution writes it (`amd64`, `x86_64`).
    #[serde(default)]
    pub version_of: VersionOfFile,
    /// When support ends: `endoflife:PRODUCT` (a product of endoflife.date), or a date `YYYY-MM-DD`.
    #[serde(default)]
    #[schemars(regex(pattern = "^(endoflife:[a-z0-9.-]+|[0-9]{4}-[0-9]{2}-[0-9]{2})$"))]
    pub eol: Option<Text>,
    /// What the image may hold although images normally must not.
    #[serde(default)]
    pub allow: Vec<Spanned<Allowance>>,
    /// What the image must be, and is checked for.
    #[serde(default)]
    pub require: Vec<Spanned<Requirement>>,
    /// Packages that are there although nothing in the image refers to them, by package format, each with what it is for.
    #[serde(default)]
    pub keep: KeepFile,
    /// Makes the image one that machines boot from: it gets indexes of its kernel's modules, an initramfs and the like.
    #[serde(default)]
    pub host: Option<HostFile>,
    /// The version streams that are kept side by side, newest first: the first one that a universe has is its default.
    /// In a family with streams, `{stream}` stands for the stream's name in every other value.
    #[serde(default)]
    pub streams: Entries<DeltaFile>,
    /// The variants beside `default`.
    #[serde(default)]
    pub variants: Entries<DeltaFile>,
    /// How the image differs from a well-known one with the same software; for the page about the family.
    #[serde(default)]
    pub compatibility: Option<CompatibilityFile>,
    /// A program that is built upon the image; for the page about the family, and run as a test.
    #[serde(default)]
    pub example: Option<ExampleFile>,
}

/// How a stream or variant differs from its family. Lists add, `-name` removes, maps override.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeltaFile {
    /// Replaces the family's description.
    #[serde(default)]
    pub description: Option<Text>,
    /// Replaces the family's `from`.
    #[serde(default)]
    pub from: Option<Spanned<NameOr<FromFile>>>,
    /// The universes that have what this stream or variant needs; all of the family's if not given.
    #[serde(default)]
    pub universes: Option<Vec<Text>>,
    /// As in the family.
    #[serde(default)]
    pub packages: PackagesFile,
    /// As in the family.
    #[serde(default)]
    pub prefer: Entries<Text>,
    /// As in the family.
    #[serde(default)]
    pub slices: SlicesFile,
    /// Further changes, after the family's.
    #[serde(default)]
    pub fs: Vec<VerbFile>,
    /// As in the family.
    #[serde(default)]
    pub run: RunFile,
    /// Replaces the family's user.
    #[serde(default)]
    pub user: Option<Spanned<NameOr<UserFile>>>,
    /// Further tests, after the family's.
    #[serde(default)]
    pub tests: Vec<TestFile>,
    /// As in the family.
    #[serde(default)]
    pub tags: Vec<Text>,
    /// As in the family.
    #[serde(default)]
    pub version_of: VersionOfFile,
    /// Replaces the family's end of life.
    #[serde(default)]
    #[schemars(regex(pattern = "^(endoflife:[a-z0-9.-]+|[0-9]{4}-[0-9]{2}-[0-9]{2})$"))]
    pub eol: Option<Text>,
    /// As in the family.
    #[serde(default)]
    pub allow: Vec<Spanned<Allowance>>,
    /// As in the family.
    #[serde(default)]
    pub require: Vec<Spanned<Requirement>>,
    /// As in the family.
    #[serde(default)]
    pub keep: KeepFile,
    /// As in the family.
    #[serde(default)]
    pub host: Option<HostFile>,
}

/// A package format, to which part of a definition is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormatFile {
    /// Images made of Debian packages.
    Deb,
    /// Images made of RPM packages.
    Rpm,
}

impl From<FormatFile> for PackageFormat {
    fn from(format: FormatFile) -> Self {
        match format {
            FormatFile::Deb => Self::Deb,
            FormatFile::Rpm => Self::Rpm,
        }
    }
}

/// Packages by package format.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackagesFile {
    /// Names of Debian packages.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^-?[a-z0-9][a-z0-9+.{}-]+$")))]
    pub deb: Vec<Text>,
    /// Names of RPM packages.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^-?[A-Za-z0-9_][A-Za-z0-9._+{}-]*$")))]
    pub rpm: Vec<Text>,
}

/// One package by package format.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionOfFile {
    /// The name of a Debian package.
    #[serde(default)]
    pub deb: Option<Text>,
    /// The name of an RPM package.
    #[serde(default)]
    pub rpm: Option<Text>,
}

/// Packages with what they are there for, by package format.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepFile {
    /// By the name of a Debian package.
    #[serde(default)]
    pub deb: Entries<Text>,
    /// By the name of an RPM package.
    #[serde(default)]
    pub rpm: Entries<Text>,
}

/// What to do with named sets of files, which the universe's `slices.yaml` defines.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlicesFile {
    /// Sets to leave out; `-name` takes a set back in.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^-?[a-z][a-z0-9-]*$")))]
    pub drop: Vec<Text>,
}

/// The parent image, with its stream.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FromFile {
    /// The parent's family.
    pub image: Text,
    /// The parent's stream; must be given if the parent has streams.
    #[serde(default)]
    pub stream: Option<Text>,
}

/// The user that containers run as.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    /// The name of the user and of its group.
    pub name: Text,
    /// The user's number, 65532 if not given.
    #[serde(default)]
    pub uid: Option<Spanned<u32>>,
    /// The group's number, as the user's if not given.
    #[serde(default)]
    pub gid: Option<Spanned<u32>>,
    /// The home directory, `/home/NAME` if not given.
    #[serde(default)]
    pub home: Option<Text>,
}

/// What an image needs beside its files for machines to boot from it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostFile {
    /// Kernel modules in the initramfs, by name: those by which the root is found and mounted. What they depend on comes
    /// along, and what is built into the kernel counts as there. `-name` takes an inherited one out.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^-?[A-Za-z0-9_]+$")))]
    pub modules: Vec<Text>,
    /// Arguments of the kernel's command line, in this order; `-argument` takes an inherited one out.
    #[serde(default)]
    pub kernel_arguments: Vec<Text>,
}

/// How containers of the image start.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunFile {
    /// The program and its first arguments. Replaces an inherited one as a whole, and its `cmd` with it.
    #[serde(default)]
    pub entrypoint: Option<Vec<Text>>,
    /// Arguments after the entrypoint, which a user may replace. Replaces an inherited one as a whole.
    #[serde(default)]
    pub cmd: Option<Vec<Text>>,
    /// Environment variables; those of the same name are overridden.
    #[serde(default)]
    pub environment: Entries<Text>,
    /// The directory in which the program starts.
    #[serde(default)]
    pub workdir: Option<Text>,
    /// Ports that the program listens on: `8080/tcp`; `-8080/tcp` takes an inherited one out.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^-?[0-9]{1,5}/(tcp|udp)$")))]
    pub ports: Vec<Text>,
    /// Directories whose content outlives a container; `-/path` takes an inherited one out.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^-?/.")))]
    pub volumes: Vec<Text>,
    /// The signal that asks the program to stop.
    #[serde(default)]
    #[schemars(regex(pattern = "^SIG[A-Z0-9+-]+$"))]
    pub stop_signal: Option<Text>,
    /// Labels beside those that are generated; those of the same name are overridden.
    #[serde(default)]
    pub labels: Entries<Text>,
}

/// A name alone, or a mapping that says more.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged, rename = "NameOr{T}")]
pub enum NameOr<T> {
    /// The name.
    Name(String),
    /// The mapping.
    Full(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NameOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = NameOr<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name or `key: value` pairs")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(NameOr::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(NameOr::Full)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}
