//! OpenVEX 0.2.0 (the OpenVEX specification, v0.2.0): what is written for an image, and what is read of others.

mod read;
mod write;

pub use read::read;
pub use write::{Author, write};

/// What its documents say that they are.
const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

#[cfg(test)]
mod tests;
