//! Stage 8: Image + evidence → Published: everything in a registry, in an order in which nobody ever sees half of it.
//!
//! ```text
//! layers, configs ▶ manifests ▶ index ▶ what refers to them (signatures, attestations) ▶ all asked for again ▶ tags
//! ```
//!
//! Each step is idempotent: a run that was cut is run again, and sends what is still missing.

mod check;
mod error;
mod legacy;
mod push;
mod referrers;
mod tags;

pub use check::check;
pub use error::PublishError;
pub use legacy::attach_by_tag;
pub use push::{Published, push_index};
pub use referrers::{Attached, attach, referrers};
pub use tags::{Move, move_tag};
