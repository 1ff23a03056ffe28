//! The podman engine. The image is taken into podman's own storage for the time of the tests and removed after them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::engine::{Container, ContainerSpec, Engine, ImageUnderTest};
use super::process::{self, Finished};

/// How long podman itself may take for what is not the test's own work.
const OVERHEAD: Duration = Duration::from_secs(60);

/// Exit code of `podman run` when the runtime works and the program is not there.
const NO_SUCH_PROGRAM: Option<i32> = Some(127);

#[derive(Debug)]
pub(super) struct Podman {
    name: String,
    runtime: Option<&'static str>,
    image: String,
    /// The user that the image names.
    uid: u32,
}

/// Takes the image in, and finds a runtime of podman's that works on this machine.
pub(super) fn open(image: &ImageUnderTest<'_>) -> Result<Podman> {
    let version = process::run(Command::new("podman").arg("--version"), None, OVERHEAD)?;
    let version = version.stdout.trim().replace("podman version", "podman");
    let loaded = process::run(
        Command::new("podman").args(["load", "--quiet", "--input"]).arg(image.archive),
        None,
        OVERHEAD * 5,
    )?;
    if !loaded.succeeded() {
        bail!("podman load failed: {}", loaded.stderr.trim());
    }
    let mut engine = Podman {
        name: String::new(),
        runtime: None,
        image: image.tag.to_owned(),
        uid: image.definition.user.uid,
    };
    let mut reasons = Vec::new();
    for runtime in [None, Some("runc"), Some("crun")] {
        engine.runtime = runtime;
        let spec = ContainerSpec { command: Some(vec!["/nonexistent".into()]), ..ContainerSpec::default() };
        let tried = engine.run(&spec, None, OVERHEAD)?;
        if tried.code == NO_SUCH_PROGRAM {
            engine.name = format!("{version} ({})", runtime.unwrap_or("default runtime"));
            return Ok(engine);
        }
        reasons.push(tried.stderr.trim().replace("Error: ", ""));
    }
    bail!("no runtime works: {}", reasons.join("; "))
}

impl Podman {
    fn podman(&self) -> Command {
        let mut command = Command::new("podman");
        if let Some(runtime) = self.runtime {
            command.args(["--runtime", runtime]);
        }
        if !std::path::Path::new("/run/systemd/system").exists() {
            command.args(["--cgroup-manager", "cgroupfs"]);
        }
        command
    }

    fn run_command(&self, spec: &ContainerSpec, mode: &[&str]) -> Command {
        let mut command = self.podman();
        command.arg("run");
        command.args(mode);
        // Low limits: podman's own may be above what the machine allows.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--pull=never"]);
        if !spec.network {
            command.args(["--network", "none"]);
        }
        // What a plain user does needs no capability, not even one that a file would give it.
        if spec.user.map_or(self.uid, |(uid, _)| uid) != 0 {
            command.args(["--cap-drop=all", "--security-opt=no-new-privileges"]);
        }
        if spec.read_only {
            command.args(["--read-only", "--read-only-tmpfs=false"]);
        }
        for directory in &spec.tmpfs {
            command.args(["--tmpfs", &format!("{directory}:rw,mode=1777")]);
        }
        for (directory, path) in &spec.volumes {
            // `U`: owned by the user that runs.
            command.args(["--volume", &format!("{}:{path}:U", directory.display())]);
        }
        for (file, path) in &spec.files {
            command.args(["--volume", &format!("{}:{path}:ro", file.display())]);
        }
        if let Some((uid, gid)) = spec.user {
            command.args(["--user", &format!("{uid}:{gid}")]);
        }
        for (name, value) in &spec.environment {
            command.args(["--env", &format!("{name}={value}")]);
        }
        match spec.command.as_ref().and_then(|command| command.split_first()) {
            Some((program, arguments)) => {
                command
                    .args(["--entrypoint", &serde_json::json!([program]).to_string()])
                    .arg(&self.image)
                    .args(arguments);
            }
            None => {
                command.arg(&self.image);
            }
        }
        command
    }
}

impl Engine for Podman {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, spec: &ContainerSpec, stdin: Option<&str>, limit: Duration) -> Result<Finished> {
        // Podman's own limit ends the container; killing podman would leave it running.
        let timeout = format!("--timeout={}", limit.as_secs().max(1));
        let mode =
            if stdin.is_some() { vec!["--rm", "--interactive", &timeout] } else { vec!["--rm", &timeout] };
        let mut command = self.run_command(spec, &mode);
        process::run(&mut command, stdin, limit + OVERHEAD)
    }

    fn start<'a>(&'a self, spec: &ContainerSpec) -> Result<Box<dyn Container + 'a>> {
        let started = process::run(&mut self.run_command(spec, &["--detach"]), None, OVERHEAD)?;
        let id = started.stdout.trim().to_owned();
        if !started.succeeded() {
            bail!("podman run failed: {}", started.stderr.trim());
        }
        Ok(Box::new(Running { podman: self, id }))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Nothing can be done about a failure here but to leave the image in podman's storage.
        let _ = process::run(self.podman().args(["rmi", "--force", &self.image]), None, OVERHEAD);
    }
}

struct Running<'a> {
    podman: &'a Podman,
    id: String,
}

impl Container for Running<'_> {
    fn execute(&self, command: &[String], stdin: Option<&str>, limit: Duration) -> Result<Finished> {
        let mut exec = self.podman.podman();
        exec.arg("exec");
        if stdin.is_some() {
            exec.arg("--interactive");
        }
        process::run(exec.arg(&self.id).args(command), stdin, limit)
    }

    fn process(&self) -> Option<u32> {
        let mut inspect = self.podman.podman();
        inspect.args(["inspect", "--format", "{{.State.Pid}}", &self.id]);
        let found = process::run(&mut inspect, None, OVERHEAD).context("podman inspect").ok()?;
        found.stdout.trim().parse().ok().filter(|process| *process != 0)
    }

    fn stop(&self, limit: Duration) -> Result<()> {
        let mut stop = self.podman.podman();
        stop.args(["stop", "--time", &limit.as_secs().to_string(), &self.id]);
        let stopped = process::run(&mut stop, None, limit + OVERHEAD)?;
        // It says so where it had to use force.
        if !stopped.succeeded() || stopped.stderr.contains("SIGKILL") {
            bail!("the service did not end: {}", stopped.stderr.trim());
        }
        Ok(())
    }

    fn logs(&self) -> String {
        let logs = process::run(self.podman.podman().args(["logs", &self.id]), None, OVERHEAD);
        logs.map_or_else(|error| error.to_string(), |logs| logs.stdout + &logs.stderr)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = process::run(
            self.podman.podman().args(["rm", "--force", "--time", "1", &self.id]),
            None,
            OVERHEAD,
        );
    }
}
