//! What a tree says of itself: os-release(5), and the kernel arguments that come with it (bootc's `kargs.d`).

use std::collections::BTreeMap;

use calypte_base::{Architecture, TreePath};
use calypte_composefs::{Kind, Tree};
use serde::Deserialize;

use crate::packages::bytes;
use crate::{HostError, Repository};

/// The lines of os-release that name the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Release {
    fields: BTreeMap<String, String>,
}

impl Release {
    /// Reads it from `/usr/lib/os-release`, which `/etc/os-release` is a link to.
    pub(crate) fn of(tree: &Tree, repository: &Repository) -> Result<Self, HostError> {
        for path in ["usr/lib/os-release", "etc/os-release"] {
            if let Some(Kind::File(content)) = tree.resolve(&TreePath::new(path)?).map(|node| &node.kind) {
                return Ok(Self::parse(&String::from_utf8_lossy(&bytes(content, repository)?)));
            }
        }
        Err(HostError::NoHost { reason: "it has no /usr/lib/os-release".to_owned() })
    }

    fn parse(text: &str) -> Self {
        let field = |line: &str| {
            let (key, value) = line.trim().split_once('=')?;
            let value = value.trim();
            let inner = ['"', '\''].iter().find_map(|mark| value.strip_prefix(*mark)?.strip_suffix(*mark));
            Some((key.to_owned(), inner.unwrap_or(value).replace('\\', "")))
        };
        Self { fields: text.lines().filter_map(field).collect() }
    }

    fn get(&self, names: &[&str]) -> Option<&str> {
        names
            .iter()
            .find_map(|name| self.fields.get(*name))
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    pub(crate) fn id(&self) -> &str {
        self.get(&["IMAGE_ID", "ID"]).unwrap_or("linux")
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.get(&["IMAGE_VERSION", "BUILD_ID", "VERSION_ID"])
    }

    pub(crate) fn title(&self) -> &str {
        self.get(&["PRETTY_NAME", "NAME", "ID"]).unwrap_or("Linux")
    }
}

/// A file of `/usr/lib/bootc/kargs.d`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Arguments {
    #[serde(default)]
    kargs: Vec<String>,
    match_architectures: Option<Vec<String>>,
}

/// The kernel arguments of an image, in the order of its files.
pub(crate) fn kernel_arguments(
    tree: &Tree,
    repository: &Repository,
    architecture: Architecture,
) -> Result<Vec<String>, HostError> {
    let mut found = Vec::new();
    for (path, node) in tree.below(&TreePath::new("usr/lib/bootc/kargs.d")?) {
        let Kind::File(content) = &node.kind else { continue };
        if !path.file_name().ends_with(".toml") {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes(content, repository)?).into_owned();
        let arguments: Arguments = toml::from_str(&text)
            .map_err(|error| HostError::NoHost { reason: format!("{path}: {error}") })?;
        // bootc spells architectures as Rust does.
        let names = arguments.match_architectures;
        if names.is_none_or(|names| names.iter().any(|name| name == architecture.rpm())) {
            found.extend(arguments.kargs.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned));
        }
    }
    Ok(found)
}
