//! The list of chores, as clap reads it.

use clap::Parser;

use crate::{bench, check, cross, entrypoint, generate, machines, package, reproduce, test};

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
enum Chore {
    Test(test::Arguments),
    Check(check::Arguments),
    Bench(bench::Arguments),
    Generate(generate::Arguments),
    Entrypoint(entrypoint::Arguments),
    Cross(cross::Arguments),
    Machines(machines::Arguments),
    Package(package::Arguments),
    Reproduce(reproduce::Arguments),
}

/// Does the chore that the command line names.
pub fn run() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Check(arguments) => check::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Generate(arguments) => generate::run(&arguments),
        Chore::Entrypoint(arguments) => entrypoint::run(&arguments),
        Chore::Cross(arguments) => cross::run(&arguments),
        Chore::Machines(arguments) => machines::run(&arguments),
        Chore::Package(arguments) => package::run(&arguments),
        Chore::Reproduce(arguments) => reproduce::run(&arguments),
    }
}
