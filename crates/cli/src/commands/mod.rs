//! The commands, one file each: argument types, and what is printed. No work is done here.

pub mod advisories;
pub mod affected;
pub mod archive;
pub mod build;
pub mod catalog;
pub mod completions;
pub mod delta;
pub mod diff;
pub mod disk;
pub mod gate;
pub mod gc;
pub mod key;
pub mod list;
pub mod lock;
pub mod mcp;
pub mod new;
pub mod os;
pub mod pipeline;
pub mod probe;
pub mod pull;
pub mod push;
pub mod rebuild;
pub mod reference;
pub mod sbom;
pub mod scan;
pub mod serve;
pub mod show;
pub mod sign;
pub mod signing;
pub mod subject;
pub mod test;
pub mod up;
pub mod verify;
pub mod vex;

use calypte_base::Architecture;

/// The universe that is meant where none is named.
pub const DEFAULT_UNIVERSE: &str = "debian-sid";

/// The architecture of this machine, or the first one there is where images are not built for it.
#[must_use]
pub fn native_architecture() -> Architecture {
    std::env::consts::ARCH.parse().unwrap_or(Architecture::ALL[0])
}
