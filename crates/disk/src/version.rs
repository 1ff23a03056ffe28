//! The order of versions (UAPI Version Format specification), by which systemd-boot sorts entries.

use std::cmp::Ordering;

/// Compares two versions.
#[must_use]
pub fn compare(_left: &str, _right: &str) -> Ordering {
    Ordering::Equal
}
