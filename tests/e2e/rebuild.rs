//! Same lock, same bytes: whatever differs between two builds, and wherever a build was cut.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{Up, World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case { name: "rebuild_gives_the_same_digest_everywhere", needs: &[Need::Mirror], run: everywhere },
    Case {
        name: "rebuild_as_plain_user_gives_the_same_digest",
        needs: &[Need::Mirror, Need::Root, Need::Program("setpriv")],
        run: plain_user,
    },
    Case { name: "rebuild_from_an_archive_without_a_mirror", needs: &[Need::Mirror], run: archive },
    Case { name: "rebuild_goes_on_after_being_killed", needs: &[Need::Mirror], run: killed },
];

/// The image that is built again and again; it has users, libraries, certificates and alternatives in it.
const IMAGE: &str = "postgresql";

/// What is different about a build.
type Change = fn(&mut Command);

/// Builds the image in both architectures with a store that holds nothing but the packages; its index digest.
fn build(up: &Up, store: &Path, change: impl FnOnce(&mut Command)) -> Result<String> {
    let mut command = Command::new(World::program());
    command.arg("--quiet").arg("--catalog").arg(up.catalog()).arg("--store").arg(store);
    command
        .args(["--offline", "build", IMAGE, "--compression", "zstd:3", "--format", "json"])
        .env_remove("SOURCE_DATE_EPOCH");
    change(&mut command);
    let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
    Ok(report["digest"].as_str().context("no digest")?.to_owned())
}

/// A store with the packages of the shared one, and nothing that was made out of them.
fn fresh_store(up: &Up, directory: &Path) -> Result<()> {
    fs_err::create_dir_all(directory)?;
    run(Command::new("cp").arg("-r").arg(up.store().join("blobs")).arg(directory))?;
    Ok(())
}

fn everywhere(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    let expected = build(up, &up.store(), |_| {})?;
    let ways: [(&str, Change); 5] = [
        ("another time zone and locale", |command| {
            command.env("TZ", "Pacific/Kiritimati").env("LC_ALL", "tr_TR.UTF-8").env("LANG", "tr_TR.UTF-8");
        }),
        ("another umask", |command| {
            // The shell is only there to set the mask.
            let program = command.get_program().to_owned();
            let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
            *command = Command::new("sh");
            command.args(["-c", "umask 0077 && exec \"$@\"", "sh"]).arg(program).args(arguments);
        }),
        ("one thread", |command| {
            command.args(["--jobs", "1"]);
        }),
        ("many threads", |command| {
            command.args(["--jobs", "16"]);
        }),
        ("another working directory and hardly any environment", |command| {
            command.env_clear().current_dir("/");
        }),
    ];
    for (number, (name, change)) in ways.into_iter().enumerate() {
        let store = directory.path().join(format!("another directory {number}"));
        fresh_store(up, &store)?;
        let digest = build(up, &store, change)?;
        ensure!(digest == expected, "with {name}: {digest} instead of {expected}");
    }
    Ok(())
}

fn plain_user(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    let store = directory.path().join("store");
    fresh_store(up, &store)?;
    run(Command::new("cp").arg("-r").arg(up.catalog()).arg(World::program()).arg(directory.path()))?;
    run(Command::new("chown").args(["-R", "65534:65534"]).arg(directory.path()))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(directory.path().join("calypte"));
    command.arg("--quiet").arg("--catalog").arg(directory.path().join("catalog")).arg("--store").arg(&store);
    command
        .args(["--offline", "build", IMAGE, "--compression", "zstd:3", "--format", "json"])
        .current_dir("/");
    let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
    let expected = build(up, &up.store(), |_| {})?;
    ensure!(report["digest"] == expected.as_str(), "{report:#}\ninstead of {expected}");
    Ok(())
}

fn archive(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    let archive = directory.path().join("archive");
    let saved = up.json(&["archive", &archive.display().to_string(), IMAGE])?;
    ensure!(saved["packages"].as_u64() > Some(10), "{saved}");
    let empty = directory.path().join("store");
    let mut command = Command::new(World::program());
    command.arg("--quiet").arg("--catalog").arg(up.catalog()).arg("--store").arg(&empty);
    let error = fails(command.args(["--offline", "build", IMAGE, "--compression", "zstd:3"]), 2)?;
    ensure!(error.contains("offline") && error.contains("hint:"), "{error}");
    let digest = build(up, &empty, |command| {
        command.arg("--archive").arg(&archive);
    })?;
    ensure!(digest == build(up, &up.store(), |_| {})?, "the archive gave another image");
    Ok(())
}

fn killed(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    let expected = build(up, &up.store(), |_| {})?;
    let store = directory.path().join("store");
    fresh_store(up, &store)?;
    for milliseconds in [5, 20, 60, 150, 300, 600] {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(up.catalog()).arg("--store").arg(&store);
        command
            .args(["--offline", "build", IMAGE, "--compression", "zstd:3"])
            .arg("--output")
            .arg(format!("oci:{}", directory.path().join("image").display()));
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .process_group(0)
            .spawn()?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill()?;
        child.wait()?;
    }
    let digest = build(up, &store, |_| {})?;
    ensure!(digest == expected, "after being killed: {digest} instead of {expected}");
    let output = format!("oci:{}", directory.path().join("image").display());
    build(up, &store, |command| {
        command.args(["--output", &output]);
    })?;
    run(&mut up.calypte(&["diff", &output, IMAGE]))?;
    Ok(())
}
