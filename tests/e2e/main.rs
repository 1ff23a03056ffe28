//! End-to-end cases: the built program against real tools and the live Debian mirror. A case that cannot run here is
//! reported as ignored, with what is missing; never as passed.

#![expect(clippy::disallowed_methods, reason = "a test program knows its environment")]

mod agents;
mod bad_fedora;
mod bad_input;
mod bolt;
mod builder;
mod case;
mod catalog;
mod command_line;
mod delta;
mod differential;
mod engines;
mod fedora;
mod gate;
mod host_boot;
mod host_update;
mod live_fedora;
mod machine;
mod needs;
mod new;
mod os;
mod os_boot;
mod outputs;
mod pipeline;
mod programs;
mod publish;
mod pull;
mod readme;
mod rebuild;
mod rebuild_from_provenance;
mod sample;
mod sbom;
mod scan;
mod scanners;
mod site;
mod small_image;
mod small_system;
mod store_gc;
mod synthetic;
mod trivy;
mod up;
mod vex;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let part = std::env::var("CALYPTE_TEST_PART").ok();
    assert!(
        part.as_deref().is_none_or(|part| ["of-up", "apart"].contains(&part)),
        "there is no part {part:?}"
    );
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), case::all(part.as_deref())).exit_code()
}
