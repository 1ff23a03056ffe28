//! What a container engine must do for the tests, and the choice among those that the machine has.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use calypte_base::Architecture;

use super::process::Finished;
use super::{bundle, podman};

/// A container to be made out of an image.
#[derive(Debug, Clone, Default)]
pub struct ContainerSpec {
    /// The command line in place of the image's entrypoint and command.
    pub command: Option<Vec<String>>,
    /// `uid[:gid]` in place of the image's user.
    pub user: Option<String>,
    /// Variables beside the image's.
    pub environment: Vec<(String, String)>,
    /// Whether the root is read-only.
    pub read_only: bool,
    /// Directories that are empty and writable.
    pub tmpfs: Vec<String>,
    /// Whether the container reaches the machine's network; it always has its own loopback.
    pub network: bool,
}

/// An image that an engine holds ready.
pub trait Engine: std::fmt::Debug {
    /// Name and version, as reports show them: `podman 4.3.1 (runc 1.1.5)`.
    fn name(&self) -> &str;

    /// Runs a container to its end.
    ///
    /// # Errors
    /// When the engine itself fails; the program's own failure is in the result.
    fn run(&self, spec: &ContainerSpec, limit: Duration) -> Result<Finished>;

    /// Starts a container that goes on.
    ///
    /// # Errors
    /// When it does not start.
    fn start<'a>(&'a self, spec: &ContainerSpec) -> Result<Box<dyn Container + 'a>>;
}

/// A running container; ends, and leaves nothing behind, when dropped.
pub trait Container {
    /// Runs a further program in it.
    ///
    /// # Errors
    /// When the engine itself fails; the program's own failure is in the result.
    fn execute(&self, command: &[String], environment: &[(String, String)], limit: Duration) -> Result<Finished>;

    /// The id of its first process, as the machine sees it; `None` when it has ended.
    fn process(&self) -> Option<u32>;

    /// What its first process printed so far, both streams.
    fn logs(&self) -> String;
}

/// The engines that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// podman, with whichever runtime of its works.
    Podman,
    /// crun alone.
    Crun,
    /// runc alone.
    Runc,
}

impl EngineKind {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Podman, Self::Crun, Self::Runc];

    /// The program's name.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

/// An image on disk, for an engine to take in.
#[derive(Debug, Clone, Copy)]
pub struct ImageOnDisk<'a> {
    /// An OCI layout directory that holds the image and nothing else.
    pub layout: &'a Path,
    /// Its tag there.
    pub tag: &'a str,
    /// For which machine it is.
    pub architecture: Architecture,
}

/// Takes the image into the first engine that can run it (or into the one asked for). `scratch` is an empty
/// directory that outlives the engine.
///
/// # Errors
/// When there is none, naming each one's reason.
pub fn open(image: &ImageOnDisk<'_>, wanted: Option<EngineKind>, scratch: &Path) -> Result<Box<dyn Engine>> {
    let mut reasons = Vec::new();
    for kind in EngineKind::ALL.into_iter().filter(|kind| wanted.is_none_or(|wanted| wanted == *kind)) {
        let opened = match kind {
            EngineKind::Podman => podman::open(image).map(|engine| Box::new(engine) as Box<dyn Engine>),
            EngineKind::Crun | EngineKind::Runc => {
                bundle::open(kind.program(), image, scratch).map(|engine| Box::new(engine) as Box<dyn Engine>)
            }
        };
        match opened {
            Ok(engine) => return Ok(engine),
            Err(error) => reasons.push(format!("  {}: {error:#}", kind.program())),
        }
    }
    bail!(
        "no container engine here can run the image for {}:\n{}\nhint: install podman with runc or crun{}",
        image.architecture,
        reasons.join("\n"),
        if image.architecture.rpm() == std::env::consts::ARCH { "" } else { ", and qemu-user-static with binfmt for foreign machines" }
    );
}
