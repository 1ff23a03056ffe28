//! Two images → a delta, and an image + a delta → the other image, bit for bit (format: `docs/reference/delta.md`).
//!
//! A delta is an OCI artifact about the new image. It holds a plan that rebuilds the tar stream of every layer that
//! the old image lacks: contents that the old image has are named, never carried; the others are carried as what is
//! different from old files like them, many in one bundle, so that what changed alike in thousands of files is paid
//! once. [`create()`] makes one, [`Delta::read`] and [`Delta::expand`] give the tar streams back, each checked against
//! its diff id; [`apply`] makes the blobs of the image again.
//!
//! No image is ever held in memory: contents lie in files without a name in a directory that the caller gives, and
//! what is worked on at once is bounded by [`limits`].

pub mod apply;
mod artifact;
mod bundle;
pub mod create;
mod difference;
pub mod error;
pub mod expand;
mod frame;
mod interrupt;
pub mod layout;
pub mod limits;
mod matching;
mod number;
pub mod output;
mod plan;
mod sketch;
mod spool;

pub use apply::{Applied, apply, copy_image};
pub use artifact::{ARTIFACT_TYPE, Artifact};
pub use create::{Class, ClassSummary, Created, Settings, Summary, create};
pub use error::DeltaError;
pub use expand::{Delta, Expanded};
pub use layout::{ImageSet, Layout, SingleImage};

/// Reads a plan and throws it away: what a fuzzer gives its bytes to.
///
/// # Errors
/// When the bytes are no plan.
pub fn check_plan(bytes: &[u8]) -> Result<(), DeltaError> {
    plan::Plan::decode(bytes).map(drop)
}
