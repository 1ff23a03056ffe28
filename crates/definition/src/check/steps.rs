//! Checks `tests:`: the steps' values, and that their order makes sense.

use std::collections::BTreeMap;

use calypte_base::TreePath;

use super::Checker;
use super::words::{self, Fault};
use crate::test::{Sandbox, Start, Step, Test, TextCheck, Wait};
use crate::written::{
    FilesFile, HttpStep, RunStep, SandboxFile, StartFile, StepFile, TestFile, Text, TextFile, WaitFile,
};
use crate::yaml::{Span, Spanned};

/// Seconds that a step may take if the test does not say.
const TIMEOUT: u32 = 30;
/// The longest time that a test can ask for: a step that takes longer is a benchmark.
const LONGEST_TIMEOUT: u32 = 600;

impl Checker<'_> {
    pub(super) fn tests(&mut self, tests: Vec<TestFile>) -> Vec<Test> {
        tests.into_iter().filter_map(|test| self.test(test)).collect()
    }

    fn test(&mut self, test: TestFile) -> Option<Test> {
        self.value(&test.name, words::line);
        if let Some(first) = self.tests.insert(test.name.value.clone(), test.name.span) {
            let line = self.source.line(first);
            let fault = Fault::new(format!("two tests are called `{}`", test.name.value));
            self.fault(
                test.name.span,
                fault.hint(format!("the other one is on line {line}; say how they differ")),
            );
        }
        let sandbox = self.sandbox(&test.with);
        if test.steps.value.is_empty() {
            let fault = Fault::new("this test has no steps");
            self.fault(test.steps.span, fault.hint("add one of `run`, `start`, `http`, `tcp`, `files`"));
        }
        let mut started = false;
        let mut steps = Vec::new();
        for step in &test.steps.value {
            self.order(step, &mut started);
            steps.push(self.step(step));
        }
        // A test with a faulty step is dropped here: its faults are noted, and the family is refused for them.
        Some(Test {
            name: self.filled(&test.name.value),
            format: test.format.map(Into::into),
            sandbox,
            steps: steps.into_iter().collect::<Option<_>>()?,
        })
    }

    fn order(&mut self, step: &StepFile, started: &mut bool) {
        let (needs, span) = match step {
            StepFile::Start(step) => {
                if *started {
                    let fault = Fault::new("the service is started twice in one test");
                    self.fault(step.start.span, fault.hint("make two tests of it"));
                }
                *started = true;
                return;
            }
            StepFile::Restart(step) => ("restart", step.restart.span),
            StepFile::Wait(step) => ("wait", step.wait.span),
            StepFile::Http(step) => ("http", step.http.span),
            StepFile::Tcp(step) => ("tcp", step.tcp.span),
            StepFile::Run(_) | StepFile::Files(_) => return,
        };
        if !*started {
            let fault = Fault::new(format!("`{needs}` needs a service, and none is started before it"));
            self.fault(span, fault.hint("put `- start: image` before this step"));
        }
    }

    fn sandbox(&mut self, with: &SandboxFile) -> Sandbox {
        let timeout = with.timeout.map_or(TIMEOUT, |timeout| timeout.value);
        if let Some(given) = with.timeout.filter(|given| !(1..=LONGEST_TIMEOUT).contains(&given.value)) {
            let fault = Fault::new(format!("{timeout} seconds are no time for a step"));
            self.fault(given.span, fault.hint(format!("give 1 to {LONGEST_TIMEOUT} seconds")));
        }
        let (tmpfs, volumes) =
            (self.values(&with.tmpfs, words::path), self.values(&with.volumes, words::path));
        if let Some(both) =
            with.volumes.iter().find(|path| with.tmpfs.iter().any(|other| other.value == path.value))
        {
            let fault = Fault::new(format!("`{}` is both under `tmpfs` and under `volumes`", both.value));
            self.fault(
                both.span,
                fault.hint("a volume is shared by all containers of the test, a tmpfs is not: keep one"),
            );
        }
        Sandbox {
            environment: self.entries(&with.environment, words::environment_name, words::argument),
            tmpfs,
            volumes,
            files: self.sandbox_files(with),
            read_only: with.read_only.unwrap_or(true),
            user: with.user.as_ref().and_then(|user| self.value(user, words::user_and_group)),
            network: with.network,
            native: self.reason(with.native.as_ref()),
            timeout,
        }
    }

    fn reason(&mut self, text: Option<&Text>) -> Option<String> {
        let text = text?;
        self.value(text, words::line);
        Some(self.filled(&text.value))
    }

    fn sandbox_files(&mut self, with: &SandboxFile) -> BTreeMap<TreePath, String> {
        let mut files = BTreeMap::new();
        for (path, text) in &with.files.0 {
            if let Some(path) = self.value(path, words::path) {
                files.insert(path, self.filled(&text.value));
            }
        }
        files
    }

    fn step(&mut self, step: &StepFile) -> Option<Step> {
        match step {
            StepFile::Run(step) => self.run_step(step),
            StepFile::Start(step) => {
                let start = match &step.start.value {
                    StartFile::Image => Start::Image,
                    StartFile::Arguments(arguments) => Start::Arguments(self.all_filled(arguments)),
                    StartFile::Command(command) => {
                        Start::Command(self.step_command(command, step.start.span)?)
                    }
                };
                Some(Step::Start(start))
            }
            StepFile::Restart(_) => Some(Step::Restart),
            StepFile::Wait(step) => {
                let wait = match &step.wait.value {
                    WaitFile::Port(port) => {
                        Wait::Port(self.port(Spanned { value: *port, span: step.wait.span })?)
                    }
                    WaitFile::Run(command) => Wait::Run(self.step_command(command, step.wait.span)?),
                };
                Some(Step::Wait(wait))
            }
            StepFile::Http(step) => self.http(step),
            StepFile::Tcp(step) => {
                let (port, reply) = (self.port(step.tcp), self.text(&step.reply));
                Some(Step::Tcp {
                    port: port?,
                    send: step.send.as_ref().map_or_else(String::new, |text| self.filled(text)),
                    reply: reply?,
                })
            }
            StepFile::Files(step) => self.files(&step.files),
        }
    }

    fn run_step(&mut self, step: &RunStep) -> Option<Step> {
        let command = self.step_command(&step.run.value, step.run.span);
        let stdout = self.optional_text(step.stdout.as_ref());
        let stderr = self.optional_text(step.stderr.as_ref());
        Some(Step::Run {
            command: command?,
            exit: step.exit.unwrap_or(0),
            stdin: step.stdin.as_ref().map(|text| self.filled(text)),
            stdout: stdout?,
            stderr: stderr?,
        })
    }

    fn http(&mut self, step: &HttpStep) -> Option<Step> {
        let port = self.port(step.http);
        let path = match &step.path {
            None => "/".to_owned(),
            Some(path) => self.value(path, |path| {
                let good = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
                if good {
                    Ok(path.to_owned())
                } else {
                    Err(Fault::new(format!("`{path}` is not the path of a page"))
                        .hint("write it from the `/` on, blanks as `%20`"))
                }
            })?,
        };
        let status = step.status.map_or(200, |status| status.value);
        if let Some(given) = step.status.filter(|given| !(100..=599).contains(&given.value)) {
            let fault = Fault::new(format!("`{status}` is not an HTTP status"));
            self.fault(given.span, fault.hint("give 100 to 599"));
        }
        let body = self.optional_text(step.body.as_ref());
        Some(Step::Http { port: port?, path, status, body: body? })
    }

    fn files(&mut self, files: &Spanned<FilesFile>) -> Option<Step> {
        let FilesFile { exist, absent } = &files.value;
        if exist.is_empty() && absent.is_empty() {
            let fault = Fault::new("no files are named");
            self.fault(files.span, fault.hint("name some under `exist:` or `absent:`"));
        }
        let (exist, absent) = (self.values(exist, words::path), self.values(absent, words::path));
        if let Some(both) =
            files.value.absent.iter().find(|path| exist.iter().any(|other| other.to_string() == path.value))
        {
            let fault = Fault::new(format!("`{}` cannot both exist and be absent", both.value));
            self.fault(both.span, fault.hint("keep it under one of the two"));
        }
        Some(Step::Files { exist: exist.into_iter().collect(), absent: absent.into_iter().collect() })
    }

    fn step_command(&mut self, command: &[String], span: Span) -> Option<Vec<String>> {
        let Some(program) = command.first() else {
            let fault = Fault::new("this command is empty");
            self.fault(span, fault.hint("name the program first, then its arguments"));
            return None;
        };
        self.program(&Spanned { value: program.as_str(), span });
        Some(self.all_filled(command))
    }

    fn port(&mut self, port: Spanned<u16>) -> Option<u16> {
        if port.value == 0 {
            self.fault(port.span, Fault::new("port `0` is out of range").hint("give 1 to 65535"));
            return None;
        }
        Some(port.value)
    }

    /// Outer none: a fault; inner none: nothing is asked of the text.
    #[expect(clippy::option_option, reason = "the two mean different things, and live for one line")]
    fn optional_text(&mut self, text: Option<&Spanned<TextFile>>) -> Option<Option<TextCheck>> {
        match text {
            None => Some(None),
            Some(text) => self.text(text).map(Some),
        }
    }

    pub(super) fn text(&mut self, text: &Spanned<TextFile>) -> Option<TextCheck> {
        let TextFile { contains, equals } = &text.value;
        if contains.as_ref().or(equals.as_ref()).is_none() || contains.as_ref().is_some_and(String::is_empty)
        {
            let fault = Fault::new("nothing is asked of this text");
            self.fault(text.span, fault.hint("write what it `contains:`, or what it `equals:`"));
            return None;
        }
        let filled = |text: &Option<String>| text.as_ref().map(|text| self.filled(text));
        Some(TextCheck { contains: filled(contains), equals: filled(equals) })
    }
}
