//! Every form of output, in both compressions, is taken by the tools that people use.

use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, stdout, unpack};

pub const CASES: &[Case] = &[
    Case { name: "podman_loads_every_output", needs: &[Need::Mirror, Need::Program("podman")], run: podman },
    Case { name: "skopeo_copies_every_output", needs: &[Need::Mirror, Need::Program("skopeo")], run: skopeo },
    Case {
        name: "umoci_unpacks_the_layout",
        needs: &[Need::Mirror, Need::Program("umoci"), Need::Root],
        run: umoci,
    },
];

/// Writes nginx for amd64 in every form and compression; the transport texts that podman and skopeo read.
fn outputs(world: &World, directory: &TempDir) -> Result<Vec<String>> {
    let up = world.up()?;
    let mut written = Vec::new();
    for compression in ["zstd", "gzip", "none"] {
        for form in ["oci", "oci-archive", "docker-archive"] {
            let path = directory.path().join(format!("{compression}-{form}"));
            let name = if form == "docker-archive" { "localhost/calypte-test:nginx" } else { "nginx" };
            let output = format!("{form}:{}:{name}", path.display());
            run(&mut up.calypte(&[
                "build",
                "nginx",
                "--arch",
                "amd64",
                "--compression",
                compression,
                "--output",
                &output,
            ]))?;
            // The archive's one image needs no name to be found.
            written.push(if form == "docker-archive" {
                format!("{form}:{}", path.display())
            } else {
                output
            });
        }
    }
    Ok(written)
}

fn podman(world: &World) -> Result<()> {
    // podman 4 takes the path for a name, and names are lower-case.
    let prefix = format!("calypte-outputs-{}", std::process::id());
    let directory = tempfile::Builder::new().prefix(&prefix).rand_bytes(0).tempdir()?;
    for output in outputs(world, &directory)? {
        let id = stdout(Command::new("podman").args(["pull", "--quiet", &output]))?;
        let id = id.lines().last().unwrap_or_default().trim().to_owned();
        let config = stdout(Command::new("podman").args([
            "image",
            "inspect",
            "--format",
            "{{.User}} {{.Architecture}}",
            &id,
        ]));
        run(Command::new("podman").args(["rmi", "--force", &id]))?;
        ensure!(config?.trim() == "65532:65532 amd64", "{output}");
    }
    Ok(())
}

fn skopeo(world: &World) -> Result<()> {
    let directory = TempDir::new()?;
    for (number, output) in outputs(world, &directory)?.iter().enumerate() {
        let copy = format!("dir:{}", directory.path().join(format!("copy-{number}")).display());
        run(Command::new("skopeo").args(["copy", "--quiet", "--insecure-policy", output, &copy]))?;
        let config = stdout(Command::new("skopeo").args(["inspect", "--config", output]))?;
        ensure!(config.contains("65532:65532"), "{output}: {config}");
    }
    Ok(())
}

fn umoci(world: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let up = world.up()?;
    let root = unpack(|arguments| up.calypte(arguments), "nginx", "debian-sid", directory.path())?;
    ensure!(root.join("usr/sbin/nginx").is_file(), "nginx is not where it must be");
    ensure!(!root.join("usr/bin/sh").exists(), "there is a shell");
    Ok(())
}
