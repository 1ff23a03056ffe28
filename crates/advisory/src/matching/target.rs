//! A component and the image's distribution → what is compared: names, versions, and the ecosystems whose advisories are
//! about it. Which distribution it is, is told by os-release alone; nothing is guessed from names.

use calypte_sbom::{Component, Distribution, PackageKind};
use serde::{Deserialize, Serialize};

use crate::database::debian_codename;
use crate::model::{Affected, Ecosystem, PackageRole};

/// Debian's codenames, for derivatives that keep them. One that gives its own name is not known to be of any release.
const DEBIAN_RELEASES: [&str; 8] =
    ["buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "unstable"];

/// What is compared of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its kind.
    pub kind: PackageKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The name of its source package; its own where it names none.
    pub source: String,
    /// The version of that.
    pub source_version: String,
    /// Its architecture.
    pub architecture: Option<String>,
    /// The stream of its module (`nodejs:18`).
    pub module: Option<String>,
}

/// Whose name an advisory uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The component's own.
    Own,
    /// Its source package's.
    Source,
}

impl Target {
    pub fn new(component: &Component) -> Self {
        let (source, source_version) = match &component.source {
            Some(source) => (source.name.clone(), source.version.clone()),
            None => (component.name.clone(), component.version.clone()),
        };
        // The label ends in a build and a context, by which no advisory is named.
        let module = component.module.as_ref().map(|label| stream(label).to_owned());
        Self {
            kind: component.kind,
            name: component.name.clone(),
            version: component.version.clone(),
            source,
            source_version,
            architecture: component.architecture.clone(),
            module,
        }
    }

    /// The names by which it is looked up.
    pub fn names(&self, ecosystem: &Ecosystem) -> Vec<String> {
        let mut names = vec![ecosystem.normal_name(&self.name).into_owned()];
        if self.kind.is_distribution() && self.source != self.name {
            names.push(self.source.clone());
        }
        names
    }

    /// By which of its names an entry is about it; none where it is about another package.
    pub fn by(&self, affected: &Affected) -> Option<By> {
        let package = affected.ecosystem.normal_name(&affected.package);
        let is_own = package == affected.ecosystem.normal_name(&self.name);
        if !self.kind.is_distribution() {
            return is_own.then_some(By::Own);
        }
        match affected.role {
            PackageRole::Binary | PackageRole::Either if is_own => Some(By::Own),
            PackageRole::Source | PackageRole::Either if *package == self.source => Some(By::Source),
            _ => None,
        }
    }

    /// The version that goes with a name.
    pub fn version(&self, by: By) -> &str {
        match by {
            By::Own => &self.version,
            By::Source => &self.source_version,
        }
    }

    /// Why nothing can be compared: what `go build` writes without a version, an archive without Maven's coordinates.
    pub fn without_version(&self) -> Option<String> {
        let version = self.version.trim();
        match (self.kind, version) {
            (_, "") => Some("it has no version".to_owned()),
            (PackageKind::Go, "(devel)" | "v0.0.0" | "unknown") => {
                Some(format!("`{version}` is what is built without a version"))
            }
            (PackageKind::Go, _) if version.starts_with("devel") => {
                Some(format!("`{version}` is a build between two releases"))
            }
            (PackageKind::Maven, _) if !self.name.contains(':') => {
                Some("nothing tells its group, and advisories name packages by group and artifact".to_owned())
            }
            _ => None,
        }
    }
}

/// `name:stream` out of the label of a module.
pub fn stream(label: &str) -> &str {
    let second = label.match_indices(':').nth(1).map(|(at, _)| at);
    second.and_then(|at| label.get(..at)).unwrap_or(label)
}

/// The ecosystems whose advisories are about components of a kind, those that decide first in front.
///
/// # Errors
/// Why there are none, in words.
pub fn worlds(kind: PackageKind, distribution: Option<&Distribution>) -> Result<Vec<Ecosystem>, String> {
    Ok(match kind {
        PackageKind::Python => vec![Ecosystem::PyPi],
        PackageKind::Npm => vec![Ecosystem::Npm],
        PackageKind::Go => vec![Ecosystem::Go],
        PackageKind::Cargo => vec![Ecosystem::CratesIo],
        PackageKind::Maven => vec![Ecosystem::Maven],
        PackageKind::Deb | PackageKind::Rpm | PackageKind::Apk => {
            let Some(distribution) = distribution else {
                return Err(format!("{kind} packages of no known distribution: there is no os-release"));
            };
            let found = match kind {
                PackageKind::Deb => deb(distribution),
                PackageKind::Rpm => rpm(distribution),
                _ => apk(distribution),
            };
            found.ok_or_else(|| unknown(kind, distribution))?
        }
    })
}

fn unknown(kind: PackageKind, distribution: &Distribution) -> String {
    let release = distribution.version.as_deref().or(distribution.codename.as_deref()).unwrap_or("none");
    format!("{kind} packages of a distribution that is not known: ID={}, release {release}", distribution.id)
}

fn deb(distribution: &Distribution) -> Option<Vec<Ecosystem>> {
    let (version, codename) = (distribution.version.as_deref(), distribution.codename.as_deref());
    if distribution.id == "ubuntu" {
        return Some(vec![Ecosystem::Ubuntu(Some(version?.to_owned())), Ecosystem::Ubuntu(None)]);
    }
    let is_debian = distribution.id == "debian";
    let is_like = |name: &str| distribution.like.iter().any(|like| like == name);
    if !is_debian && (!is_like("debian") || is_like("ubuntu")) {
        return None;
    }
    let title = distribution.title.as_deref().unwrap_or_default();
    let codename = codename.map(debian_codename).filter(|name| is_debian || DEBIAN_RELEASES.contains(name));
    let is_rolling = codename == Some("sid") || is_debian && (version.is_none() || title.ends_with("/sid"));
    let mut releases = Vec::new();
    // Testing and unstable have one os-release (`forky/sid`). What unstable says decides: what is fixed there and has not
    // migrated is open in testing, and unstable's own packages are not.
    if is_rolling {
        releases.push("sid");
    }
    releases.extend(codename.filter(|codename| *codename != "sid" || !is_rolling));
    if let (true, None, Some(version)) = (is_debian, codename, version) {
        releases.push(debian_codename(version));
    }
    if releases.is_empty() {
        return None;
    }
    let mut worlds: Vec<_> =
        releases.into_iter().map(|release| Ecosystem::Debian(Some(release.to_owned()))).collect();
    worlds.push(Ecosystem::Debian(None));
    Some(worlds)
}

fn rpm(distribution: &Distribution) -> Option<Vec<Ecosystem>> {
    let version = distribution.version.as_deref();
    let cpe = distribution.cpe.as_deref().unwrap_or_default();
    if cpe.starts_with("cpe:/a:redhat:hummingbird") || cpe.starts_with("cpe:2.3:a:redhat:hummingbird") {
        return Some(vec![Ecosystem::Hummingbird]);
    }
    match distribution.id.as_str() {
        "fedora" => {
            let title = distribution.title.as_deref().unwrap_or_default().to_ascii_lowercase();
            let is_rawhide =
                distribution.codename.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("rawhide"));
            // Rawhide has a number as well, that of the release it will become.
            let is_rolling = is_rawhide || title.contains("rawhide") || title.contains("prerelease");
            let rawhide = is_rolling.then(|| "rawhide".to_owned());
            let releases = rawhide.into_iter().chain(version.map(str::to_owned));
            let mut worlds: Vec<_> = releases.map(|release| Ecosystem::Fedora(Some(release))).collect();
            if worlds.is_empty() {
                return None;
            }
            worlds.push(Ecosystem::Fedora(None));
            Some(worlds)
        }
        "almalinux" => {
            let major = version?.split('.').next()?.to_owned();
            Some(vec![Ecosystem::AlmaLinux(Some(major)), Ecosystem::AlmaLinux(None)])
        }
        "rhel" => {
            let major = version?.split('.').next()?;
            Some(vec![Ecosystem::RedHat(format!("cpe:/o:redhat:enterprise_linux:{major}"))])
        }
        _ => None,
    }
}

fn apk(distribution: &Distribution) -> Option<Vec<Ecosystem>> {
    match distribution.id.as_str() {
        "wolfi" | "chainguard" => Some(vec![Ecosystem::Wolfi]),
        "alpine" => {
            let version = distribution.version.as_deref()?;
            let title = distribution.title.as_deref().unwrap_or_default();
            let branch = if version.contains('_') || title.contains("edge") {
                "edge".to_owned()
            } else {
                let mut parts = version.split('.');
                format!("v{}.{}", parts.next()?, parts.next()?)
            };
            Some(vec![Ecosystem::Alpine(Some(branch)), Ecosystem::Alpine(None)])
        }
        _ => None,
    }
}
