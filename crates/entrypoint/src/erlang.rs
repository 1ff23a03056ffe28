//! Erlang: what its start script `erl` does, and the programs that it starts by way of `sh`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::failure::{Failure, Result};
use crate::files;

/// Where distributions keep Erlang: Debian, and Fedora.
const ROOTS: [&str; 2] = ["/usr/lib/erlang", "/usr/lib64/erlang"];

/// Programs of the system that Erlang and RabbitMQ ask about the machine: the size of a page, the free space of disks.
const SYSTEM: [&str; 5] = ["getconf", "/usr/bin/getconf", "df", "/bin/df", "/usr/bin/df"];

/// Becomes the emulator with these arguments; returns only why not.
pub fn start(arguments: Vec<OsString>) -> Failure {
    match command() {
        Ok(mut command) => command::become_command(command.args(arguments)),
        Err(failure) => failure,
    }
}

/// The emulator, with the variables that `erl` sets.
///
/// # Errors
/// When there is no Erlang.
pub fn command() -> Result<Command> {
    let root = ROOTS.into_iter().map(Path::new).find(|root| root.is_dir());
    let root = root.ok_or_else(|| Failure::new("there is no Erlang in this image"))?;
    let programs = emulator(root)?.join("bin");
    let mut command = Command::new(programs.join("erlexec"));
    command.env("ROOTDIR", root).env("BINDIR", &programs).env("EMU", "beam").env("PROGNAME", "erl");
    Ok(command)
}

/// The directory `erts-VERSION` of the emulator.
fn emulator(root: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(root).map_err(|error| files::failed("read", root, &error))?;
    let mut versions: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("erts-")))
        .collect();
    versions.sort();
    versions.pop().ok_or_else(|| Failure::new(format!("there is no emulator in {}", root.display())))
}

/// Whether a command names a program that Erlang starts: one below its root, or one that says something of the machine.
pub fn starts(program: &str) -> bool {
    let is_below = |root: &str| program.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    let stays = !program.split('/').any(|part| part == "..");
    SYSTEM.contains(&program) || (stays && ROOTS.into_iter().any(is_below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_programs_and_few_of_the_system() {
        for program in ["getconf", "/usr/bin/df", "/usr/lib/erlang/erts-17.1/bin/epmd"] {
            assert!(starts(program), "{program}");
        }
        for program in
            ["ls", "/usr/lib/erlang", "/usr/lib/erlangs/x", "/usr/lib/erlang/bin/../../../bin/ls", "x/df"]
        {
            assert!(!starts(program), "{program}");
        }
    }

    #[test]
    fn the_emulator_is_found_by_its_directory() {
        let root = tempfile::tempdir().unwrap();
        assert!(emulator(root.path()).unwrap_err().to_string().contains("no emulator"));
        for name in ["bin", "erts-17.1", "lib"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        assert_eq!(emulator(root.path()).unwrap(), root.path().join("erts-17.1"));
    }
}
