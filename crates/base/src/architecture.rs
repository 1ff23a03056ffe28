//! The machine architectures that images are built for, with the name each format gives them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A machine architecture; displays in the OCI (Go) spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

/// A name that is no architecture we build for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not an architecture that images are built for (amd64, arm64)")]
pub struct ArchitectureError {
    /// The name as given.
    pub name: String,
}

impl Architecture {
    /// Every architecture, in the order in which they are listed everywhere.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// `GOARCH`, as the OCI image spec and Debian write it.
    #[must_use]
    pub const fn oci(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The OCI platform variant, where the specification gives one.
    #[must_use]
    pub const fn oci_variant(self) -> Option<&'static str> {
        match self {
            Self::Amd64 => None,
            Self::Arm64 => Some("v8"),
        }
    }

    /// The name that Debian uses (`dpkg --print-architecture`).
    #[must_use]
    pub const fn deb(self) -> &'static str {
        self.oci()
    }

    /// The name that RPM and the kernel use (`uname -m`).
    #[must_use]
    pub const fn rpm(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The older architecture whose RPM packages its machines run as well.
    #[must_use]
    pub const fn secondary_rpm(self) -> Option<&'static str> {
        match self {
            Self::Amd64 => Some("i686"),
            Self::Arm64 => None,
        }
    }

    /// Whether a package of this architecture, in the spelling of either format, can be in an image of this one.
    #[must_use]
    pub fn takes(self, package: &str) -> bool {
        ["all", "noarch", self.deb(), self.rpm()].contains(&package) || self.secondary_rpm() == Some(package)
    }

    /// The multi-arch triplet of Debian's library directories.
    #[must_use]
    pub const fn deb_triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// `e_machine` of this architecture's ELF files.
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.oci())
    }
}

impl FromStr for Architecture {
    type Err = ArchitectureError;

    /// Accepts the OCI, Debian and RPM spellings.
    fn from_str(name: &str) -> Result<Self, ArchitectureError> {
        Self::ALL
            .into_iter()
            .find(|architecture| name == architecture.oci() || name == architecture.rpm())
            .ok_or_else(|| ArchitectureError { name: name.to_owned() })
    }
}
