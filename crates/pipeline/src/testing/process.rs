//! Runs a program of the machine with a time limit, and keeps what it prints within bounds.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// What is kept of each output stream; a test that prints more is read to the end, but cut.
const KEPT_OUTPUT: usize = 1024 * 1024;

/// How a program ended, and what it printed.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; `None` when a signal or the time limit ended it.
    pub code: Option<i32>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Standard output, at most 1 MiB of it.
    pub stdout: String,
    /// Standard error, at most 1 MiB of it.
    pub stderr: String,
}

impl Finished {
    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs a command to its end, at most for `limit`, and then kills it. `stdin` is what it reads; none: nothing.
///
/// # Errors
/// When it cannot be started.
pub fn run(command: &mut Command, stdin: Option<&str>, limit: Duration) -> Result<Finished> {
    let mut child = command
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} could not be started", command.get_program().display()))?;
    feed(child.stdin.take(), stdin);
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, limit)?;
    let text = |reader: JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    Ok(Finished {
        code: status.and_then(|status| status.code()),
        timed_out: status.is_none(),
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

/// Writes in a thread of its own: a program that does not read must not stop us.
fn feed(stream: Option<ChildStdin>, text: Option<&str>) {
    if let (Some(mut stream), Some(text)) = (stream, text.map(str::to_owned)) {
        // A program may end without reading all; what it does then is for its exit code to say.
        std::thread::spawn(move || drop(stream.write_all(text.as_bytes())));
    }
}

/// Reads a stream to its end in a thread of its own, so that the program never waits for us.
fn drain(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let Some(mut stream) = stream else { return kept };
        // A read error ends what can be known of the output; what came before it still counts.
        let _ = stream.by_ref().take(KEPT_OUTPUT as u64).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        kept
    })
}

fn wait(child: &mut Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill().context("a program over its time limit could not be ended")?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_what_runs_too_long() {
        let finished = run(Command::new("sleep").arg("60"), None, Duration::from_millis(50)).unwrap();
        assert!(finished.timed_out && finished.code.is_none());
    }

    #[test]
    fn keeps_both_streams_and_the_code() {
        let script = "read x; echo out $x; echo err >&2; exit 3";
        let finished =
            run(Command::new("sh").args(["-c", script]), Some("in\n"), Duration::from_secs(10)).unwrap();
        assert_eq!((finished.code, &*finished.stdout, &*finished.stderr), (Some(3), "out in\n", "err\n"));
    }
}
