//! Runs a definition's tests on the built image, in whichever container engine the machine has.

mod bundle;
pub mod engine;
mod extract;
mod podman;
pub mod probe;
pub mod process;
pub mod runner;

pub use engine::{EngineKind, ImageUnderTest};
pub use runner::{Probe, TestOutcome, run_test};
