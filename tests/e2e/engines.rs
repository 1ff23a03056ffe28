//! The images' own tests in each engine and, for arm64, under emulation.

use anyhow::{Result, ensure};

use crate::case::Case;
use crate::needs::Need;
use crate::world::World;

pub const CASES: &[Case] = &[
    Case {
        name: "podman_runs_the_tests",
        needs: &[Need::Mirror, Need::Program("podman"), Need::Program("nsenter")],
        run: podman,
    },
    Case {
        name: "runc_runs_the_tests",
        needs: &[Need::Mirror, Need::Program("runc"), Need::Root, Need::Program("nsenter")],
        run: runc,
    },
    Case {
        name: "arm64_images_run_under_qemu",
        needs: &[Need::Mirror, Need::Engine, Need::ForeignPrograms],
        run: arm64,
    },
    Case { name: "stable_images_run", needs: &[Need::Mirror, Need::Engine], run: stable },
];

/// The families whose images are servers or interpreters.
const FAMILIES: [&str; 5] = ["nginx", "python", "nodejs", "postgresql", "valkey"];

fn tests(world: &World, arguments: &[&str]) -> Result<()> {
    let report = world.up()?.json(&[&["test"], arguments].concat())?;
    let all = report["tests"].as_array().map_or(0, Vec::len);
    ensure!(all > 0 && report["engine"].is_string(), "{report:#}");
    Ok(())
}

fn podman(world: &World) -> Result<()> {
    FAMILIES.iter().try_for_each(|family| tests(world, &[family, "--engine", "podman"]))
}

fn runc(world: &World) -> Result<()> {
    FAMILIES.iter().try_for_each(|family| tests(world, &[family, "--engine", "runc"]))
}

fn arm64(world: &World) -> Result<()> {
    FAMILIES.iter().try_for_each(|family| tests(world, &[family, "--arch", "arm64"]))
}

fn stable(world: &World) -> Result<()> {
    let up = world.up()?;
    for family in FAMILIES {
        let check = up.json(&["lock", family, "--universe", "debian-stable", "--check"])?;
        ensure!(check["locks"][0]["problem"].is_null(), "{check:#}");
        tests(world, &[family, "--universe", "debian-stable"])?;
    }
    Ok(())
}
