//! A delta between two images of the catalog leads to the second one byte for byte, and to nothing from another base
//! unless a fallback holds it.

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
    let error = fails(&mut up.calypte(&other), 2)?;
    ensure!(error.contains("--fallback"), "{error}");
    ensure!(!directory.path().join("other").exists(), "something was written");
    // With a fallback a wrong base is no more than a warning.
    let instead = place("instead");
    let fallback = ["delta", "apply", &made, "--base", &new, "--fallback", &new, "--output", &instead];
    let warning = run(&mut up.calypte(&fallback))?.stderr;
    ensure!(String::from_utf8_lossy(&warning).contains("against image"), "no warning");
    run(std::process::Command::new("diff").arg("-r").args([blobs("nginx-builder"), blobs("instead")]))?;
    Ok(())
}
