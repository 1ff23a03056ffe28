//! The tests of a finished image: a closed set of steps that a runner can carry out with nothing but the image.
//!
//! How a runner carries out a test:
//!
//! - Every container gets the same [`Sandbox`]. A `tmpfs` is fresh in each; the directories of `volumes` are made once
//!   for the test, empty and owned by the user that runs, and shared by all of its containers, as are its `files`.
//! - A [`Step::Run`] before the test's [`Step::Start`] is the main process of a container of its own. `Start` makes the
//!   service's container, which lives until the test ends; a `Run` after it is executed in that container.
//! - [`Step::Http`] and [`Step::Tcp`] connect from inside of the container's network namespace to its loopback, and try
//!   again until the port opens. [`Step::Files`] looks at the image's tree and needs no container.
//! - Each step has [`Sandbox::timeout`] seconds. When the service's process ends before the test does, the test fails.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{PackageFormat, TreePath};
use serde::Serialize;

use crate::image::RunConfig;

/// A test: all steps must succeed, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Test {
    /// What it shows; unique in the image.
    pub name: String,
    /// The only package format of whose images it is a test; none: of all.
    pub format: Option<PackageFormat>,
    /// What its containers are given.
    pub sandbox: Sandbox,
    /// What is done; at least one step, at most one of them [`Step::Start`], those that need a service after it. What a
    /// [`Step::Restart`] starts is the same again.
    pub steps: Vec<Step>,
}

impl Test {
    /// Whether the test needs a container at all.
    #[must_use]
    pub fn needs_container(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Files { .. }))
    }
}

/// What a test's containers are given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sandbox {
    /// Environment variables beside the image's own.
    pub environment: BTreeMap<String, String>,
    /// Paths with a fresh, empty, world-writable (`01777`) file system in memory.
    pub tmpfs: BTreeSet<TreePath>,
    /// Paths at which all containers of the test share a directory.
    pub volumes: BTreeSet<TreePath>,
    /// Files of the user's that all containers see, read-only: path → text.
    pub files: BTreeMap<TreePath, String>,
    /// Whether the root file system is read-only. A runner must not add writable paths of its own (podman does).
    pub read_only: bool,
    /// User and group to run as, in place of the image's.
    pub user: Option<(u32, u32)>,
    /// Whether there is more network than loopback.
    pub network: bool,
    /// How many seconds each step may take.
    pub timeout: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Runs a command to its end.
    Run {
        /// Program and arguments; never empty. A program without `/` is looked up on the container's `PATH`.
        command: Vec<String>,
        /// The exit code that is expected.
        exit: u8,
        /// What the program reads.
        stdin: Option<String>,
        /// What it must write to standard output.
        stdout: Option<TextCheck>,
        /// What it must write to standard error.
        stderr: Option<TextCheck>,
    },
    /// Starts the service.
    Start(Start),
    /// Asks the service to end by its stop signal, and starts it in a new container.
    Restart,
    /// Waits until the service is ready.
    Wait(Wait),
    /// Asks the service for a page by `GET`.
    Http {
        /// The port on the container's loopback.
        port: u16,
        /// Path and query, with its leading slash.
        path: String,
        /// The status that is expected.
        status: u16,
        /// What the answer's body must be.
        body: Option<TextCheck>,
    },
    /// Sends bytes to the service and reads the answer.
    Tcp {
        /// The port on the container's loopback.
        port: u16,
        /// What is sent.
        send: String,
        /// What the answer must be; read until it fits, the connection ends, or time is up.
        reply: TextCheck,
    },
    /// Looks for files in the image.
    Files {
        /// Paths that must exist; symbolic links are followed.
        exist: Vec<TreePath>,
        /// Paths that must not.
        absent: Vec<TreePath>,
    },
}

/// What a service's container runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The image's entrypoint and cmd.
    Image,
    /// The image's entrypoint, with these arguments in place of cmd.
    Arguments(Vec<String>),
    /// This command.
    Command(Vec<String>),
}

impl Start {
    /// Program and arguments, given how the image starts.
    #[must_use]
    pub fn command(&self, run: &RunConfig) -> Vec<String> {
        match self {
            Self::Image => [run.entrypoint.as_slice(), &run.cmd].concat(),
            Self::Arguments(arguments) => [run.entrypoint.as_slice(), arguments].concat(),
            Self::Command(command) => command.clone(),
        }
    }
}

/// What tells that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// A TCP port of the container's loopback accepts connections.
    Port(u16),
    /// A command, run again and again in the service's container, exits with 0.
    Run(Vec<String>),
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextCheck {
    /// Text that must occur in it.
    pub contains: Option<String>,
    /// The whole text, but for line breaks at its end.
    pub equals: Option<String>,
}

impl TextCheck {
    /// Whether a text is what it must be.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let ends = ['\n', '\r'];
        self.contains.as_ref().is_none_or(|part| text.contains(part))
            && self
                .equals
                .as_ref()
                .is_none_or(|whole| text.trim_end_matches(ends) == whole.trim_end_matches(ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_the_line_break_at_their_end() {
        let check = |contains: Option<&str>, equals: Option<&str>| TextCheck {
            contains: contains.map(str::to_owned),
            equals: equals.map(str::to_owned),
        };
        for (expected, check, text) in [
            (true, check(None, Some("1")), "1\n"),
            (true, check(None, Some("1\n")), "1\r\n"),
            (false, check(None, Some("1")), "11\n"),
            (true, check(Some("PONG"), None), "+PONG\r\n"),
            (false, check(Some("PONG"), Some("PONG")), "+PONG\r\n"),
        ] {
            assert_eq!(check.fits(text), expected, "{check:?} {text:?}");
        }
    }

    #[test]
    fn a_service_is_the_image_its_arguments_or_a_command() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let run = RunConfig { entrypoint: words("nginx"), cmd: words("-g x"), ..RunConfig::default() };
        assert_eq!(Start::Image.command(&run), words("nginx -g x"));
        assert_eq!(Start::Arguments(words("-t")).command(&run), words("nginx -t"));
        assert_eq!(Start::Command(words("sh -c")).command(&run), words("sh -c"));
    }
}
