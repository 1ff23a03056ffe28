//! `cargo xtask`: the project's chores. Each is a file of its own; see `cargo xtask --help`.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a developer's terminal: it prints, and reads PATH"
)]

mod bench;
mod check;
mod chore;
mod cross;
mod dependencies;
mod entrypoint;
mod generate;
mod kernel;
mod machines;
mod package;
mod reproduce;
mod run;
mod test;
mod tools;

fn main() -> anyhow::Result<()> {
    chore::run()
}
