//! Deltas of made-up images: what comes out is the new image to the last bit, and everything else is refused.

mod hostile;
mod image;
mod interrupt;
mod limits;
mod random;
mod round_trip;
