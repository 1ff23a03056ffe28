//! The starter images out of the real Rawhide, from Fedora's own mirrors; only with `cargo xtask test --live-fedora`.
//!
//! As long as people have read only a few of Rawhide's scriptlets, the first lock of an image ends with those that it needs: an
//! outcome of its own, which says how many they are and gives the entries for the table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use calypte_store::{FetchError, FetchSettings, Fetcher, Store};
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

/// Where the universe of the catalog looks first: hosts, and a small file of each.
const HOSTS: [(&str, &str); 2] = [
    ("https://mirrors.fedoraproject.org", "metalink?repo=rawhide&arch=x86_64"),
    (
        "https://dl.fedoraproject.org",
        "pub/fedora/linux/development/rawhide/Everything/x86_64/os/repodata/repomd.xml",
    ),
];

/// More than either has.
const LARGEST: u64 = 4_000_000;

const PATIENCE: Duration = Duration::from_secs(10);

/// Why Fedora's mirrors are not to be asked, or cannot be. Asked once; all cases get the one answer.
pub fn missing() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    if std::env::var_os(ASKED_FOR).is_none() {
        return Some("--live-fedora".to_owned());
    }
    ANSWER.get_or_init(|| HOSTS.into_iter().find_map(|(host, path)| ask(host, path).err())).clone()
}

/// Fetches a small file as the program does: a host whose name is known, or a proxy that can be reached, may still refuse.
fn ask(host: &str, path: &str) -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let no_proxy = variable("NO_PROXY").unwrap_or_default();
    let settings = FetchSettings {
        mirrors: BTreeMap::from([(host.to_owned(), vec![host.to_owned()])]),
        http_proxy: variable("HTTP_PROXY"),
        https_proxy: variable("HTTPS_PROXY"),
        no_proxy: no_proxy.split(',').map(|host| host.trim().to_owned()).collect(),
        certificates: variable("SSL_CERT_FILE").map(PathBuf::from),
        connect_timeout: PATIENCE,
        stall_timeout: PATIENCE,
        attempts: 2,
        ..FetchSettings::default()
    };
    let store = TempDir::new().map_err(|error| error.to_string())?;
    let store = Store::open(store.path()).map_err(|error| error.to_string())?;
    let reason = match Fetcher::new(store, settings).fetch_small(host, path, LARGEST) {
        Ok(_) => return Ok(()),
        Err(FetchError::Failed { failures, .. }) => {
            failures.iter().map(|(_, failure)| failure.to_string()).collect::<Vec<_>>().join("; ")
        }
        Err(error) => error.to_string(),
    };
    Err(format!("{host}, which does not give {path}: {}", reason.replace('\n', " ")))
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
