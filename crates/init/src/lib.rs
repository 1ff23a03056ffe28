//! The first process of a host's initramfs: kernel command line and disks → the system's root, and its own first process.
//!
//! The archive holds this program, the modules that the root's disk and file systems need, and nothing else. It loads
//! them ([`modules`]), finds the root partition ([`root`]), checks that the image on it is the one that the command line
//! names by its fs-verity digest ([`verity`]), mounts it with the writable `/etc` and `/var` ([`system`]) and becomes the
//! system's first process ([`handover`]). Whatever fails is said on the console with what to do about it, and the machine
//! restarts after a wait, so that the boot loader counts the try and falls back ([`failure`]).
//!
//! What reads foreign bytes ([`command_line`], [`efi`], [`gpt`], [`superblock`], [`modules::parse`]) is pure.

pub mod command_line;
pub mod console;
pub mod devices;
pub mod efi;
pub mod error;
pub mod failure;
pub mod gpt;
pub mod handover;
pub mod kernel;
pub mod modules;
pub mod mount;
pub mod root;
pub mod superblock;
pub mod system;
pub mod uuid;
pub mod verity;

use std::convert::Infallible;
use std::ffi::OsString;
use std::process::ExitCode;

use command_line::CommandLine;
use console::Console;
use error::InitError;

/// Boots the system with what the kernel gave this process as arguments, which the system's first process gets in turn.
/// Comes back only where the machine could not even be restarted.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let console = Console::default();
    failure::restart_on_panic();
    let line = match kernel::mount_file_systems() {
        Ok(()) => CommandLine::parse(&kernel::command_line()),
        Err(error) => return failure::end(&console, &CommandLine::default(), &error),
    };
    let Err(error) = boot(&console, &line, arguments);
    failure::end(&console, &line, &error)
}

fn boot(console: &Console, line: &CommandLine, arguments: Vec<OsString>) -> Result<Infallible, InitError> {
    let image = line.image()?;
    let loaded = modules::load(console)?;
    let device = root::find(line).map_err(|error| loaded.explain(error))?;
    console.note(&format!("the root is {}", device.describe()));
    system::mount(line, &image, &device)?;
    console.note(&format!("mounted composefs {}, starting {}", image.short(), line.init()));
    handover::start(line, &device, arguments)
}
