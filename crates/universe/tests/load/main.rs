//! Loading universes of both formats over loopback.

mod deb;
mod mirror;
mod overlay;
mod rpm;
