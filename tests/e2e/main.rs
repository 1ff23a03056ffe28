//! End-to-end cases: the built program against real tools and the live Debian mirror. A case that cannot run here is
//! reported as ignored, with what is missing; never as passed.

#![expect(clippy::disallowed_methods, reason = "a test program knows its environment")]

mod bad_input;
mod builder;
mod command_line;
mod engines;
mod needs;
mod outputs;
mod rebuild;
mod up;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use needs::Need;
use world::World;

/// One end-to-end case.
struct Case {
    name: &'static str,
    needs: &'static [Need],
    run: fn(&World) -> anyhow::Result<()>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let world = Arc::new(World::default());
    let cases = [
        up::CASES,
        outputs::CASES,
        engines::CASES,
        rebuild::CASES,
        builder::CASES,
        bad_input::CASES,
        command_line::CASES,
    ];
    let trials = cases.into_iter().flatten().map(|case| trial(case, &world)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: &'static Case, world: &Arc<World>) -> Trial {
    let missing: Vec<String> = case.needs.iter().filter_map(Need::missing).collect();
    let world = Arc::clone(world);
    let name = if missing.is_empty() {
        case.name.to_owned()
    } else {
        format!("{} (needs {})", case.name, missing.join(", "))
    };
    Trial::test(name, move || (case.run)(&world).map_err(|error| format!("{error:?}").into()))
        .with_ignored_flag(!missing.is_empty())
}
