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

/// Reads a frame and throws its content away: what a fuzzer gives its bytes to. The first four are the size that it should
/// have unpacked (little-endian), the others the frame, against [`old_bytes`].
///
/// # Errors
/// When the bytes are no such frame.
pub fn check_frame(bytes: &[u8]) -> Result<(), DeltaError> {
    let (size, frame) = sized(bytes)?;
    frame::decompress(&old_bytes(), frame, u64::from(size), "frame").map(drop)
}

/// Makes a content out of [`old_bytes`] and the streams of a difference to them, and throws it away: what a fuzzer gives
/// its bytes to. The first four are the content's size, then come controls, runs and added bytes, each after four bytes
/// with its length, and fresh bytes to the end.
///
/// # Errors
/// When the bytes are no such streams.
pub fn check_difference(bytes: &[u8]) -> Result<(), DeltaError> {
    let (size, mut rest) = sized(bytes)?;
    let mut stream = || {
        let (length, after) = sized(rest)?;
        let early_end = || DeltaError::damaged("streams of a difference", "a whole stream", "their end");
        let (stream, after) = after.split_at_checked(length as usize).ok_or_else(early_end)?;
        rest = after;
        Ok(stream)
    };
    let (controls, runs, added) = (stream()?, stream()?, stream()?);
    let mut reader = difference::StreamReader::new(controls, runs, added, rest);
    reader.read(Some(&old_bytes()), u64::from(size), &mut Vec::new())?;
    reader.check_end()
}

/// What [`check_frame`] and [`check_difference`] take for the old content.
#[must_use]
pub fn old_bytes() -> Vec<u8> {
    (0..4096_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Four bytes of a number, and those after them.
fn sized(bytes: &[u8]) -> Result<(u32, &[u8]), DeltaError> {
    let early_end = || DeltaError::damaged("fuzzed bytes", "four bytes of a size", bytes.len());
    let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(early_end)?;
    Ok((u32::from_le_bytes(*size), rest))
}
