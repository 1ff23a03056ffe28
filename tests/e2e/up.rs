//! The main command on an empty store: every image is built for both architectures, and its tests pass.

use anyhow::{Context as _, Result, ensure};

use crate::case::Case;
use crate::needs::Need;
use crate::world::World;

pub const CASES: &[Case] = &[
    Case { name: "up_builds_and_tests_every_image", needs: &[Need::Mirror, Need::Engine], run: every_image },
    Case { name: "up_again_changes_nothing", needs: &[Need::Mirror, Need::Engine], run: again },
];

fn every_image(world: &World) -> Result<()> {
    let up = world.up()?;
    ensure!(up.report["failures"] == serde_json::json!([]), "{:#}", up.report["failures"]);
    let images = up.report["images"].as_array().context("no images")?;
    for family in ["static", "base", "nginx", "python", "nodejs", "postgresql", "valkey"] {
        for name in [family.to_owned(), format!("{family}-builder")] {
            for architecture in ["amd64", "arm64"] {
                let found = images.iter().any(|image| {
                    let shown = image["image"].as_str().unwrap_or_default();
                    let without_stream = shown.split_once(':').map_or_else(
                        || shown.to_owned(),
                        |(family, rest)| {
                            rest.split_once('-')
                                .map_or(family.to_owned(), |(_, variant)| format!("{family}-{variant}"))
                        },
                    );
                    without_stream == name && image["architecture"] == architecture
                });
                ensure!(found, "{name} for {architecture} is not in the report");
            }
        }
    }
    let shown = up.json(&["show", "static"])?;
    let packages = shown["packages"].as_array().context("no packages")?;
    ensure!(!packages.iter().any(|package| package["name"] == "libc6"), "static holds a libc");
    let native = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    for image in images.iter().filter(|image| image["architecture"] == native) {
        ensure!(image["tests"]["failed"] == 0 && image["tests"]["passed"].as_u64() > Some(0), "{image:#}");
    }
    Ok(())
}

fn again(world: &World) -> Result<()> {
    let up = world.up()?;
    let second = up.json(&["up", "--once"])?;
    ensure!(second["images"] == up.report["images"], "the second run gave something else:\n{second:#}");
    Ok(())
}
