//! Carries out a definition's tests on a built image: the steps of [`calypte_definition::test`], in a container each
//! test, and what came of them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use calypte_base::TreePath;
use calypte_definition::test::{Start, Step, Test, TextCheck, Wait};
use serde::{Deserialize, Serialize};

use super::engine::{Container, ContainerSpec, Engine, ImageUnderTest};
use super::process::{self, Finished};

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOutcome {
    /// The test's name in the definition.
    pub name: String,
    /// Why it failed; `None` when it passed.
    pub failure: Option<String>,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

impl TestOutcome {
    /// A test that is not run.
    pub(super) fn skipped(test: &Test, why: &str) -> Self {
        Self { name: test.name.clone(), failure: None, skipped: Some(why.to_owned()) }
    }
}

/// How the runner reaches the container's own network.
#[derive(Debug, Clone)]
pub struct Probe<'a> {
    /// The program that understands `probe` ([`super::probe`]): our own.
    pub program: &'a Path,
}

/// Carries out one test. `scratch` is an empty directory that is the test's own. Whatever goes wrong is in the outcome.
pub fn run_test(
    test: &Test,
    image: &ImageUnderTest<'_>,
    engine: Option<&dyn Engine>,
    probe: &Probe<'_>,
    scratch: &Path,
) -> TestOutcome {
    let failure = Session::new(test, image, engine, probe, scratch).and_then(Session::run).err();
    TestOutcome { name: test.name.clone(), failure: failure.map(|error| format!("{error:#}")), skipped: None }
}

struct Session<'a> {
    test: &'a Test,
    image: &'a ImageUnderTest<'a>,
    engine: Option<&'a dyn Engine>,
    probe: &'a Probe<'a>,
    spec: ContainerSpec,
    limit: Duration,
    service: Option<Box<dyn Container + 'a>>,
    /// What the service was started as.
    started: Option<ContainerSpec>,
}

impl<'a> Session<'a> {
    fn new(
        test: &'a Test,
        image: &'a ImageUnderTest<'a>,
        engine: Option<&'a dyn Engine>,
        probe: &'a Probe<'a>,
        scratch: &Path,
    ) -> Result<Self> {
        let sandbox = &test.sandbox;
        let mut volumes = Vec::new();
        for (number, path) in sandbox.volumes.iter().enumerate() {
            let directory = scratch.join(format!("volume-{number}"));
            fs_err::create_dir_all(&directory)?;
            volumes.push((directory, path.to_string()));
        }
        let mut files = Vec::new();
        for (number, (path, text)) in sandbox.files.iter().enumerate() {
            let file = scratch.join(format!("file-{number}"));
            fs_err::write(&file, text)?;
            files.push((file, path.to_string()));
        }
        let spec = ContainerSpec {
            command: None,
            user: sandbox.user,
            environment: sandbox.environment.clone().into_iter().collect(),
            read_only: sandbox.read_only,
            tmpfs: sandbox.tmpfs.iter().map(TreePath::to_string).collect(),
            volumes,
            files,
            network: sandbox.network,
        };
        let limit = Duration::from_secs(sandbox.timeout.into());
        Ok(Self { test, image, engine, probe, spec, limit, service: None, started: None })
    }

    fn run(mut self) -> Result<()> {
        for (number, step) in self.test.steps.iter().enumerate() {
            if let Err(error) = self.step(step) {
                let logs = self.service.as_ref().map(|service| service.logs()).unwrap_or_default();
                let logs = if logs.trim().is_empty() {
                    String::new()
                } else {
                    format!("\nthe service wrote:\n{}", tail(&logs))
                };
                return Err(anyhow::anyhow!("{error:#}{logs}"))
                    .with_context(|| format!("step {}, {}", number + 1, verb(step)));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Run { command, exit, stdin, stdout, stderr } => {
                let finished = self.execute(command, stdin.as_deref())?;
                check_finished(&finished, *exit, stdout.as_ref(), stderr.as_ref())
            }
            Step::Start(start) => self.start(start),
            Step::Restart => self.restart(),
            Step::Wait(Wait::Port(port)) => self.until(&format!("port {port} did not open"), |session| {
                Ok(session.probe(&["port", &port.to_string()])?.succeeded())
            }),
            Step::Wait(Wait::Run(command)) => self
                .until(&format!("`{}` never succeeded", command.join(" ")), |session| {
                    Ok(session.execute(command, None)?.succeeded())
                }),
            Step::Http { port, path, status, body } => self.http(*port, path, *status, body.as_ref()),
            Step::Tcp { port, send, reply } => self.tcp(*port, send, reply),
            Step::Files { exist, absent } => self.files(exist, absent),
        }
    }

    fn engine(&self) -> Result<&'a dyn Engine> {
        self.engine.context("the test needs a container, and there is no engine")
    }

    fn start(&mut self, start: &Start) -> Result<()> {
        let command = match start {
            Start::Image => None,
            other => Some(other.command(&self.image.definition.run)),
        };
        let spec = ContainerSpec { command, ..self.spec.clone() };
        self.service = Some(self.engine()?.start(&spec)?);
        self.started = Some(spec);
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        let (Some(service), Some(spec)) = (&self.service, &self.started) else {
            bail!("nothing was started");
        };
        ensure!(service.process().is_some(), "the service has ended");
        service.stop(self.limit)?;
        self.service = Some(self.engine()?.start(spec)?);
        Ok(())
    }

    /// Runs a command in the service's container, or in one of its own where there is none yet.
    fn execute(&self, command: &[String], stdin: Option<&str>) -> Result<Finished> {
        match &self.service {
            Some(service) => service.execute(command, stdin, self.limit),
            None => {
                let spec = ContainerSpec { command: Some(command.to_vec()), ..self.spec.clone() };
                self.engine()?.run(&spec, stdin, self.limit)
            }
        }
    }

    /// Asks again and again until it is so, the service ends, or time is up.
    fn until(&self, complaint: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        loop {
            if is_so(self).unwrap_or(false) {
                return Ok(());
            }
            ensure!(
                self.service.as_ref().is_some_and(|service| service.process().is_some()),
                "the service has ended"
            );
            ensure!(start.elapsed() < self.limit, "{complaint} within {} s", self.limit.as_secs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs our own client inside the network namespace of the service.
    fn probe(&self, arguments: &[&str]) -> Result<Finished> {
        let process =
            self.service.as_ref().and_then(|service| service.process()).context("the service has ended")?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &process.to_string(), "--net"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
            .arg("--")
            .arg(self.probe.program)
            .arg("probe")
            .args(["--timeout", &self.limit.as_secs().to_string()]);
        process::run(command.args(arguments), None, self.limit)
    }

    fn http(&self, port: u16, path: &str, status: u16, body: Option<&TextCheck>) -> Result<()> {
        self.until(&format!("port {port} did not open"), |session| {
            Ok(session.probe(&["port", &port.to_string()])?.succeeded())
        })?;
        let reply = self.probe(&["http", &port.to_string(), path])?;
        ensure!(reply.succeeded(), "{}", reply.stderr.trim());
        let (got, text) = reply.stdout.split_once('\n').unwrap_or((&reply.stdout, ""));
        ensure!(got.trim() == status.to_string(), "status {got} instead of {status}");
        check_text("the body", text, body)
    }

    fn tcp(&self, port: u16, send: &str, expected: &TextCheck) -> Result<()> {
        self.until(&format!("port {port} did not open"), |session| {
            Ok(session.probe(&["port", &port.to_string()])?.succeeded())
        })?;
        let wanted = expected.contains.as_ref().or(expected.equals.as_ref()).map_or("", String::as_str);
        let reply = self.probe(&["tcp", &port.to_string(), send, wanted])?;
        ensure!(reply.succeeded(), "{}", reply.stderr.trim());
        check_text("the reply", &reply.stdout, Some(expected))
    }

    fn files(&self, exist: &[TreePath], absent: &[TreePath]) -> Result<()> {
        let tree = &self.image.rootfs.tree;
        for path in exist {
            ensure!(tree.resolve(path)?.is_some(), "{path} is not in the image");
        }
        for path in absent {
            if let Some(node) = tree.get(path) {
                bail!("{path} is in the image, put there by {}", node.owner);
            }
        }
        Ok(())
    }
}

fn check_finished(
    finished: &Finished,
    exit: u8,
    stdout: Option<&TextCheck>,
    stderr: Option<&TextCheck>,
) -> Result<()> {
    let wrote = || format!("\nit wrote:\n{}", tail(&format!("{}{}", finished.stdout, finished.stderr)));
    ensure!(!finished.timed_out, "it did not end in time{}", wrote());
    let code = finished.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    ensure!(finished.code == Some(exit.into()), "{code} instead of exit code {exit}{}", wrote());
    check_text("standard output", &finished.stdout, stdout)?;
    check_text("standard error", &finished.stderr, stderr)
}

fn check_text(name: &str, text: &str, check: Option<&TextCheck>) -> Result<()> {
    let Some(check) = check.filter(|check| !check.fits(text)) else { return Ok(()) };
    let wanted = match (&check.contains, &check.equals) {
        (Some(part), _) => format!("does not contain {part:?}"),
        (None, Some(whole)) => format!("is not {whole:?}"),
        (None, None) => "does not fit".to_owned(),
    };
    bail!("{name} {wanted}; it is:\n{}", tail(text))
}

const fn verb(step: &Step) -> &'static str {
    match step {
        Step::Run { .. } => "run",
        Step::Start(_) => "start",
        Step::Restart => "restart",
        Step::Wait(_) => "wait",
        Step::Http { .. } => "http",
        Step::Tcp { .. } => "tcp",
        Step::Files { .. } => "files",
    }
}

/// The last lines of a text, indented: enough to see what went wrong.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(code: Option<i32>, stdout: &str) -> Finished {
        Finished { code, timed_out: false, stdout: stdout.into(), stderr: String::new() }
    }

    #[test]
    fn a_wrong_exit_code_and_a_wrong_text_fail() {
        let equals = TextCheck { contains: None, equals: Some("1".into()) };
        assert!(check_finished(&finished(Some(0), "1\n"), 0, Some(&equals), None).is_ok());
        let error = check_finished(&finished(Some(0), "2\n"), 0, Some(&equals), None).unwrap_err();
        assert_eq!(error.to_string(), "standard output is not \"1\"; it is:\n    2");
        let error = check_finished(&finished(Some(1), "no\n"), 0, None, None).unwrap_err();
        assert_eq!(error.to_string(), "exit code 1 instead of exit code 0\nit wrote:\n    no");
        assert!(check_finished(&finished(None, ""), 0, None, None).is_err());
    }
}
