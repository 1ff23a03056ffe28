//! `calypte completions`: a completion script for a shell.

use anyhow::Result;
use clap::CommandFactory as _;

use crate::Verdict;
use crate::output;

/// Options of `calypte completions`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut crate::arguments::Arguments::command(),
        "calypte",
        &mut script,
    );
    output::print(&String::from_utf8(script)?)?;
    Ok(Verdict::Yes)
}
