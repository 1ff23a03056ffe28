//! OpenSSH: host keys are made once, in a volume, and the keys that may log in are gathered at each start.
//!
//! | variable | meaning |
//! |---|---|
//! | `PUBLIC_KEY`, `_FILE` | Keys that may log in, one a line, beside those in `/etc/ssh/authorized_keys`. |
//!
//! The keys are copied into the volume, since the server takes them only out of files and directories that nobody else
//! can write, and what is mounted seldom is that.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::files;
use crate::first_start::FirstStart;
use crate::software::{self, Asked, asked};

/// Options that the server answers at once.
const QUESTIONS: [&str; 1] = ["-V"];

/// The server looks for itself by this path.
const SERVER: &str = "/usr/sbin/sshd";

/// The volume.
const DATA: &str = "/var/lib/ssh";

/// What a user mounts.
const AUTHORIZED: &str = "/etc/ssh/authorized_keys";

/// The most of it that is read.
const KEYS_LIMIT: u64 = 16 << 20;

/// The kinds of host keys. The first is the mark of complete data.
const KINDS: [(&str, &str); 3] =
    [("ed25519", "ssh_host_ed25519_key"), ("ecdsa", "ssh_host_ecdsa_key"), ("rsa", "ssh_host_rsa_key")];

/// Becomes the server; returns only why not.
pub fn start(environment: &Environment, arguments: Vec<OsString>) -> Failure {
    let arguments = match asked("sshd", &QUESTIONS, arguments) {
        Asked::Command(words) => return software::become_other(&words),
        Asked::Server(arguments) => arguments,
    };
    let prepared = make_host_keys().and_then(|()| {
        let keys = authorized_keys(environment, Path::new(AUTHORIZED))?;
        files::write(&Path::new(DATA).join("authorized_keys"), &keys, 0o600)
    });
    match prepared {
        // In the foreground, with its log on standard error.
        Ok(()) => command::become_command(Command::new(SERVER).args(["-D", "-e"]).args(arguments)),
        Err(failure) => failure,
    }
}

fn make_host_keys() -> Result<()> {
    let [(_, mark), ..] = KINDS;
    let Some(first) = FirstStart::of(Path::new(DATA), mark)? else { return Ok(()) };
    let staging = first.staging();
    files::make_directory(&staging)?;
    files::set_mode(&staging, 0o700)?;
    for (kind, name) in KINDS {
        let mut keygen = Command::new("ssh-keygen");
        command::run(keygen.args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]).arg(staging.join(name)))?;
    }
    first.complete()?;
    eprintln!("entrypoint: host keys made in {DATA}");
    Ok(())
}

/// The keys that may log in.
fn authorized_keys(environment: &Environment, mounted: &Path) -> Result<String> {
    let mut keys = String::new();
    if mounted.exists() {
        keys.push_str(&files::read_text(mounted, KEYS_LIMIT)?);
    }
    if let Some(more) = environment.value("PUBLIC_KEY")? {
        keys.push('\n');
        keys.push_str(&more);
    }
    let is_key = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !keys.lines().any(is_key) {
        return Err(Failure::new("there is no key that may log in").hint(format!(
            "mount a file of public keys at {AUTHORIZED}, or set PUBLIC_KEY or PUBLIC_KEY_FILE"
        )));
    }
    keys.push('\n');
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_the_file_and_the_variable() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("authorized_keys");
        let keys = |pairs: &[(&str, &str)]| authorized_keys(&Environment::of(pairs), &file);
        assert!(keys(&[]).unwrap_err().to_string().contains("PUBLIC_KEY"));
        assert_eq!(keys(&[("PUBLIC_KEY", "b")]).unwrap(), "\nb\n");
        std::fs::write(&file, "# comment\n\n").unwrap();
        assert!(keys(&[]).is_err());
        std::fs::write(&file, "a").unwrap();
        assert_eq!(keys(&[]).unwrap(), "a\n");
        assert_eq!(keys(&[("PUBLIC_KEY", "b")]).unwrap(), "a\nb\n");
    }
}
