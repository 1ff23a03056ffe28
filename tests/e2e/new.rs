//! A definition is made from a real package, locked, built and tested as it was written.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{Up, World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "a_new_definition_builds_and_passes_its_test",
        needs: &[Need::Mirror, Need::Engine],
        run: tool,
    },
    Case { name: "a_new_definition_starts_as_the_service_does", needs: &[Need::Mirror], run: service },
];

/// A catalog without these families, and a command over it.
fn without(up: &Up, families: &[&str]) -> Result<(TempDir, impl Fn(&[&str]) -> std::process::Command)> {
    let directory = TempDir::new()?;
    let catalog = World::copy_catalog(directory.path())?;
    for family in families {
        for path in [format!("images/{family}.yaml"), format!("locks/debian-sid/{family}.lock")] {
            match fs_err::remove_file(catalog.join(path)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
    }
    let store = up.store();
    let calypte = move |arguments: &[&str]| {
        let mut command = std::process::Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(&catalog).arg("--store").arg(&store).args(arguments);
        command
    };
    Ok((directory, calypte))
}

fn tool(world: &World) -> Result<()> {
    let (directory, calypte) = without(world.up()?, &["jq"])?;
    run(&mut calypte(&["new", "jq"]))?;
    let said = fails(&mut calypte(&["new", "jq"]), 2)?;
    ensure!(said.contains("there is a family `jq` already"), "{said}");
    run(&mut calypte(&["lock", "jq"]))?;
    let shown: Value = serde_json::from_str(&stdout(&mut calypte(&["test", "jq", "--format", "json"]))?)?;
    let tests = shown["tests"].as_array().context("no tests")?;
    ensure!(!tests.is_empty() && tests.iter().all(|test| test["failure"].is_null()), "{shown:#}");
    ensure!(directory.path().join("catalog/images/jq.yaml").is_file(), "it is not where it should be");
    Ok(())
}

fn service(world: &World) -> Result<()> {
    let (directory, calypte) = without(world.up()?, &["haproxy"])?;
    let shown = stdout(&mut calypte(&["new", "haproxy", "--format", "json"]))?;
    let shown: Value = serde_json::from_str(&shown)?;
    ensure!(shown["services"] == serde_json::json!(["haproxy.service"]), "{shown:#}");
    let text = fs_err::read_to_string(directory.path().join("catalog/images/haproxy.yaml"))?;
    for line in [
        "  entrypoint: [/usr/sbin/haproxy]\n",
        "/etc/haproxy/haproxy.cfg",
        "  volumes: [/var/lib/haproxy]\n",
        "  debug: {}\n  builder: {}\n",
    ] {
        ensure!(text.contains(line), "`{line}` is not in\n{text}");
    }
    // The other images are as they were.
    run(&mut calypte(&["list"]))?;
    let said = fails(&mut calypte(&["new", "haproxy-two", "--package", "haprox"]), 2)?;
    ensure!(said.contains("did you mean `haproxy`"), "{said}");
    ensure!(!directory.path().join("catalog/images/haproxy-two.yaml").exists(), "something was written");
    Ok(())
}
