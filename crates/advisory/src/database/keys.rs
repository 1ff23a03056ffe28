//! Ecosystems and names of packages → the texts by which they are found: one text for all spellings of the same thing.

use std::borrow::Cow;

use crate::model::Ecosystem;

/// Debian's releases by number (`/etc/os-release`, `VERSION_ID`; OSV writes `Debian:13`).
const DEBIAN: [(&str, &str); 10] = [
    ("6", "squeeze"),
    ("7", "wheezy"),
    ("8", "jessie"),
    ("9", "stretch"),
    ("10", "buster"),
    ("11", "bullseye"),
    ("12", "bookworm"),
    ("13", "trixie"),
    ("14", "forky"),
    ("15", "duke"),
];

/// The codename of a Debian release that is given by its number or its codename; `unstable` is `sid`.
#[must_use]
pub fn debian_codename(release: &str) -> &str {
    if release == "unstable" {
        return "sid";
    }
    let number = release.split('.').next().unwrap_or(release);
    DEBIAN.iter().find(|(known, _)| *known == number).map_or(release, |(_, codename)| codename)
}

impl Ecosystem {
    /// The text by which it is found, and which [`super::Source::covers`] holds: `debian:trixie`, `fedora:rawhide`,
    /// `redhat:enterprise_linux:9`, `pypi`. The same for all spellings of one release.
    #[must_use]
    pub fn key(&self) -> String {
        let with = |name: &str, release: Option<&str>| match release {
            Some(release) => format!("{name}:{release}"),
            None => name.to_owned(),
        };
        match self {
            Self::Debian(release) => with("debian", release.as_deref().map(debian_codename)),
            Self::Ubuntu(release) => with("ubuntu", release.as_deref()),
            Self::RedHat(cpe) => with("redhat", Some(&redhat_product(cpe))),
            Self::Hummingbird => "hummingbird".to_owned(),
            Self::AlmaLinux(release) => with("almalinux", release.as_deref().map(major)),
            Self::Fedora(release) => with("fedora", release.as_deref()),
            Self::Alpine(branch) => {
                with("alpine", branch.as_deref().map(|branch| branch.trim_start_matches('v')))
            }
            Self::Wolfi => "wolfi".to_owned(),
            Self::PyPi => "pypi".to_owned(),
            Self::Npm => "npm".to_owned(),
            Self::Go => "go".to_owned(),
            Self::CratesIo => "crates-io".to_owned(),
            Self::Maven => "maven".to_owned(),
            Self::Other(name) => format!("other:{name}"),
        }
    }

    /// Whether it is a distribution's, and not a language's.
    #[must_use]
    pub const fn is_distribution(&self) -> bool {
        !matches!(self, Self::PyPi | Self::Npm | Self::Go | Self::CratesIo | Self::Maven | Self::Other(_))
    }

    /// A package's name as its ecosystem compares it: PEP 503 for PyPI; crates.io knows no difference between cases, nor
    /// between `-` and `_`. All others compare letter by letter.
    #[must_use]
    pub fn normal_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self {
            Self::PyPi => Cow::Owned(pep503(name)),
            Self::CratesIo => Cow::Owned(name.to_ascii_lowercase().replace('_', "-")),
            _ => Cow::Borrowed(name),
        }
    }
}

/// Whether what a source covers holds this ecosystem: itself, or all of its kind (`debian` covers `debian:sid`).
#[must_use]
pub fn covers<'a>(covered: impl IntoIterator<Item = &'a String>, key: &str) -> bool {
    covered.into_iter().any(|covered| {
        key.strip_prefix(covered.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

/// An advisory's id without the number that tells it from others of the same id in its feed (`GHSA-1 #2`).
#[must_use]
pub(crate) fn plain_id(id: &str) -> &str {
    id.split_once(" #").map_or(id, |(plain, _)| plain)
}

/// Runs of `-`, `_` and `.` are one `-`, and cases are alike.
fn pep503(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

fn major(release: &str) -> &str {
    release.split('.').next().unwrap_or(release)
}

/// A product of Red Hat out of its CPE 2.2 name, without the repository: of Enterprise Linux itself the major release, of
/// all others the release (`rhel_eus:9.4`).
fn redhat_product(cpe: &str) -> String {
    let mut parts = cpe.trim_start_matches("cpe:/").split(':').skip(1);
    let (vendor, product) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let release = parts.next().unwrap_or_default();
    if vendor != "redhat" || product.is_empty() {
        return cpe.to_owned();
    }
    match product {
        "enterprise_linux" => format!("{product}:{}", major(release)),
        _ if release.is_empty() => product.to_owned(),
        _ => format!("{product}:{release}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_for_all_spellings_of_a_release() {
        let some = |text: &str| Some(text.to_owned());
        for (ecosystem, key) in [
            (Ecosystem::Debian(some("13")), "debian:trixie"),
            (Ecosystem::Debian(some("trixie")), "debian:trixie"),
            (Ecosystem::Debian(some("unstable")), "debian:sid"),
            (Ecosystem::Debian(None), "debian"),
            (
                Ecosystem::RedHat("cpe:/a:redhat:enterprise_linux:9::appstream".to_owned()),
                "redhat:enterprise_linux:9",
            ),
            (
                Ecosystem::RedHat("cpe:/o:redhat:enterprise_linux:10.1".to_owned()),
                "redhat:enterprise_linux:10",
            ),
            (Ecosystem::RedHat("cpe:/a:redhat:rhel_eus:9.4::appstream".to_owned()), "redhat:rhel_eus:9.4"),
            (Ecosystem::AlmaLinux(some("9.6")), "almalinux:9"),
            (Ecosystem::Alpine(some("v3.20")), "alpine:3.20"),
            (Ecosystem::Fedora(some("rawhide")), "fedora:rawhide"),
        ] {
            assert_eq!(ecosystem.key(), key);
        }
    }

    #[test]
    fn names_are_compared_as_their_ecosystem_does() {
        assert_eq!(Ecosystem::PyPi.normal_name("Zope.Interface__x"), "zope-interface-x");
        assert_eq!(Ecosystem::CratesIo.normal_name("Serde_JSON"), "serde-json");
        assert_eq!(Ecosystem::Npm.normal_name("JSONStream"), "JSONStream");
    }

    #[test]
    fn a_source_of_all_releases_covers_each_and_not_what_only_begins_alike() {
        let covered = ["debian".to_owned(), "fedora:42".to_owned()];
        for (key, expected) in [
            ("debian:sid", true),
            ("debian", true),
            ("fedora:42", true),
            ("fedora:4", false),
            ("debianx", false),
            ("fedora", false),
        ] {
            assert_eq!(covers(&covered, key), expected, "{key}");
        }
    }
}
