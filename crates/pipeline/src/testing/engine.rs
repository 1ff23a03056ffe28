//! What a container engine must do for the tests, and the choice among those that the machine has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_definition::ImageDefinition;
use calypte_rootfs::Rootfs;

use super::process::Finished;
use super::{bundle, podman};

/// A container to be made out of an image.
#[derive(Debug, Clone, Default)]
pub struct ContainerSpec {
    /// The command line in place of the image's entrypoint and command.
    pub command: Option<Vec<String>>,
    /// User and group id in place of the image's.
    pub user: Option<(u32, u32)>,
    /// Variables beside the image's.
    pub environment: Vec<(String, String)>,
    /// Whether the root is read-only.
    pub read_only: bool,
    /// Paths with an empty, world-writable file system in memory.
    pub tmpfs: Vec<String>,
    /// Directories of the machine, each with the path at which it is seen; they come to belong to the user that runs.
    pub volumes: Vec<(PathBuf, String)>,
    /// Files of the machine, each with the path at which it is seen, read-only.
    pub files: Vec<(PathBuf, String)>,
    /// Whether the container reaches the machine's network; it always has its own loopback.
    pub network: bool,
}

/// An engine that holds an image ready.
pub trait Engine: std::fmt::Debug {
    /// Name and version, as reports show them: `podman 4.3.1 (runc 1.1.5)`.
    fn name(&self) -> &str;

    /// Runs a container to its end.
    ///
    /// # Errors
    /// When the engine itself fails; the program's own failure is in the result.
    fn run(&self, spec: &ContainerSpec, stdin: Option<&str>, limit: Duration) -> Result<Finished>;

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
    fn execute(&self, command: &[String], stdin: Option<&str>, limit: Duration) -> Result<Finished>;

    /// The id of its first process, as the machine sees it; `None` when it has ended.
    fn process(&self) -> Option<u32>;

    /// Sends its first process the image's stop signal, and waits until it has ended.
    ///
    /// # Errors
    /// When it has not ended within the limit.
    fn stop(&self, limit: Duration) -> Result<()>;

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

/// A built image, for an engine to take in.
#[derive(Debug, Clone, Copy)]
pub struct ImageUnderTest<'a> {
    /// An OCI archive of it.
    pub archive: &'a Path,
    /// The name under which engines with a storage of their own keep it meanwhile; nobody else's.
    pub tag: &'a str,
    /// For which machine it is.
    pub architecture: Architecture,
    /// How it starts, and as whom.
    pub definition: &'a ImageDefinition,
    /// Its files, for engines that take no layout.
    pub rootfs: &'a Rootfs,
}

/// Nothing on this machine can run the image; the one reason for which tests may be skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoEngine(String);

/// Takes the image into the first engine that can run it (or into the one asked for). `scratch` is an empty
/// directory that outlives the engine.
///
/// # Errors
/// When there is none, naming each one's reason.
pub fn open<'a>(
    image: &ImageUnderTest<'a>,
    wanted: Option<EngineKind>,
    scratch: &Path,
) -> Result<Box<dyn Engine + 'a>> {
    let mut reasons = Vec::new();
    for kind in EngineKind::ALL.into_iter().filter(|kind| wanted.is_none_or(|wanted| wanted == *kind)) {
        let opened = match kind {
            EngineKind::Podman => podman::open(image).map(|engine| Box::new(engine) as Box<dyn Engine + 'a>),
            EngineKind::Crun | EngineKind::Runc => bundle::open(kind.program(), image, scratch)
                .map(|engine| Box::new(engine) as Box<dyn Engine + 'a>),
        };
        match opened {
            Ok(engine) => return Ok(engine),
            Err(error) => reasons.push(format!("  {}: {error:#}", kind.program())),
        }
    }
    Err(NoEngine(format!(
        "no container engine here can run the image for {}:\n{}\nhint: install podman with runc or crun{}",
        image.architecture,
        reasons.join("\n"),
        if image.architecture.rpm() == std::env::consts::ARCH {
            ""
        } else {
            ", and qemu-user-static with binfmt for foreign machines"
        }
    ))
    .into())
}
