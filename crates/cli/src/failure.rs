//! How an error reads: what failed, why, and the cure.

use std::io::Write as _;
use std::process::ExitCode;

use calypte_pipeline::{Mistakes, hint, is_refusal};

use crate::output::printable;

/// Exit code when a gate said no.
const REFUSED: u8 = 1;

/// Exit code of an error.
const ERROR: u8 = 2;

/// Prints an error to standard error; its exit code. A closed pipe is no error: whoever read the output had enough.
#[must_use]
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    // Mistakes in catalog files come with their own `error:`, place and help.
    if let Some(mistakes) = error.chain().find_map(|cause| cause.downcast_ref::<Mistakes>()) {
        line(&printable(&mistakes.to_string()));
        return ExitCode::from(ERROR);
    }
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let mut text = format!("{red}error:{red:#} {}", printable(&chain(error)));
    if let Some(hint) = hint(error) {
        let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
        text.push_str(&format!("\n{cyan}hint:{cyan:#} {}", printable(&hint)));
    }
    line(&text);
    ExitCode::from(if is_refusal(error) { REFUSED } else { ERROR })
}

/// The whole chain of causes in one line, each cause once: many errors repeat their cause in their own text.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

/// Prints a line to standard error; when that is closed there is nobody to tell.
pub fn line(text: &str) {
    drop(writeln!(anstream::stderr(), "{text}"));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_told_once() {
        let error: anyhow::Result<()> =
            Err(anyhow::anyhow!("no space left")).context("cannot write x: no space left");
        assert_eq!(
            chain(&error.context("building nginx").unwrap_err()),
            "building nginx: cannot write x: no space left"
        );
    }
}
