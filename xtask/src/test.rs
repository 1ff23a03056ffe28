//! `cargo xtask test`: the whole test run. Adds up what every test program reports; a skip is never a pass.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{machines, run, tools};

/// Runs all tests: unit, snapshot, oracle and end-to-end against real tools and the live Debian mirror.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only what needs no network, no root and no other tool
    #[arg(long)]
    quick: bool,
    /// Only this: lock and build the starter images from Fedora's own mirrors
    #[arg(long, conflicts_with = "quick")]
    live_fedora: bool,
    /// Only the tests whose name holds this text
    filter: Option<String>,
}

/// What the test programs reported, added up.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    skips: Vec<String>,
    broken: Vec<String>,
    reasons: Reasons,
}

/// What the failed tests said, to be repeated at the end, where a long run is read first.
#[derive(Debug, Default)]
struct Reasons {
    lines: Vec<String>,
    left_of_this: usize,
}

impl Reasons {
    /// Lines kept of one test.
    const LINES: usize = 12;

    /// Takes in one line: a test's own begin with `---- its name`, the list of names with `failures:`.
    fn read(&mut self, line: &str) {
        if line.starts_with("---- ") {
            self.left_of_this = Self::LINES;
        } else if line == "failures:" {
            self.left_of_this = 0;
        }
        if self.left_of_this > 0 && !line.is_empty() {
            self.left_of_this -= 1;
            self.lines.push(line.chars().take(400).collect());
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut tally = Tally::default();
    if arguments.live_fedora {
        run::succeed(&mut run::cargo(&["build", "--release", "--package", "calypte-cli"]))?;
        let filter = Arguments { filter: Some("live_fedora".to_owned()), ..*arguments };
        let mut command = tests(&["--package", "calypte-tests"], &["--test-threads=1"], &filter);
        tally.add(command.env("CALYPTE_TEST_FEDORA", "1"))?;
        // Where the mirrors cannot be reached there is nothing that could pass, and that is no failure.
        return tally.close_with(true);
    }
    if arguments.quick {
        tally.add(&mut tests(&["--workspace", "--exclude", "calypte-tests"], &[], arguments))?;
    } else {
        for program in tools::prepare()? {
            eprintln!("missing: {program} (could not be installed here; the cases that need it are skipped)");
        }
        let oracles: &[&str] = if missing_oracles().is_empty() { &["--include-ignored"] } else { &[] };
        tally.add(&mut tests(&["--workspace", "--exclude", "calypte-tests"], oracles, arguments))?;
        // In our own target directory: most of it was checked for `cargo xtask check`.
        let mut fuzz = run::cargo(&["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
        run::succeed(fuzz.env("CARGO_TARGET_DIR", run::workspace().join("target")))?;
        run::succeed(&mut run::cargo(&["build", "--release", "--package", "calypte-cli"]))?;
        if arguments.filter.as_deref().is_none_or(|filter| filter.contains("host") || filter.contains("os")) {
            machines::prepare();
        }
        run::succeed(&mut run::cargo(&["test", "--no-run", "--quiet", "--package", "calypte-tests"]))?;
        // Two at a time and no more: much of a case is waiting, but tests have time limits.
        let part = |name: &str| {
            let mut command = tests(&["--package", "calypte-tests"], &["--test-threads=1"], arguments);
            command.env("CALYPTE_TEST_PART", name);
            let mut tally = Tally::default();
            tally.add(&mut command).map(|()| tally)
        };
        let (of_up, apart) = std::thread::scope(|scope| {
            let apart = scope.spawn(|| part("apart"));
            (part("of-up"), apart.join())
        });
        tally.merge(of_up?);
        tally.merge(apart.map_err(|_| anyhow::anyhow!("the thread with the other cases ended"))??);
    }
    tally.close()
}

/// The programs without which the oracle tests (marked `ignore`, run here) cannot decide anything.
fn missing_oracles() -> Vec<&'static str> {
    ["apt-get", "dpkg-deb", "tar"].into_iter().filter(|program| !run::is_installed(program)).collect()
}

fn tests(cargo: &[&str], harness: &[&str], arguments: &Arguments) -> Command {
    let mut command = run::cargo(&["test", "--no-fail-fast"]);
    // The level that is published would cost more than all the tests.
    command.env("CALYPTE_COMPRESSION", "zstd:3");
    if !arguments.quick {
        command.env("CALYPTE_TEST_NETWORK", "1");
    }
    command.args(cargo).args(&arguments.filter).arg("--").args(harness);
    command
}

impl Tally {
    /// Runs a test program, passes its output on, and reads results and skips out of it.
    fn add(&mut self, command: &mut Command) -> Result<()> {
        eprintln!("running {command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let stdout = child.stdout.take().context("the test program has no standard output")?;
        let stderr = child.stderr.take().context("the test program has no standard error")?;
        let complaints = std::thread::spawn(move || {
            let mut skips = Vec::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                skips.extend(line.strip_prefix("skipped: ").map(str::to_owned));
                eprintln!("{line}");
            }
            skips
        });
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            // One closing line counts for the whole run; the single programs' would be taken for it.
            self.reasons.read(&line);
            if !self.read(&line) {
                println!("{line}");
            }
        }
        let status = child.wait()?;
        self.take_back(complaints.join().unwrap_or_default());
        if !status.success() {
            self.broken.push(format!("{command:?}: {status}"));
        }
        Ok(())
    }

    /// Takes in what another counted.
    fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.skips.extend(other.skips);
        self.broken.extend(other.broken);
        self.reasons.lines.extend(other.reasons.lines);
    }

    /// A test that found its tool missing says so in a line of its own and returns; libtest counts it as passed.
    fn take_back(&mut self, skips: Vec<String>) {
        let count = skips.len() as u64;
        self.passed = self.passed.saturating_sub(count);
        self.skipped += count;
        self.skips.extend(skips);
    }

    /// Takes in one line; whether it was a result line.
    fn read(&mut self, line: &str) -> bool {
        if line.starts_with("test ") && line.contains("... ignored") {
            self.skips.push(line.trim_start_matches("test ").replace(" ... ignored", ""));
        }
        let Some(result) = line.strip_prefix("test result: ") else { return false };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            if let (Some(Ok(count)), Some(kind)) = (words.next().map(str::parse::<u64>), words.next()) {
                match kind {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    "ignored" => self.skipped += count,
                    _ => {}
                }
            }
        }
        true
    }

    fn close(self) -> Result<()> {
        self.close_with(false)
    }

    /// Says what came of it; whether all may have been skipped.
    fn close_with(self, may_skip_all: bool) -> Result<()> {
        for skip in &self.skips {
            println!("skipped: {skip}");
        }
        for reason in &self.reasons.lines {
            println!("{reason}");
        }
        for broken in &self.broken {
            println!("failed: {broken}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        if self.failed > 0 || !self.broken.is_empty() {
            bail!("not all tests passed");
        }
        if self.passed == 0 && !may_skip_all {
            bail!("no test ran");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_repeated_and_bounded() {
        let mut reasons = Reasons::default();
        let long: Vec<String> = (0..20).map(|line| format!("line {line}")).collect();
        let mut output = vec!["running 3 tests", "failures:", "---- a ----", "wrong", "", "---- b ----"];
        output.extend(long.iter().map(String::as_str));
        output.extend(["failures:", "    a", "    b"]);
        for line in output {
            reasons.read(line);
        }
        assert_eq!(reasons.lines[..4], ["---- a ----", "wrong", "---- b ----", "line 0"]);
        assert_eq!(reasons.lines.len(), 2 + Reasons::LINES);
    }
}
