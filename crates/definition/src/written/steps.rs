//! The tests of an image as they are written: a name, a sandbox, and steps of which the key that comes with it says
//! what is done. A closed set: whatever a test needs that is not here would need a shell in the image.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FormatFile, Text};
use crate::yaml::{Entries, Spanned};

/// A test of a finished image. All of its steps must succeed, in order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// What the test shows; no two tests of a family bear the same name.
    pub name: Text,
    /// The format of the packages for which the test is made; both if not given.
    #[serde(default)]
    pub format: Option<FormatFile>,
    /// What the test's containers are given.
    #[serde(default)]
    pub with: SandboxFile,
    /// What is done.
    pub steps: Spanned<Vec<StepFile>>,
}

/// What a test's containers are given. By default almost nothing: the image's user, no network, a read-only root.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SandboxFile {
    /// Environment variables beside the image's own.
    #[serde(default)]
    pub environment: Entries<Text>,
    /// Paths at which each container has a fresh, empty, world-writable file system in memory.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^/.")))]
    pub tmpfs: Vec<Text>,
    /// Paths at which all containers of the test share one directory, at first empty and owned by the image's user.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^/.")))]
    pub volumes: Vec<Text>,
    /// Files of a user's, by their paths: what each container finds there, read-only.
    #[serde(default)]
    pub files: Entries<Text>,
    /// Whether the root file system is read-only; true if not given.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// `UID:GID` to run as, in place of the image's user.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]+:[0-9]+$"))]
    pub user: Option<Text>,
    /// Whether there is more network than loopback; false if not given.
    #[serde(default)]
    pub network: bool,
    /// How many seconds each step may take; 30 if not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 600))]
    pub timeout: Option<Spanned<u32>>,
}

/// One step of a test.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(untagged)]
pub enum StepFile {
    /// Runs a command to its end.
    Run(RunStep),
    /// Starts the service that later steps talk to.
    Start(StartStep),
    /// Ends the service and starts it again.
    Restart(RestartStep),
    /// Waits until the service is ready.
    Wait(WaitStep),
    /// Asks the service for a page.
    Http(HttpStep),
    /// Exchanges bytes with the service.
    Tcp(TcpStep),
    /// Looks for files in the image.
    Files(FilesStep),
}

/// Runs a command to its end: before `start` in a container of its own, after it in the service's container.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunStep {
    /// The program, by path or as found on the image's `PATH`, and its arguments. The image's entrypoint plays no part.
    pub run: Spanned<Vec<String>>,
    /// The exit code; 0 if not given.
    #[serde(default)]
    pub exit: Option<u8>,
    /// What the program reads; nothing if not given.
    #[serde(default)]
    pub stdin: Option<String>,
    /// What it must write to standard output.
    #[serde(default)]
    pub stdout: Option<Spanned<TextFile>>,
    /// What it must write to standard error.
    #[serde(default)]
    pub stderr: Option<Spanned<TextFile>>,
}

/// Starts the service: a container whose main process goes on running while the later steps are done.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartStep {
    /// What is started.
    pub start: Spanned<StartFile>,
}

/// What a service's container runs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartFile {
    /// The image's entrypoint and cmd.
    Image,
    /// The image's entrypoint, with these arguments in place of cmd.
    Arguments(Vec<String>),
    /// This command; the image's entrypoint plays no part.
    Command(Vec<String>),
}

/// Asks the service to end, by the image's stop signal, and starts the same again in a new container.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartStep {
    /// What is started again.
    pub restart: Spanned<RestartFile>,
}

/// What can be started again.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartFile {
    /// The service that `start` started.
    Service,
}

/// Waits until the service is ready.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitStep {
    /// What is waited for.
    pub wait: Spanned<WaitFile>,
}

/// What tells that a service is ready.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFile {
    /// A TCP port of the container's loopback accepts connections.
    Port(u16),
    /// A command, run again and again in the service's container, exits with 0.
    Run(Vec<String>),
}

/// Asks the service for a page by `GET`; waits for the port to open first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpStep {
    /// The port on the container's loopback.
    #[schemars(range(min = 1))]
    pub http: Spanned<u16>,
    /// Path and query; `/` if not given.
    #[serde(default)]
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<Text>,
    /// The status; 200 if not given.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<Spanned<u16>>,
    /// What the answer's body must be.
    #[serde(default)]
    pub body: Option<Spanned<TextFile>>,
}

/// Connects to the service, sends bytes and reads the answer; waits for the port to open first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpStep {
    /// The port on the container's loopback.
    #[schemars(range(min = 1))]
    pub tcp: Spanned<u16>,
    /// What is sent; nothing if not given.
    #[serde(default)]
    pub send: Option<String>,
    /// What the answer must be. It is read until it fits, the service closes the connection, or time is up.
    pub reply: Spanned<TextFile>,
}

/// Looks for files in the image; needs no container.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesStep {
    /// Where to look.
    pub files: Spanned<FilesFile>,
}

/// Files that must and must not be there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesFile {
    /// Paths that must exist; symbolic links are followed.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^/.")))]
    pub exist: Vec<Text>,
    /// Paths that must not exist.
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^/.")))]
    pub absent: Vec<Text>,
}

/// What a text must be: at least one of the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextFile {
    /// Text that must occur in it.
    #[serde(default)]
    pub contains: Option<String>,
    /// The whole text, but for line breaks at its end.
    #[serde(default)]
    pub equals: Option<String>,
}
