//! The command line: argument types, one file a command, output. The work itself is in the libraries.

pub mod arguments;
pub mod commands;
pub mod environment;
pub mod failure;
pub mod memory;
pub mod mirrors;
pub mod output;
pub mod progress;
pub mod session;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use session::Session;

/// Exit code of a run that the user interrupted: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well: exit code 0.
    Yes,
    /// The question was answered with no (a test failed, a lock is out of date): exit code 1.
    No,
}

/// Runs the program: exit code 0 done, 1 a gate said no, 2 an error, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let session = match Session::new(arguments.global) {
        Ok(session) => session,
        Err(error) => return failure::report(&error),
    };
    let result = run(&session, &arguments.command);
    session.terminal.finish();
    match result {
        Err(_) if session.was_interrupted() => {
            failure::line("interrupted; what was finished is kept, and the same command goes on from there");
            ExitCode::from(INTERRUPTED)
        }
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(1),
        Err(error) => failure::report(&error),
    }
}

fn run(session: &Session, command: &Command) -> anyhow::Result<Verdict> {
    match command {
        Command::Up(arguments) => commands::up::run(session, arguments),
        Command::List(arguments) => commands::list::run(session, arguments),
        Command::Catalog(arguments) => commands::catalog::run(session, arguments),
        Command::New(arguments) => commands::new::run(session, arguments),
        Command::Lock(arguments) => commands::lock::run(session, arguments),
        Command::Build(arguments) => commands::build::run(session, arguments),
        Command::Show(arguments) => commands::show::run(session, arguments),
        Command::Sbom(arguments) => commands::sbom::run(session, arguments),
        Command::Disk(arguments) => commands::disk::run(session, arguments),
        Command::Os(arguments) => commands::os::run(session, arguments),
        Command::Scan(arguments) => commands::scan::run(session, arguments),
        Command::Advisories(arguments) => commands::advisories::run(session, arguments),
        Command::Affected(arguments) => commands::affected::run(session, arguments),
        Command::Vex(arguments) => commands::vex::run(session, arguments),
        Command::Delta(arguments) => commands::delta::run(session, arguments),
        Command::Diff(arguments) => commands::diff::run(session, arguments),
        Command::Test(arguments) => commands::test::run(session, arguments),
        Command::Pull(arguments) => commands::pull::run(session, arguments),
        Command::Push(arguments) => commands::push::run(session, arguments),
        Command::Gate(arguments) => commands::gate::run(session, arguments),
        Command::Pipeline(arguments) => commands::pipeline::run(session, arguments),
        Command::Sign(arguments) => commands::sign::run(session, arguments),
        Command::Verify(arguments) => commands::verify::run(session, arguments),
        Command::Rebuild(arguments) => commands::rebuild::run(session, arguments),
        Command::Key(arguments) => commands::key::run(arguments),
        Command::Serve(arguments) => commands::serve::run(session, arguments),
        Command::Gc(arguments) => commands::gc::run(session, arguments),
        Command::Mcp(arguments) => commands::mcp::run(session, arguments),
        Command::Archive(arguments) => commands::archive::run(session, arguments),
        Command::Completions(arguments) => commands::completions::run(arguments),
        Command::Reference(arguments) => commands::reference::run(arguments),
        Command::Probe(arguments) => commands::probe::run(session, arguments),
    }
}
