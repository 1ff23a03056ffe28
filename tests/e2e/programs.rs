//! The programs that the catalog holds: out of their sources, with the catalog's own compiler, come the same bytes.

use std::process::Command;

use anyhow::Result;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run};

pub const CASES: &[Case] = &[Case {
    name: "programs_are_what_their_sources_give",
    needs: &[Need::Mirror, Need::Root, Need::Program("podman"), Need::ForeignPrograms],
    run: same_bytes,
}];

/// With the committed locks, since those of another day may name another compiler.
fn same_bytes(world: &World) -> Result<()> {
    let store = world.up()?.store();
    let mut chore = Command::new(env!("CARGO"));
    chore.args(["xtask", "entrypoint", "--check", "--program"]).arg(World::program());
    run(chore.current_dir(World::repository()).env("CALYPTE_STORE", store))?;
    Ok(())
}
