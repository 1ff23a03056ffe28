//! `cargo xtask machines`: what the machines of end-to-end cases are made of, below `target/tools`: a kernel, and the
//! programs of hosts as packages. `cargo xtask test` does the same first.

use anyhow::Result;

use crate::{kernel, package};

/// Prepares what the machines of end-to-end cases are made of: kernel and packages.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Architectures, as Debian has them
    #[arg(long, value_name = "ARCH", default_values = ["amd64"])]
    pub arch: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let architectures: Vec<&str> = arguments.arch.iter().map(String::as_str).collect();
    for architecture in &architectures {
        kernel::prepare(architecture)?;
    }
    package::for_tests(&architectures)
}

/// The same for a whole test run. What cannot be had is told, and the cases that need it say so.
pub fn prepare() {
    // The other architecture's programs take as long again, and its machines longer.
    let all = std::env::var_os("CALYPTE_TEST_MACHINES").is_some();
    let architectures: &[&str] = if all { &["amd64", "arm64"] } else { &["amd64"] };
    for architecture in architectures {
        if let Err(error) = kernel::prepare(architecture) {
            eprintln!("note: no kernel for machines of {architecture}: {error:#}");
        }
    }
    if let Err(error) = package::for_tests(architectures) {
        eprintln!("note: no packages of the programs of hosts: {error:#}");
    }
}
