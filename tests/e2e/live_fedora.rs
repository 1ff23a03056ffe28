//! The starter images out of the real Rawhide, from Fedora's own mirrors; only with `cargo xtask test --live-fedora`.
//!
//! As long as people have read only a few of Rawhide's scriptlets, the first lock of an image ends with those that it needs: an
//! outcome of its own, which says how many they are and gives the entries for the table.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run};

pub const CASES: &[Case] = &[
    Case { name: "live_fedora_locks_and_builds_static", needs: &[Need::Fedora], run: |_| family("static") },
    Case { name: "live_fedora_locks_and_builds_base", needs: &[Need::Fedora], run: |_| family("base") },
    Case { name: "live_fedora_locks_and_builds_nginx", needs: &[Need::Fedora], run: |_| family("nginx") },
    Case { name: "live_fedora_locks_and_builds_nodejs", needs: &[Need::Fedora], run: |_| family("nodejs") },
    Case {
        name: "live_fedora_locks_and_builds_postgresql",
        needs: &[Need::Fedora],
        run: |_| family("postgresql"),
    },
    Case { name: "live_fedora_locks_and_builds_python", needs: &[Need::Fedora], run: |_| family("python") },
    Case { name: "live_fedora_locks_and_builds_valkey", needs: &[Need::Fedora], run: |_| family("valkey") },
];

/// Set by `cargo xtask test --live-fedora`.
const ASKED_FOR: &str = "CALYPTE_TEST_FEDORA";

/// Where the universe of the catalog looks first.
const HOSTS: [&str; 2] = ["mirrors.fedoraproject.org:443", "dl.fedoraproject.org:443"];

const PATIENCE: Duration = Duration::from_secs(10);

/// Why Fedora's mirrors are not to be asked, or cannot be.
pub fn missing() -> Option<String> {
    if std::env::var_os(ASKED_FOR).is_none() {
        return Some("--live-fedora".to_owned());
    }
    // A proxy stands between: only asking tells what it allows.
    if ["https_proxy", "HTTPS_PROXY"].into_iter().any(|name| std::env::var_os(name).is_some()) {
        return None;
    }
    HOSTS.into_iter().find_map(|host| {
        let address = match host.to_socket_addrs() {
            Ok(mut addresses) => addresses.next()?,
            Err(error) => return Some(format!("{host}, which cannot be found: {error}")),
        };
        let error = TcpStream::connect_timeout(&address, PATIENCE).err()?;
        Some(format!("{host}, which cannot be reached: {error}"))
    })
}

/// The entries for the table of scripts that an error asks for.
pub fn unreviewed(error: &str) -> Vec<&str> {
    let entries = error.split("\n\n").filter(|part| part.starts_with("- package: "));
    entries.map(|entry| entry.split("\nhint: ").next().unwrap_or(entry).trim_end()).collect()
}

fn family(family: &str) -> Result<()> {
    let directory = TempDir::new()?;
    let catalog = World::copy_catalog(directory.path())?;
    let calypte = |arguments: &[&str]| {
        let mut command = std::process::Command::new(World::program());
        command
            .arg("--quiet")
            .arg("--catalog")
            .arg(&catalog)
            .arg("--store")
            .arg(directory.path().join("store"));
        command.args(arguments).args(["--universe", "fedora-rawhide"]).stderr(Stdio::piped());
        command
    };
    let locked = calypte(&["lock", family]).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&locked.stderr);
    let entries = unreviewed(&text);
    ensure!(
        entries.is_empty(),
        "{} scriptlets nobody has reviewed, so {family} was not locked.\n{text}\n\n\
         Once read, these go into catalog/universes/fedora/scripts.yaml, each with its verdict:\n\n{}",
        entries.len(),
        entries.join("\n\n")
    );
    ensure!(locked.status.success(), "calypte lock {family}: {}\n{text}", locked.status);
    ensure!(catalog.join(format!("locks/fedora-rawhide/{family}.lock")).is_file(), "no lock was written");
    let output = format!("oci:{}", directory.path().join("image").display());
    run(&mut calypte(&["build", family, "--output", &output]))?;
    Ok(())
}
