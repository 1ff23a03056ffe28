//! The verbs of `fs:` as they are written. The key that names the path says what is done with it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FormatFile, Text};
use crate::yaml::Spanned;

/// One change to the tree of files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(untagged)]
pub enum VerbFile {
    /// Makes a directory.
    Dir(DirVerb),
    /// Makes a symbolic link.
    Link(LinkVerb),
    /// Writes a file.
    File(FileVerb),
    /// Installs a program of this catalog.
    Program(ProgramVerb),
    /// Replaces text in a file.
    Edit(EditVerb),
    /// Deletes files.
    Delete(DeleteVerb),
    /// Changes the owner.
    Chown(ChownVerb),
    /// Gives a program file capabilities.
    Setcap(SetcapVerb),
}

/// Makes a directory with its parents, or changes the mode and owner of one that is there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirVerb {
    /// The directory.
    #[schemars(regex(pattern = "^/."))]
    pub dir: Text,
    /// Its permissions as a quoted octal number; `"0755"` if not given.
    #[serde(default)]
    #[schemars(regex(pattern = "^0[0-7]{3,4}$"))]
    pub mode: Option<Text>,
    /// Its owner: `root` (if not given), `user` (the image's user) or `UID:GID`.
    #[serde(default)]
    #[schemars(regex(pattern = "^(root|user|[0-9]+:[0-9]+)$"))]
    pub owner: Option<Text>,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// Makes a symbolic link, in place of a file that may be there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkVerb {
    /// The link.
    #[schemars(regex(pattern = "^/."))]
    pub link: Text,
    /// What it points to, kept as written: absolute, or relative to the link's directory.
    pub target: Text,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// Writes a file, in place of one that may be there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileVerb {
    /// The file.
    #[schemars(regex(pattern = "^/."))]
    pub file: Text,
    /// All of its text.
    pub content: Text,
    /// Its permissions as a quoted octal number; `"0644"` if not given.
    #[serde(default)]
    #[schemars(regex(pattern = "^0[0-7]{3,4}$"))]
    pub mode: Option<Text>,
    /// Its owner: `root` (if not given), `user` (the image's user) or `UID:GID`.
    #[serde(default)]
    #[schemars(regex(pattern = "^(root|user|[0-9]+:[0-9]+)$"))]
    pub owner: Option<Text>,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// Installs a program that the catalog itself holds, built for each architecture, in place of a file that may be there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramVerb {
    /// Where it lies in the image; it belongs to root, and everyone may run it.
    #[schemars(regex(pattern = "^/."))]
    pub program: Text,
    /// Its name in the catalog: `programs/NAME/ARCHITECTURE`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"))]
    pub name: Text,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// Replaces text in a file that a package brought.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditVerb {
    /// The file.
    #[schemars(regex(pattern = "^/."))]
    pub edit: Text,
    /// What is replaced by what.
    pub replace: ReplaceFile,
    /// How often the text must occur; 1 if not given. Any other count is an error: the package has changed.
    #[serde(default)]
    pub expect: Option<Spanned<u32>>,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// A text and what takes its place.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceFile {
    /// The text to be replaced, literally.
    pub from: Text,
    /// What takes its place; may be empty.
    pub to: Text,
}

/// Deletes what the pattern matches, directories with all that is in them. Nothing matched is an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteVerb {
    /// A path, in which `*` and `?` stand for characters other than `/`, `**` for any, `{a,b}` for either.
    #[schemars(regex(pattern = "^/."))]
    pub delete: Text,
    /// How many paths the pattern must match; at least one if not given, and 0 if it may match nothing at all.
    #[serde(default)]
    pub expect: Option<Spanned<u32>>,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// Changes the owner of a file or directory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChownVerb {
    /// The path.
    #[schemars(regex(pattern = "^/."))]
    pub chown: Text,
    /// The new owner: `root`, `user` (the image's user) or `UID:GID`.
    #[schemars(regex(pattern = "^(root|user|[0-9]+:[0-9]+)$"))]
    pub owner: Text,
    /// Whether all that is below the path changes with it.
    #[serde(default)]
    pub recursive: bool,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

/// Gives a program file capabilities.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetcapVerb {
    /// The program.
    #[schemars(regex(pattern = "^/."))]
    pub setcap: Text,
    /// Capabilities as setcap(8) writes them: `cap_net_bind_service=ep`.
    #[schemars(regex(pattern = "^cap_[a-z_]+(,cap_[a-z_]+)*=[eip]+$"))]
    pub capabilities: Text,
    /// The format of the packages for which this is done; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
}

impl VerbFile {
    /// The format of the packages for which it is done; both if none is named.
    #[must_use]
    pub const fn format(&self) -> Option<FormatFile> {
        match self {
            Self::Dir(verb) => verb.format,
            Self::Link(verb) => verb.format,
            Self::File(verb) => verb.format,
            Self::Program(verb) => verb.format,
            Self::Edit(verb) => verb.format,
            Self::Delete(verb) => verb.format,
            Self::Chown(verb) => verb.format,
            Self::Setcap(verb) => verb.format,
        }
    }
}
