//! The names of ecosystems in OSV documents → ecosystems, and whose names their packages have
//! (<https://ossf.github.io/osv-schema/#defined-ecosystems>).

use crate::model::{Ecosystem, PackageRole};

/// Debian's releases by number: OSV numbers them, and everything else of Debian names them.
const CODENAMES: &[(&str, &str)] = &[
    ("3.0", "woody"),
    ("3.1", "sarge"),
    ("4.0", "etch"),
    ("5.0", "lenny"),
    ("6.0", "squeeze"),
    ("7", "wheezy"),
    ("8", "jessie"),
    ("9", "stretch"),
    ("10", "buster"),
    ("11", "bullseye"),
    ("12", "bookworm"),
    ("13", "trixie"),
    ("14", "forky"),
];

/// An ecosystem by the name that OSV gives it; one of which nothing is known keeps its name.
pub(super) fn ecosystem(text: &str) -> Ecosystem {
    let (name, release) = match text.split_once(':') {
        Some((name, release)) => (name, Some(release).filter(|release| !release.is_empty())),
        None => (text, None),
    };
    let owned = |release: Option<&str>| release.map(str::to_owned);
    match (name, release) {
        ("Debian", None) => Ecosystem::Debian(None),
        ("Debian", Some(release)) => match codename(release) {
            Some(codename) => Ecosystem::Debian(Some(codename.to_owned())),
            None => other(text),
        },
        // Fixes of `Ubuntu:Pro:…` are for subscribers; the plain name's are for all. `LTS` behind a number is an adornment.
        ("Ubuntu", Some(release)) if release.starts_with("Pro") || release.starts_with("FIPS") => other(text),
        ("Ubuntu", release) => {
            Ecosystem::Ubuntu(owned(release.map(|release| release.strip_suffix(":LTS").unwrap_or(release))))
        }
        ("AlmaLinux", release) => {
            Ecosystem::AlmaLinux(owned(release.and_then(|release| release.split('.').next())))
        }
        ("Alpine", release) => Ecosystem::Alpine(owned(release)),
        ("Wolfi" | "Chainguard", _) => Ecosystem::Wolfi,
        ("Red Hat", Some(product)) => red_hat(&cpe(product)),
        ("PyPI", _) => Ecosystem::PyPi,
        ("npm", _) => Ecosystem::Npm,
        ("Go", _) => Ecosystem::Go,
        ("crates.io", _) => Ecosystem::CratesIo,
        // The repository behind the name says where an artifact lies, not what it is called.
        ("Maven", _) => Ecosystem::Maven,
        _ => other(text),
    }
}

fn other(text: &str) -> Ecosystem {
    Ecosystem::Other(text.to_owned())
}

fn codename(release: &str) -> Option<&'static str> {
    let found = CODENAMES.iter().find(|(number, codename)| *number == release || *codename == release);
    found.map(|(_, codename)| *codename).or_else(|| (release == "sid").then_some("sid"))
}

/// OSV drops `cpe:/o:redhat:` and `cpe:/a:redhat:` alike. The base is an operating system, everything else an application.
fn cpe(product: &str) -> String {
    let (_, variant) = product.split_once("::").unwrap_or((product, ""));
    let base = product.starts_with("enterprise_linux") || product.starts_with("rhel");
    let part = if base && matches!(variant, "" | "baseos" | "server" | "client" | "workstation") {
        'o'
    } else {
        'a'
    };
    format!("cpe:/{part}:redhat:{product}")
}

/// A product of Red Hat by its CPE.
pub(super) fn red_hat(cpe: &str) -> Ecosystem {
    match cpe.strip_prefix("cpe:/a:redhat:hummingbird") {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => Ecosystem::Hummingbird,
        _ => Ecosystem::RedHat(cpe.to_owned()),
    }
}

/// The name that OSV documents have for a distribution; none for others, whose names are those of their own databases.
#[must_use]
pub fn osv_name(ecosystem: &Ecosystem) -> Option<String> {
    let with = |name: &str, release: &Option<String>| match release {
        Some(release) => format!("{name}:{release}"),
        None => name.to_owned(),
    };
    match ecosystem {
        Ecosystem::Debian(release) => {
            let number = |name: &String| CODENAMES.iter().find(|(_, codename)| codename == name);
            let number = release.as_ref().and_then(number).map(|(number, _)| (*number).to_owned());
            Some(with("Debian", &number.or_else(|| release.clone())))
        }
        Ecosystem::Ubuntu(release) => Some(with("Ubuntu", release)),
        Ecosystem::AlmaLinux(release) => Some(with("AlmaLinux", release)),
        Ecosystem::Alpine(branch) => Some(with("Alpine", branch)),
        Ecosystem::Fedora(release) => Some(with("Fedora", release)),
        Ecosystem::Wolfi => Some("Wolfi".to_owned()),
        _ => None,
    }
}

/// Whether packages of an ecosystem make up a system.
pub(super) const fn is_distribution(ecosystem: &Ecosystem) -> bool {
    matches!(
        ecosystem,
        Ecosystem::Debian(_)
            | Ecosystem::Ubuntu(_)
            | Ecosystem::RedHat(_)
            | Ecosystem::Hummingbird
            | Ecosystem::AlmaLinux(_)
            | Ecosystem::Fedora(_)
            | Ecosystem::Alpine(_)
            | Ecosystem::Wolfi
    )
}

/// Whose names the packages of an ecosystem have in OSV documents.
pub(super) const fn role(ecosystem: &Ecosystem) -> PackageRole {
    match ecosystem {
        Ecosystem::Debian(_) | Ecosystem::Ubuntu(_) | Ecosystem::Alpine(_) => PackageRole::Source,
        // Chainguard lists packages and what they are split into alike.
        Ecosystem::Wolfi | Ecosystem::Other(_) => PackageRole::Either,
        _ => PackageRole::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_releases() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("Debian:12", Ecosystem::Debian(some("bookworm"))),
            ("Debian:14", Ecosystem::Debian(some("forky"))),
            ("Debian", Ecosystem::Debian(None)),
            ("Debian:", Ecosystem::Debian(None)),
            ("Debian:99", Ecosystem::Other("Debian:99".to_owned())),
            ("Ubuntu:24.04:LTS", Ecosystem::Ubuntu(some("24.04"))),
            ("Ubuntu:25.10", Ecosystem::Ubuntu(some("25.10"))),
            ("Ubuntu:Pro:18.04:LTS", Ecosystem::Other("Ubuntu:Pro:18.04:LTS".to_owned())),
            ("AlmaLinux:9", Ecosystem::AlmaLinux(some("9"))),
            ("AlmaLinux", Ecosystem::AlmaLinux(None)),
            ("Alpine:v3.20", Ecosystem::Alpine(some("v3.20"))),
            ("Wolfi", Ecosystem::Wolfi),
            ("Chainguard", Ecosystem::Wolfi),
            ("crates.io", Ecosystem::CratesIo),
            ("Maven:https://repo.example.com/", Ecosystem::Maven),
            (
                "Red Hat:enterprise_linux:9::baseos",
                Ecosystem::RedHat("cpe:/o:redhat:enterprise_linux:9::baseos".to_owned()),
            ),
            (
                "Red Hat:enterprise_linux:9::appstream",
                Ecosystem::RedHat("cpe:/a:redhat:enterprise_linux:9::appstream".to_owned()),
            ),
            ("Red Hat:hummingbird:1", Ecosystem::Hummingbird),
            ("NuGet", Ecosystem::Other("NuGet".to_owned())),
            ("", Ecosystem::Other(String::new())),
        ] {
            assert_eq!(ecosystem(text), expected, "{text}");
        }
    }
}
