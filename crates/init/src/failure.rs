//! The end of a boot that failed: the reason, a while to read it, and another try, which the boot loader counts.

use std::process::ExitCode;
use std::time::Duration;

use rustix::system::{RebootCommand, reboot};

use crate::command_line::{CommandLine, OnFailure};
use crate::console::Console;
use crate::error::{InitError, chain};
use crate::kernel;

/// Says why, waits, and restarts the machine, or what the command line says. Comes back only when that fails too.
pub fn end(console: &Console, line: &CommandLine, error: &InitError) -> ExitCode {
    let reason = chain(error);
    finish(console, line, &format!("error: this system cannot be started: {reason}\nhint: {}", error.hint()))
}

/// A panic of this program ends in the same way: otherwise the kernel would panic, and say nothing of the reason.
pub fn restart_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let line = CommandLine::parse(&kernel::command_line());
        let message =
            format!("error: {panic}\nhint: this is a bug in calypte-init: choose another boot entry");
        finish(&Console::default(), &line, &message);
    }));
}

fn finish(console: &Console, line: &CommandLine, message: &str) -> ExitCode {
    let wait = line.reading_time();
    let (command, end) = match line.on_failure() {
        OnFailure::Reboot => {
            (RebootCommand::Restart, format!("the machine restarts in {} s", wait.as_secs()))
        }
        OnFailure::PowerOff => {
            (RebootCommand::PowerOff, format!("the machine switches itself off in {} s", wait.as_secs()))
        }
        OnFailure::Hold => {
            console.fail(&format!("{message}\nthe machine waits to be switched off"));
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    };
    console.fail(&format!("{message}\n{end}"));
    std::thread::sleep(wait);
    rustix::fs::sync();
    if let Err(error) = reboot(command) {
        console.fail(&format!("error: the machine cannot be restarted: {error}\nhint: switch it off and on"));
    }
    ExitCode::FAILURE
}
