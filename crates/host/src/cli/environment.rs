//! What comes from outside of the arguments: environment, clock, kernel command line.
#![expect(clippy::disallowed_methods, reason = "the one place that knows clock and environment")]

use std::io::Read as _;
use std::path::PathBuf;
use std::time::SystemTime;

use calypte_base::Epoch;

use crate::HostError;

/// The time now; 1970 where the clock is before that.
pub(super) fn now() -> Epoch {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Epoch(since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)))
}

/// 32 random bytes.
pub(super) fn chance() -> Result<[u8; 32], HostError> {
    let (path, mut bytes) = ("/dev/urandom", [0; 32]);
    let mut file = fs_err::File::open(path).map_err(HostError::io("read", path))?;
    file.read_exact(&mut bytes).map_err(HostError::io("read", path))?;
    Ok(bytes)
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A proxy, by the names that every program reads.
pub(super) fn proxy(scheme: &str) -> Option<String> {
    text(&format!("{}_PROXY", scheme.to_ascii_uppercase())).or_else(|| text(&format!("{scheme}_proxy")))
}

/// Hosts that are asked without a proxy.
pub(super) fn no_proxy() -> Vec<String> {
    let hosts = text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default();
    hosts.split(',').map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()).collect()
}

/// The file of trusted certificates, in place of the system's.
pub(super) fn certificates() -> Option<PathBuf> {
    text("SSL_CERT_FILE").map(PathBuf::from)
}

/// The files with logins to registries: the one that is named, else the system's.
pub(super) fn auth_files() -> Vec<Vec<u8>> {
    let named = text("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let system =
        ["/etc/calypte/auth.json", "/run/calypte/auth.json", "/etc/ostree/auth.json"].map(PathBuf::from);
    named.into_iter().chain(system).filter_map(|path| fs_err::read(path).ok()).collect()
}

/// How often a registry is asked that does not answer; for tests.
pub(super) fn attempts() -> Option<u32> {
    text("CALYPTE_HOST_ATTEMPTS")?.parse().ok()
}

/// Lets `CALYPTE_HOST_STOP_AT=N` kill the program before its Nth change to the disk.
pub(super) fn set_up_fault_injection() {
    #[cfg(feature = "fault-injection")]
    if let Some(number) = text("CALYPTE_HOST_STOP_AT").and_then(|text| text.parse().ok()) {
        crate::disk_changes::stop_at(number);
    }
}

/// Writes the number of changes to the file that `CALYPTE_HOST_COUNT` names.
pub(super) fn report_changes() {
    #[cfg(feature = "fault-injection")]
    if let Some(path) = text("CALYPTE_HOST_COUNT") {
        drop(fs_err::write(path, crate::disk_changes::count().to_string()));
    }
}
