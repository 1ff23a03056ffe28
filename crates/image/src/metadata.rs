//! What an image says of itself beside its files: the input of [`crate::Image::new`].

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Architecture, Epoch, TreePath};
use calypte_definition::image::{ImageDefinition, Port};

/// Everything that goes into an image's config, annotations and labels. Fields that are empty or `None` are left out
/// of the image: only what is known is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The machine that the programs in the tree are for.
    pub architecture: Architecture,
    /// `created` of config, history and annotation: the epoch of the build, never the clock.
    pub created: Epoch,
    /// `User` of the config: `uid:gid`, numeric, since an orchestrator cannot tell from a name that it is not root.
    pub user: String,
    /// Environment, written as `NAME=VALUE` in the order of the names.
    pub env: BTreeMap<String, String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// The arguments that a user's own replace.
    pub cmd: Vec<String>,
    /// The directory in which the program starts; absolute.
    pub working_dir: Option<String>,
    /// Ports that the program listens on: `8080/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Directories that hold state; absolute.
    pub volumes: BTreeSet<String>,
    /// The signal that ends the program: `SIGQUIT`.
    pub stop_signal: Option<String>,
    /// A short name for people.
    pub title: Option<String>,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// The version of the packaged software: that of the image's main package.
    pub version: Option<String>,
    /// Where to read about it.
    pub url: Option<String>,
    /// Where the source of the definition lies.
    pub source: Option<String>,
    /// The revision of that source.
    pub revision: Option<String>,
    /// SPDX licence expression of the packaged software.
    pub licenses: Option<String>,
    /// Who publishes the image.
    pub vendor: Option<String>,
    /// Further labels, which are annotations too; they win over those that the fields above give.
    pub labels: BTreeMap<String, String>,
}

impl ImageMetadata {
    /// Metadata that says nothing but the two things that every image must say.
    #[must_use]
    pub fn new(architecture: Architecture, created: Epoch) -> Self {
        Self {
            architecture,
            created,
            user: String::new(),
            env: BTreeMap::new(),
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            working_dir: None,
            exposed_ports: BTreeSet::new(),
            volumes: BTreeSet::new(),
            stop_signal: None,
            title: None,
            description: None,
            version: None,
            url: None,
            source: None,
            revision: None,
            licenses: None,
            vendor: None,
            labels: BTreeMap::new(),
        }
    }

    /// What a definition says; the caller adds what only it knows: `version`, `source`, `revision`, `vendor`.
    #[must_use]
    pub fn of(definition: &ImageDefinition, architecture: Architecture, created: Epoch) -> Self {
        let run = &definition.run;
        Self {
            user: format!("{}:{}", definition.user.uid, definition.user.gid),
            env: run.environment.clone(),
            entrypoint: run.entrypoint.clone(),
            cmd: run.cmd.clone(),
            working_dir: run.workdir.as_ref().map(TreePath::to_string),
            exposed_ports: run.ports.iter().map(Port::to_string).collect(),
            volumes: run.volumes.iter().map(TreePath::to_string).collect(),
            stop_signal: run.stop_signal.clone(),
            title: Some(definition.title.clone()),
            description: Some(definition.description.clone()),
            url: definition.url.clone(),
            licenses: definition.licenses.clone(),
            labels: run.labels.clone(),
            ..Self::new(architecture, created)
        }
    }

    /// The annotations (OCI image spec, annotations.md). They stand on the manifest and its descriptor, and in the
    /// config as labels, where most tools look for them.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let known = [
            ("created", Some(self.created.to_string())),
            ("title", self.title.clone()),
            ("description", self.description.clone()),
            ("version", self.version.clone()),
            ("url", self.url.clone()),
            ("source", self.source.clone()),
            ("revision", self.revision.clone()),
            ("licenses", self.licenses.clone()),
            ("vendor", self.vendor.clone()),
        ];
        let mut annotations: BTreeMap<String, String> = known
            .into_iter()
            .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
            .collect();
        annotations.extend(self.labels.clone());
        annotations
    }
}
