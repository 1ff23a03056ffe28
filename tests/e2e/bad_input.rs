//! A machine or a mirror at its worst: each failure names the thing, the reason and the cure, and leaves nothing half-done.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, fails, run};

pub const CASES: &[Case] = &[
    Case { name: "a_full_disk_is_told", needs: &[Need::Mirror, Need::Root], run: full_disk },
    Case { name: "a_mirror_that_hangs_is_given_up", needs: &[], run: hanging_mirror },
    Case { name: "an_unreachable_mirror_changes_no_lock", needs: &[], run: unreachable_mirror },
    Case { name: "a_lock_out_of_date_is_refused", needs: &[], run: outdated_lock },
    Case { name: "a_lock_that_lies_is_refused", needs: &[Need::Mirror], run: lying_lock },
];

/// The program over a catalog and a store of the case's own.
fn calypte(directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(World::program());
    command.arg("--quiet").arg("--catalog").arg(directory.path().join("catalog"));
    command.arg("--store").arg(directory.path().join("store")).args(arguments);
    command
}

fn full_disk(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    World::copy_catalog(directory.path())?;
    run(Command::new("cp").arg("-r").arg(up.catalog().join("locks")).arg(directory.path().join("catalog")))?;
    let store = directory.path().join("store");
    fs_err::create_dir(&store)?;
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&store))?;
    let failed = fails(&mut calypte(&directory, &["build", "nginx", "--arch", "amd64"]), 2);
    let left = run(Command::new("find").arg(store.join("blobs")).args(["-type", "f", "-size", "0"]));
    run(Command::new("umount").arg(&store))?;
    let error = failed?;
    ensure!(error.contains("No space left on device") && error.contains("store"), "{error}");
    ensure!(left?.stdout.is_empty(), "an empty blob was left");
    Ok(())
}

fn hanging_mirror(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    World::copy_catalog(directory.path())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mirror = format!("debian=http://{}/debian", listener.local_addr()?);
    std::thread::spawn(move || {
        // Takes every connection, reads the request and never answers.
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            held.push(stream);
        }
    });
    let error =
        fails(&mut calypte(&directory, &["lock", "static", "--timeout", "1", "--mirror", &mirror]), 2)?;
    ensure!(error.contains("InRelease") && error.contains("127.0.0.1"), "{error}");
    ensure!(error.contains("hint:"), "no cure: {error}");
    Ok(())
}

/// Locking anew is for packages that are gone; a network that fails is no reason for other versions.
fn unreachable_mirror(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let file = World::copy_catalog(directory.path())?.join("locks/debian-sid/static.lock");
    let before = fs_err::read_to_string(&file)?;
    let arguments = ["up", "--once", "static", "--mirror", "debian=http://127.0.0.1:1"];
    let output = calypte(&directory, &arguments).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1) && told.contains("127.0.0.1:1"), "{}: {told}", output.status);
    ensure!(fs_err::read_to_string(&file)? == before, "the lock was changed");
    Ok(())
}

fn outdated_lock(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let catalog = World::copy_catalog(directory.path())?;
    let file = catalog.join("images/nginx.yaml");
    let text = fs_err::read_to_string(&file)?;
    fs_err::write(&file, text.replacen("deb: [nginx", "deb: [curl, nginx", 1))?;
    let error = fails(&mut calypte(&directory, &["--offline", "build", "nginx"]), 2)?;
    ensure!(error.contains("lock") && error.contains("calypte lock nginx"), "{error}");
    let error = fails(&mut calypte(&directory, &["lock", "nginx", "--check"]), 1)?;
    ensure!(error.contains("calypte lock nginx"), "{error}");
    Ok(())
}

fn lying_lock(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    run(Command::new("cp").arg("-r").arg(up.catalog()).arg(directory.path()))?;
    let file = directory.path().join("catalog/locks/debian-sid/static.lock");
    let text = fs_err::read_to_string(&file)?;
    let at = text.find("\"sha256\":\"sha256:").map(|at| at + 17).unwrap_or_default();
    let digit = if text.as_bytes().get(at) == Some(&b'0') { "1" } else { "0" };
    fs_err::write(&file, format!("{}{digit}{}", &text[..at], &text[at + 1..]))?;
    let error = fails(&mut calypte(&directory, &["build", "static"]), 2)?;
    ensure!(error.contains("changed by hand") && error.contains("calypte lock static"), "{error}");
    fails(&mut calypte(&directory, &["lock", "static", "--check"]), 1)?;
    Ok(())
}
