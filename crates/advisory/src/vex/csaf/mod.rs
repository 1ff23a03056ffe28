//! CSAF 2.0 (OASIS, Common Security Advisory Framework 2.0), profile VEX: what is written for each flaw, the tree of files in
//! which a provider publishes that, and what is read of others.

mod products;
mod provider;
mod read;
mod write;

pub use provider::{Publication, Tree, publish};
pub use read::read;
pub use write::{Facts, Publisher};

#[cfg(test)]
mod tests;
