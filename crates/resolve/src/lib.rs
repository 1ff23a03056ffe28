//! Stage 3 of 8: Definition + Universe → Lock.

mod candidates;
pub mod error;
mod explain;
pub mod lock;
mod provider;
pub mod request;
pub mod solve;

pub use error::{Problem, ResolveError};
pub use lock::{Lock, LockError, LockedPackage};
pub use request::{Blocked, Request};
pub use solve::{DEFINITION, Resolution, Selected, resolve};
