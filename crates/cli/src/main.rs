//! The program `calypte`: parses nothing and does nothing itself; see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
