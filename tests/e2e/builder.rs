//! Builder variants are places to work in: the shell, dpkg and apt in them find everything in order.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, unpack};

pub const CASES: &[Case] = &[Case {
    name: "dpkg_and_apt_work_in_a_builder_image",
    needs: &[Need::Mirror, Need::Root, Need::Program("umoci")],
    run: package_tools,
}];

fn package_tools(world: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let up = world.up()?;
    let root = unpack(|arguments| up.calypte(arguments), "base-builder", "debian-sid", directory.path())?;
    let inside = |command: &[&str]| {
        run(Command::new("chroot").arg(&root).args(command).env("PATH", "/usr/sbin:/usr/bin"))
    };
    ensure!(inside(&["dpkg", "--audit"])?.stdout.is_empty(), "dpkg --audit found something");
    // The one file that is not as its package brought it: it names the image.
    let verified = String::from_utf8(inside(&["dpkg", "--verify"])?.stdout)?;
    let changed: Vec<&str> =
        verified.lines().filter(|line| !line.ends_with(" /usr/lib/os-release")).collect();
    ensure!(changed.is_empty(), "dpkg --verify:\n{verified}");
    inside(&["apt-get", "check"])?;
    // With the machine's own mirror for the public one, and an index that may be past its date here.
    let sources = root.join("etc/apt/sources.list.d/debian.sources");
    let text = fs_err::read_to_string(&sources)?;
    ensure!(text.contains("Suites: sid") && text.contains("Signed-By: "), "{text}");
    let mirror = calypte_rpm_universe::configured_mirror().context("no mirror")?;
    let line = |line: &str| {
        if line.starts_with("URIs: ") { format!("URIs: {mirror}\n") } else { format!("{line}\n") }
    };
    fs_err::write(&sources, text.lines().map(line).collect::<String>())?;
    fs_err::copy("/etc/resolv.conf", root.join("etc/resolv.conf"))?;
    inside(&["apt-get", "-q", "-o", "Acquire::Check-Valid-Until=false", "update"])?;
    inside(&["apt-get", "-q", "-y", "install", "hello"])?;
    ensure!(inside(&["hello"])?.stdout.starts_with(b"Hello, world!"), "the package does not work");
    inside(&["sh", "-c", "test \"$(dpkg-query --show --showformat='${db:Status-Abbrev}' libc6)\" = 'ii '"])?;
    Ok(())
}
