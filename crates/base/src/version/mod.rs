//! Package versions, each compared by the rules of its own ecosystem.

pub mod deb;
pub mod rpm;

pub use deb::DebVersion;
pub use rpm::RpmVersion;
