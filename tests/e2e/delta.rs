//! A delta between two images of the catalog leads to the second one byte for byte, and to nothing from another base.

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, fails, run};

pub const CASES: &[Case] =
    &[Case { name: "a_delta_leads_to_the_same_image", needs: &[Need::Mirror], run: delta }];

fn delta(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    let place = |name: &str| format!("oci:{}", directory.path().join(name).display());
    for image in ["nginx", "nginx-builder"] {
        run(&mut up.calypte(&["build", image, "--output", &place(image)]))?;
    }
    let (old, new, made) = (place("nginx"), place("nginx-builder"), place("delta"));
    let report = up.json(&["delta", &old, &new, "--output", &made])?;
    let deltas = report["deltas"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(!deltas.is_empty(), "{report:#}");
    for delta in deltas {
        ensure!(delta["delta"].as_u64() < delta["layers"].as_u64(), "{delta:#}");
    }
    let result = place("result");
    run(&mut up.calypte(&["delta", "apply", &made, "--base", &old, "--output", &result]))?;
    let blobs = |name: &str| directory.path().join(name).join("blobs");
    run(std::process::Command::new("diff").arg("-r").args([blobs("nginx-builder"), blobs("result")]))?;
    let other = ["delta", "apply", &made, "--base", &new, "--output", &place("other")];
    fails(&mut up.calypte(&other), 2)?;
    ensure!(!directory.path().join("other").exists(), "something was written");
    Ok(())
}
