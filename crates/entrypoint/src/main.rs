//! The first process of images whose software is expected to set itself up: reads the variables that users of the
//! well-known images know, makes the data at the first start, and becomes the server. There is no shell in it.
//!
//! `entrypoint SOFTWARE [ARGUMENTS…]` in an image's entrypoint; under the name `sh` it is the command runner of [`sh`].

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a program without dependencies that runs in images: it reads its environment, and its files name their paths"
)]

mod command;
mod environment;
mod failure;
mod files;
mod first_start;
mod mariadb;
mod postgres;
mod scripts;
mod sh;
mod software;
mod sql;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let failure = software::start(std::env::args_os().collect());
    eprintln!("{failure}");
    ExitCode::from(failure.code)
}
