//! Runs in the machines of tests, as the first process of a system that has no other or as a service of one that has:
//! takes orders from a serial line and answers there. So a test needs no shell in the image, and no log-in.

#![expect(clippy::print_stderr, reason = "a program of tests")]

mod line;
mod order;

use std::process::ExitCode;

/// The serial line of the orders: the first one is the console.
const LINE: &str = "/dev/ttyS1";

fn main() -> ExitCode {
    // A system whose first process ends makes the kernel panic.
    if std::env::args().any(|argument| argument == "panic") {
        return ExitCode::FAILURE;
    }
    let Err(error) = line::serve(LINE, order::obey);
    eprintln!("calypte-guest: {LINE}: {error}");
    ExitCode::FAILURE
}
