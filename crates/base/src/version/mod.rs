//! Package versions, each compared by the rules of its own ecosystem.

pub mod deb;

pub use deb::DebVersion;
