//! Images of hosts: what must hold of them beside what holds of every image.

pub mod lint;
mod own;
mod published;
pub(crate) mod seal;
mod secrets;
mod system;

pub use system::System;
