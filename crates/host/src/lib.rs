//! Published → Deployment: a host that is an image, updated whole or not at all.
//!
//! An image comes from a registry or a layout ([`source`]), is checked and taken apart into objects ([`import`]), and becomes
//! a deployment beside the running one. No engine, no ostree, no skopeo: this crate reads and writes all formats itself, and
//! links nothing that solves dependencies or unpacks packages. All changes to disks go through one module, so that tests
//! can kill the program before each of them.

mod disk_changes;
mod error;
pub mod import;
mod progress;
mod repository;
pub mod source;
mod system;

pub use error::HostError;
pub use progress::{Quiet, Reporter};
pub use repository::Repository;
pub use system::{Lock, SystemRoot};
