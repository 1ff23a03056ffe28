//! Versions of each ecosystem, compared by its own rules. Two texts and the rules come in; which is newer goes out, or why
//! one of them is no version. Where an ecosystem has a tool, that tool is the judge: see `tests/oracle_versions.rs`.

mod apk;
mod golang;
mod maven;
mod number;
mod pep440;
mod semver;
mod sort;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::Display;

use calypte_base::version::{DebVersion, RpmVersion};

use crate::model::Ecosystem;

/// The longest text that is taken for a version, in bytes. No ecosystem has longer ones; a feed that has them is broken,
/// or means harm.
pub const LONGEST: usize = 4096;

/// Where a range begins that has no beginning: before every version, whatever the rules (OSV schema,
/// `affected[].ranges[].events[].introduced`).
pub const BEFORE_ALL: &str = "0";

/// The rules by which versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// deb-version(7).
    Deb,
    /// rpm-version(7): epoch, version, release, by rpmvercmp. A missing epoch is 0.
    Rpm,
    /// Those of apk-tools 3: apk-package(5).
    Apk,
    /// PEP 440.
    Pep440,
    /// SemVer 2.0: npm, crates.io.
    Semver,
    /// Go: module versions (`v1.2.3`, pseudo-versions) and releases of Go itself (`go1.21.3`, `1.21rc1`).
    Go,
    /// Those of `ComparableVersion` in Maven 3.9.
    Maven,
}

/// A text that is no version of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no version by the rules of {scheme:?}: {reason}")]
pub struct BadVersion {
    /// The text, cut at 100 characters.
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
    /// Maven's rules contradict themselves in odd cases (`1.0.alpha.1` < `1` < `1-sp` < `1.0.alpha.1`), and the sorts of
    /// the standard library may panic on that: sort with [`Scheme::sort`].
    ///
    /// # Errors
    /// When one of them is no version by these rules, or is longer than [`LONGEST`].
    pub fn compare(self, left: &str, right: &str) -> Result<Ordering, BadVersion> {
        match self {
            Self::Deb => self.compare_as(str::parse::<DebVersion>, |error| error.reason, left, right),
            Self::Rpm => self.compare_as(RpmVersion::parse, |error| error.reason, left, right),
            Self::Apk => self.compare_as(apk::Version::parse, reason, left, right),
            Self::Pep440 => self.compare_as(pep440::Version::parse, reason, left, right),
            Self::Semver => self.compare_as(semver::Version::parse, reason, left, right),
            Self::Go => self.compare_as(golang::parse, reason, left, right),
            Self::Maven => Ok(maven::compare(self.bounded(left)?, self.bounded(right)?)),
        }
    }

    /// As [`Scheme::compare`], but RPM's epochs do not count: the name of a source RPM (`perl-5.30.1-452.fc32.src.rpm`)
    /// leaves its epoch out, so a version that was taken from it has none to compare. The others have nothing to drop.
    ///
    /// # Errors
    /// As [`Scheme::compare`]; what is dropped is not looked at.
    pub fn compare_without_epoch(self, left: &str, right: &str) -> Result<Ordering, BadVersion> {
        let bare = |text| if self == Self::Rpm { without_epoch(text) } else { text };
        self.compare(bare(left), bare(right))
    }

    /// How the beginning of a range stands to a version: [`BEFORE_ALL`] is before every one, also before what its own
    /// rules put before `0` (`0.0.0-alpha`, `0~rc1`, `0.dev1`). The version is read all the same.
    ///
    /// # Errors
    /// As [`Scheme::compare`].
    pub fn compare_introduced(self, introduced: &str, version: &str) -> Result<Ordering, BadVersion> {
        if introduced.trim() == BEFORE_ALL {
            return self.compare(version, version).map(|_| Ordering::Less);
        }
        self.compare(introduced, version)
    }

    /// Sorts whatever has a version by it, the oldest first; equal ones stay as they are. What its rules contradict
    /// themselves about (Maven's do) comes in some order, the same for the same input, and never panics.
    ///
    /// # Errors
    /// As [`Scheme::compare`].
    pub fn sort<T>(self, items: Vec<T>, version: impl Fn(&T) -> &str) -> Result<Vec<T>, BadVersion> {
        // One by one first, since a single item is compared with nothing.
        for item in &items {
            self.compare(version(item), version(item))?;
        }
        sort::merge(items, &|left, right| self.compare(version(left), version(right)))
    }

    fn compare_as<'a, T: Ord, E>(
        self,
        parse: impl Fn(&'a str) -> Result<T, E>,
        reason: impl Fn(E) -> &'static str,
        left: &'a str,
        right: &'a str,
    ) -> Result<Ordering, BadVersion> {
        let read = |text| parse(self.bounded(text)?).map_err(|error| self.bad(text, reason(error)));
        Ok(read(left)?.cmp(&read(right)?))
    }

    fn bounded(self, text: &str) -> Result<&str, BadVersion> {
        if text.len() > LONGEST {
            return Err(self.bad(text, format_args!("it is longer than {LONGEST} bytes")));
        }
        Ok(text)
    }

    fn bad(self, text: &str, reason: impl Display) -> BadVersion {
        BadVersion { text: text.chars().take(100).collect(), scheme: self, reason: reason.to_string() }
    }
}

/// The parsers of this folder fail with the reason alone.
const fn reason(reason: &'static str) -> &'static str {
    reason
}

/// An RPM version without its epoch, as the names of source RPMs have it; what is no epoch stays.
#[must_use]
pub fn without_epoch(text: &str) -> &str {
    match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    }
}
