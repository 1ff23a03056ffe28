//! What drives the stages: a definition goes in, tested images come out. All I/O between the stages stands here.
//!
//! [`Factory`] holds what every piece of work needs; each kind of work is a module: [`lock`], [`build`], [`show`],
//! [`diff`], [`layers`], [`testing`], [`up`]. [`pull`] and [`delta`] need none of that.

pub mod advisories;
pub mod affected;
pub mod archive;
pub mod bill;
pub mod build;
pub mod catalog;
mod changelogs;
pub mod delta;
pub mod diff;
pub mod draft;
pub mod evidence;
pub mod factory;
#[cfg(test)]
mod fixture;
pub mod gate;
mod hints;
pub mod layers;
pub mod lifecycle;
pub mod lock;
pub mod os;
pub mod overview;
pub mod propose;
pub mod publish;
pub mod pull;
pub mod readme;
pub mod rebuild;
mod recipe;
pub mod report;
pub mod scan;
pub mod show;
mod sides;
pub mod sign;
pub mod sizes;
pub mod subject;
pub mod tags;
pub mod testing;
pub mod up;
pub mod verify;
pub mod vex;

use anyhow::{Context as _, Result};

pub use catalog::{CatalogDirectory, Mistakes};
pub use factory::{Factory, FactorySettings};
pub use hints::{Hinted, hint, hinted, is_refusal};
pub use report::Reporter;

/// Sets how many threads all work is spread over. At most once a process.
///
/// # Errors
/// When it was set before, or threads cannot be started.
pub fn use_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build_global().context("cannot start threads")
}
