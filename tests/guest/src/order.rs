//! What a test may have done.

use std::path::Path;
use std::process::Command;

use rustix::system::{RebootCommand, reboot};

/// Obeys one order: its name and what it takes.
pub fn obey(order: &[String]) -> Result<String, String> {
    let words: Vec<&str> = order.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", program, arguments @ ..] => run(program, arguments),
        ["read", path] => {
            fs_err::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(text)
        }
        ["write", path, contents] => fs_err::write(path, contents).map(|()| String::new()).map_err(text),
        ["remove", path] => fs_err::remove_file(path).map(|()| String::new()).map_err(text),
        ["rename", from, to] => fs_err::rename(from, to).map(|()| String::new()).map_err(text),
        ["list", path] => list(Path::new(path)).map_err(text),
        ["mount", kind, device, place] => mount(kind, device, place).map_err(text),
        ["sync"] => {
            rustix::fs::sync();
            Ok(String::new())
        }
        ["reboot"] => end(RebootCommand::Restart),
        ["power-off"] => end(RebootCommand::PowerOff),
        _ => Err(format!("there is no such order: {words:?}")),
    }
}

/// Both streams of a program, one after the other; a failure has them too.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(text)?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{}\n{said}", output.status)) }
}

/// Mounts a device at a directory, which is made where it can be.
fn mount(kind: &str, device: &str, place: &str) -> std::io::Result<String> {
    if !Path::new(place).is_dir() {
        fs_err::create_dir_all(place)?;
    }
    rustix::mount::mount(device, place, kind, rustix::mount::MountFlags::empty(), c"")?;
    Ok(String::new())
}

fn list(path: &Path) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join("\n"))
}

/// Ends the machine without asking anybody; the boot partition is unmounted, as systemd would do.
fn end(command: RebootCommand) -> Result<String, String> {
    // It may not be mounted.
    let _ = rustix::mount::unmount("/boot", rustix::mount::UnmountFlags::DETACH);
    rustix::fs::sync();
    reboot(command).map_err(text)?;
    Ok(String::new())
}

/// An error with all of its causes.
fn text(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
