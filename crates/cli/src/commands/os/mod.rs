//! `calypte os`: what is done with images of hosts alone.

mod lint;

use anyhow::Result;

use crate::Verdict;
use crate::session::Session;

/// Options of `calypte os`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check an image of a host: bootc's rules, and more
    Lint(lint::Arguments),
}

/// Does what is asked for.
///
/// # Errors
/// When an image cannot be read.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    match &arguments.command {
        Command::Lint(arguments) => lint::run(session, arguments),
    }
}
