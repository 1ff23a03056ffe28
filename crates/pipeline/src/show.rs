//! `calypte show`: what is in an image according to its lock, and why.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use calypte_base::{Architecture, PackageFormat};
use calypte_definition::ImageId;
use calypte_resolve::{DEFINITION, Lock, LockedPackage};
use calypte_sbom::purl::purl;
use calypte_universe::UniverseDefinition;
use serde::Serialize;

use crate::factory::Factory;
use crate::lifecycle::{Lifecycle, Support};

/// An image's packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The image (`nginx-builder`).
    pub image: String,
    /// The universe of its lock.
    pub universe: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Whether the lock was made from an index past its Valid-Until.
    pub stale: bool,
    /// Until when its software and its packages are supported.
    pub lifecycle: Lifecycle,
    /// Sum of the packages' download sizes, in bytes.
    pub download_size: u64,
    /// The packages by name.
    pub packages: Vec<ShownPackage>,
}

/// One package of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL: what scanners and bills of materials call it.
    pub purl: String,
    /// The source package.
    pub source: String,
    /// The repository that it comes from, by its name in the universe.
    pub repository: String,
    /// Where its file lies below a mirror of that repository.
    pub url: String,
    /// Until when it is supported.
    pub support: Support,
    /// Download size in bytes.
    pub size: u64,
    /// The packages of this image that need it, or `definition`.
    pub by: Vec<String>,
}

impl Factory<'_> {
    /// What is in an image according to its lock.
    ///
    /// # Errors
    /// When the lock is missing or out of date.
    pub fn show(&self, image: &ImageId, universe: &str, architecture: Architecture) -> Result<Shown> {
        let lock = self.current_lock(universe, &image.family)?;
        let definition = self.images.image(image)?;
        let lifecycle = self.lifecycle(definition, universe)?;
        show(&lock, image, lifecycle, &self.universe(universe)?.0, architecture)
    }
}

/// The packages of one image in a lock.
fn show(
    lock: &Lock,
    image: &ImageId,
    lifecycle: Lifecycle,
    universe: &UniverseDefinition,
    architecture: Architecture,
) -> Result<Shown> {
    let packages = packages(lock, &image.key(), architecture)?;
    let names: BTreeSet<&str> = packages.iter().map(|package| package.id.as_str()).collect();
    let shown = packages.iter().map(|package| ShownPackage {
        name: package.id.clone(),
        version: package.version.clone(),
        purl: identity(package, universe),
        source: package.source.clone(),
        repository: package.repository.clone(),
        url: package.url.clone(),
        support: lifecycle.packages,
        size: package.size,
        by: package
            .by
            .iter()
            .filter(|by| *by == DEFINITION || names.contains(by.as_str()))
            .cloned()
            .collect(),
    });
    Ok(Shown {
        image: image.to_string(),
        lifecycle,
        universe: lock.universe.clone(),
        architecture,
        stale: lock.repositories.iter().any(|repository| repository.stale),
        download_size: packages.iter().map(|package| package.size).sum(),
        packages: shown.collect(),
    })
}

/// The package URL of a locked package. The release, which only the image's os-release tells, is not in it.
pub(crate) fn identity(package: &LockedPackage, universe: &UniverseDefinition) -> String {
    let kind = match universe.format {
        PackageFormat::Deb => "deb",
        PackageFormat::Rpm => "rpm",
    };
    purl(kind, &universe.rules, &package.id, &package.version, &[("arch", &package.architecture)])
}

/// The packages of one image in a lock, by name.
///
/// # Errors
/// When the lock does not hold the image.
pub fn packages<'a>(lock: &'a Lock, key: &str, architecture: Architecture) -> Result<Vec<&'a LockedPackage>> {
    if !lock.images.contains_key(key) || !lock.packages.contains_key(&architecture) {
        bail!(
            "the lock of {} in {} holds no image `{key}` for {architecture}\nhint: run `calypte lock {} --universe {}`",
            lock.family,
            lock.universe,
            lock.family,
            lock.universe
        );
    }
    Ok(lock.packages_of(architecture, key).collect())
}

impl Shown {
    /// The image as a tree of who asked for whom; what stands a second time is cut short with `…`.
    #[must_use]
    pub fn tree(&self) -> String {
        let mut needs: BTreeMap<&str, Vec<&ShownPackage>> = BTreeMap::new();
        for package in &self.packages {
            for by in &package.by {
                needs.entry(by).or_default().push(package);
            }
        }
        let mut text = format!("{} ({}, {})\n", self.image, self.universe, self.architecture);
        let mut seen = BTreeSet::new();
        branch(DEFINITION, "", &needs, &mut seen, &mut text);
        text
    }

    /// The chain of packages through which one came in, from the definition down; `None` when it is not in the image.
    #[must_use]
    pub fn why(&self, name: &str) -> Option<Vec<String>> {
        let by_name: BTreeMap<&str, &ShownPackage> =
            self.packages.iter().map(|package| (package.name.as_str(), package)).collect();
        let mut paths = vec![vec![by_name.get_key_value(name).map(|(name, _)| (*name).to_owned())?]];
        let mut seen = BTreeSet::new();
        // Breadth first: the shortest chain explains best.
        while !paths.is_empty() {
            let mut longer = Vec::new();
            for path in &paths {
                let Some(package) = path.last().and_then(|last| by_name.get(last.as_str())) else { continue };
                if package.by.iter().any(|by| by == DEFINITION) {
                    return Some(path.iter().rev().cloned().collect());
                }
                let unseen = package.by.iter().filter(|by| seen.insert((*by).clone()));
                longer.extend(unseen.map(|by| [path.as_slice(), std::slice::from_ref(by)].concat()));
            }
            paths = longer;
        }
        None
    }
}

fn branch<'a>(
    name: &str,
    indent: &str,
    needs: &BTreeMap<&'a str, Vec<&'a ShownPackage>>,
    seen: &mut BTreeSet<&'a str>,
    text: &mut String,
) {
    let children = needs.get(name).map_or(&[][..], Vec::as_slice);
    for (number, child) in children.iter().enumerate() {
        let last = number + 1 == children.len();
        let (corner, deeper) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
        let first_time = seen.insert(&child.name);
        let cut = if !first_time && needs.contains_key(child.name.as_str()) { " …" } else { "" };
        text.push_str(&format!("{indent}{corner}{} {}{cut}\n", child.name, child.version));
        if first_time {
            branch(&child.name, &format!("{indent}{deeper}"), needs, seen, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, by: &[&str]) -> ShownPackage {
        let by = by.iter().map(ToString::to_string).collect();
        ShownPackage {
            name: name.into(),
            version: "1".into(),
            purl: String::new(),
            source: name.into(),
            repository: String::new(),
            url: String::new(),
            support: Support::Rolling,
            size: 1,
            by,
        }
    }

    fn shown() -> Shown {
        Shown {
            image: "nginx".into(),
            universe: "u".into(),
            architecture: Architecture::Amd64,
            stale: false,
            lifecycle: Lifecycle { stream: None, packages: Support::Rolling },
            download_size: 4,
            packages: vec![
                package("libc6", &["libgcc-s1", "nginx", "zlib1g"]),
                package("libgcc-s1", &["libc6"]),
                package("nginx", &[DEFINITION]),
                package("zlib1g", &["nginx"]),
            ],
        }
    }

    #[test]
    fn a_tree_shows_each_package_once_in_full() {
        let expected = "\
nginx (u, amd64)
└── nginx 1
    ├── libc6 1
    │   └── libgcc-s1 1
    │       └── libc6 1 …
    └── zlib1g 1
        └── libc6 1 …
";
        assert_eq!(shown().tree(), expected);
    }

    #[test]
    fn why_is_the_shortest_chain() {
        assert_eq!(shown().why("libgcc-s1").unwrap(), ["nginx", "libc6", "libgcc-s1"]);
        assert_eq!(shown().why("nginx").unwrap(), ["nginx"]);
        assert_eq!(shown().why("perl"), None);
    }
}
