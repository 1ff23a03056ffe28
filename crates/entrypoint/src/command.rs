//! Running the server's programs: to their end, with a text on their standard input, beside this process for a while,
//! or in its place.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or fails; what it wrote about that is in the container's log.
pub fn run(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.status().map_err(|error| cannot_run(&name, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{name} failed: {status}"))) }
}

/// The same, with a text on its standard input.
///
/// # Errors
/// As [`run`].
pub fn feed(command: &mut Command, text: &str) -> Result<()> {
    let name = name(command);
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| cannot_run(&name, &error))?;
    // A program that does not read to the end says itself what is wrong.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let status = child.wait().map_err(|error| cannot_run(&name, &error))?;
    match written {
        Some(Err(error)) if status.success() => {
            Err(Failure::new(format!("{name} did not read its input: {error}")))
        }
        _ if status.success() => Ok(()),
        _ => Err(Failure::new(format!("{name} failed: {status}"))),
    }
}

/// Becomes the command: same process, so that signals reach it. Returns only why that cannot be.
pub fn become_command(command: &mut Command) -> Failure {
    let name = name(command);
    let error = std::os::unix::process::CommandExt::exec(command);
    // As a shell says that it cannot find a command.
    Failure { code: 127, ..cannot_run(&name, &error) }
}

/// A server that runs beside this process for the time of the initialisation.
#[derive(Debug)]
pub struct Server {
    child: Child,
    name: String,
}

impl Server {
    /// Starts it, with nothing to read, and waits until `ready` says so.
    ///
    /// # Errors
    /// When it cannot be started, ends by itself or is not ready within the limit.
    pub fn start(command: &mut Command, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<Self> {
        let name = name(command);
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| cannot_run(&name, &error))?;
        let mut server = Self { child, name };
        let start = Instant::now();
        while !ready() {
            if let Some(status) = server.child.try_wait().map_err(|error| cannot_run(&server.name, &error))? {
                return Err(Failure::new(format!(
                    "{} ended while it was to be initialised: {status}",
                    server.name
                )));
            }
            if start.elapsed() > limit {
                let seconds = limit.as_secs();
                return Err(Failure::new(format!("{} is not ready after {seconds} seconds", server.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Waits until it has ended, which something else has asked it to.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn ended(mut self) -> Result<()> {
        let status = self.child.wait().map_err(|error| cannot_run(&self.name, &error))?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("{} failed: {status}", self.name))) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failure: what it was initialising is thrown away. Without effect where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn cannot_run(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run {name}: {error}"))
}
