//! Runs in the machines of tests, as the first process of a system that has no other or as a service of one that has:
//! takes orders from a serial line and answers there. So a test needs no shell in the image, and no log-in.
//!
//! By another name it stands for other programs: `systemctl`, of which `calypte-host` wants a restart and to hear of failed
//! units; `fails`, a check that fails.

#![expect(clippy::print_stderr, reason = "a program of tests")]

mod line;
mod order;

use std::path::Path;
use std::process::ExitCode;

/// The serial line of the orders, unless an argument names another: the first one is the console.
const LINE: &str = "/dev/ttyS1";

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let path = arguments.next().unwrap_or_default();
    let words: Vec<String> = arguments.collect();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let name = Path::new(&path).file_name().unwrap_or_default();
    if name == "fails" || has("panic") {
        // As the first process it makes the kernel panic.
        eprintln!("{path}: as it should");
        return ExitCode::FAILURE;
    }
    if name == "systemctl" {
        let done = if has("reboot") { order::obey(&["reboot".to_owned()]).is_ok() } else { true };
        return if done { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let line = words.iter().find(|word| word.starts_with("/dev/")).map_or(LINE, String::as_str);
    let Err(error) = line::serve(line, order::obey);
    eprintln!("calypte-guest: {line}: {error}");
    ExitCode::FAILURE
}
