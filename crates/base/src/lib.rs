//! The words that every stage shares: digests, architectures, safe paths, versions, times. No I/O.

pub mod architecture;
pub mod digest;
pub mod epoch;
pub mod path;
pub mod version;

pub use architecture::Architecture;
pub use digest::{Digest, Hasher};
pub use epoch::Epoch;
pub use path::TreePath;

use serde::{Deserialize, Serialize};

/// The two package formats that a universe can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageFormat {
    /// Debian packages (`deb(5)`).
    Deb,
    /// RPM packages.
    Rpm,
}

impl std::fmt::Display for PackageFormat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
        })
    }
}
