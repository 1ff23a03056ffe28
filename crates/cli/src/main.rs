//! The program `calypte`: does nothing itself; see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    calypte_cli::main()
}
