//! Versions of each ecosystem, compared by its own rules.

use std::cmp::Ordering;

use crate::model::Ecosystem;

/// The rules by which versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// deb-version(7).
    Deb,
    /// rpm-version(7): epoch, version, release, by rpmvercmp.
    Rpm,
    /// apk-tools.
    Apk,
    /// PEP 440.
    Pep440,
    /// SemVer 2.0: npm, crates.io.
    Semver,
    /// Go: module versions (`v1.2.3`, pseudo-versions) and releases of Go itself (`go1.21.3`, `1.21rc1`).
    Go,
    /// Maven.
    Maven,
}

/// A text that is no version of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no version by the rules of {scheme:?}: {reason}")]
pub struct BadVersion {
    /// The text.
    pub text: String,
    /// Whose rules.
    pub scheme: Scheme,
    /// What is wrong with it.
    pub reason: String,
}

impl Scheme {
    /// The rules of an ecosystem; none for one that nothing is known of.
    #[must_use]
    pub const fn of(ecosystem: &Ecosystem) -> Option<Self> {
        Some(match ecosystem {
            Ecosystem::Debian(_) | Ecosystem::Ubuntu(_) => Self::Deb,
            Ecosystem::RedHat(_)
            | Ecosystem::Hummingbird
            | Ecosystem::AlmaLinux(_)
            | Ecosystem::Fedora(_) => Self::Rpm,
            Ecosystem::Alpine(_) | Ecosystem::Wolfi => Self::Apk,
            Ecosystem::PyPi => Self::Pep440,
            Ecosystem::Npm | Ecosystem::CratesIo => Self::Semver,
            Ecosystem::Go => Self::Go,
            Ecosystem::Maven => Self::Maven,
            Ecosystem::Other(_) => return None,
        })
    }

    /// Which of two versions is newer.
    ///
    /// # Errors
    /// When one of them is no version by these rules.
    pub fn compare(self, left: &str, right: &str) -> Result<Ordering, BadVersion> {
        // Replaced by the rules of each scheme.
        Ok(left.cmp(right))
    }
}
