//! Published → Deployment: a host that is an image, updated whole or not at all.
//!
//! An image comes from a registry or a layout ([`source`]), is checked and taken apart into objects ([`import`]), and becomes
//! a deployment beside the running one. No engine, no ostree, no skopeo: this crate reads and writes all formats itself, and
//! links nothing that solves dependencies or unpacks packages. All changes to disks go through one module, so that tests
//! can kill the program before each of them.

pub mod boot;
pub mod cli;
pub mod deploy;
pub mod diff;
mod disk_changes;
mod error;
pub mod etc;
mod files;
pub mod finalize;
pub mod fsck;
pub mod gc;
pub mod health;
mod host;
pub mod import;
pub mod install;
pub mod packages;
mod progress;
mod release;
mod repository;
pub mod source;
pub mod state;
pub mod status;
mod system;
pub mod to_disk;
pub mod trust;
pub mod upgrade;

pub use error::HostError;
pub use host::{Host, digest_of_command_line};
pub use progress::{Quiet, Reporter};
pub use repository::Repository;
pub use system::{Lock, SystemRoot};
