//! The program `calypte-host`: does nothing itself; see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    calypte_host::cli::main()
}
