//! The first process of images whose software is expected to set itself up: reads the variables that users of the
//! well-known images know, makes the data at the first start, and becomes the server. There is no shell in it.
//!
//! `entrypoint SOFTWARE [ARGUMENTS…]` in an image's entrypoint; under the name `sh` it is the runner of commands of [`sh`].

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a program without dependencies that runs in images: it reads its environment, and its files name their paths"
)]

mod base64;
mod command;
mod environment;
mod erlang;
mod failure;
mod files;
mod first_start;
mod mariadb;
mod nginx;
mod postgres;
mod rabbitmq;
mod scripts;
mod session;
mod sh;
mod slapd;
mod software;
mod sql;
mod sshd;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let failure = software::start(std::env::args_os().collect());
    eprintln!("{failure}");
    ExitCode::from(failure.code)
}
