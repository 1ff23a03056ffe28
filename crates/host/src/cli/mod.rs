//! The command line of `calypte-host`: arguments in, text or JSON out. The only module that knows environment, clock and
//! terminal.

mod arguments;
mod environment;
mod output;
mod progress;
mod run;
mod show;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;

pub use arguments::Arguments;

use crate::HostError;

/// Exit code when something said no: a check, a policy.
const REFUSED: u8 = 1;

/// Exit code of an error.
const ERROR: u8 = 2;

/// Exit code of a run that the user interrupted: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All is well.
    Yes,
    /// The question was answered with no.
    No,
}

/// Runs the program: exit code 0 done, 1 a check or policy said no, 2 an error, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    environment::set_up_fault_injection();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first signal asks; a second one, should the program not come to a stop, ends it at once.
        let end = signal_hook::flag::register_conditional_shutdown(
            signal,
            INTERRUPTED.into(),
            Arc::clone(&interrupted),
        );
        let ask = signal_hook::flag::register(signal, Arc::clone(&interrupted));
        if let Err(error) = end.and(ask) {
            output::line(&format!("error: cannot wait for signals: {error}"));
            return ExitCode::from(ERROR);
        }
    }
    let result = run::run(&arguments, &interrupted);
    environment::report_changes();
    match result {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(REFUSED),
        Err(_) if interrupted.load(Ordering::Relaxed) => {
            output::line("interrupted; what was finished is kept, and the same command goes on from there");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => report(&error),
    }
}

fn report(error: &HostError) -> ExitCode {
    output::line(&format!("error: {}", output::printable(&error.to_string())));
    if let Some(hint) = error.hint() {
        output::line(&format!("hint: {}", output::printable(&hint)));
    }
    ExitCode::from(if error.is_refusal() { REFUSED } else { ERROR })
}
