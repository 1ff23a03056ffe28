//! `cargo xtask`: the project's chores. Each is a file of its own; see `cargo xtask --help`.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a developer's terminal: it prints, and reads PATH"
)]

mod bench;
mod check;
mod dependencies;
mod generate;
mod run;
mod test;
mod tools;

use clap::Parser;

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
enum Chore {
    Test(test::Arguments),
    Check(check::Arguments),
    Bench(bench::Arguments),
    Generate(generate::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Check(arguments) => check::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Generate(arguments) => generate::run(&arguments),
    }
}
