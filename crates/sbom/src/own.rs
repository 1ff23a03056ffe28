//! An own image's tree, the lock's packages and what is known of each → its bill of materials. Nothing is guessed: each
//! file's owner stands in the tree.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch, TreePath};
use calypte_resolve::LockedPackage;
use calypte_rootfs::{Description, NodeKind, Owner, Rootfs, UnpackedPackage};

use crate::error::SbomError;
use crate::evidence::{FileHashes, PackageEvidence};
use crate::model::{
    Completeness, Component, Dependencies, Distribution, FileOwner, PackageKind, Sbom, SbomFile,
    SourcePackage, Subject,
};
use crate::os_release;
use crate::purl::purl;

/// What the bill of an own image is made from.
#[derive(Debug, Clone)]
pub struct OwnImage<'a> {
    /// Its files.
    pub rootfs: &'a Rootfs,
    /// The packages that the lock names for it.
    pub packages: &'a [&'a LockedPackage],
    /// What is known of each package, by its name.
    pub evidence: &'a BTreeMap<String, PackageEvidence>,
    /// What it is.
    pub subject: Subject,
    /// Its time.
    pub created: Epoch,
    /// The layer blob that each file lies in.
    pub layers: &'a BTreeMap<TreePath, Digest>,
}

/// Makes the bill.
///
/// # Errors
/// When a content cannot be read, or a file belongs to a package that is not in the lock.
pub fn sbom(image: &OwnImage<'_>) -> Result<Sbom, SbomError> {
    let distribution = distribution(image.rootfs)?;
    let locked: BTreeMap<&str, &LockedPackage> =
        image.packages.iter().map(|package| (package.id.as_str(), *package)).collect();
    let mut components = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for package in &image.rootfs.packages {
        let component = component(package, locked.get(package.name.as_str()), image, distribution.as_ref());
        ids.insert(package.name.as_str(), component.id.clone());
        components.insert(component.id.clone(), component);
    }
    let files = files(image, &ids)?;
    let dependencies = dependencies(image, &ids);
    Ok(Sbom {
        subject: image.subject.clone(),
        created: image.created,
        distribution,
        components,
        files,
        dependencies,
    })
}

fn distribution(rootfs: &Rootfs) -> Result<Option<Distribution>, SbomError> {
    for path in ["etc/os-release", "usr/lib/os-release"] {
        let Ok(path) = TreePath::new(path) else { continue };
        let Some(NodeKind::File(content)) = rootfs.tree.get(&path).map(|node| &node.kind) else { continue };
        let read = rootfs.contents.read(&content.digest);
        let bytes = read.map_err(|source| SbomError::File { path: path.clone(), source })?;
        return Ok(Some(os_release::parse(&String::from_utf8_lossy(&bytes))));
    }
    Ok(None)
}

fn component(
    package: &UnpackedPackage,
    locked: Option<&&LockedPackage>,
    image: &OwnImage<'_>,
    distribution: Option<&Distribution>,
) -> Component {
    let kind = match package.description {
        Description::Deb(_) => PackageKind::Deb,
        Description::Rpm(_) => PackageKind::Rpm,
    };
    let nothing = PackageEvidence::default();
    let known = image.evidence.get(&package.name).unwrap_or(&nothing);
    let terms = terms(package, known, image);
    let source = SourcePackage { name: package.source.clone(), version: package.source_version.clone() };
    let mut component = Component {
        id: format!("{kind}/{}@{}.{}", package.name, package.version, package.architecture),
        kind,
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: Some(package.architecture.clone()),
        source: Some(source),
        module: None,
        supplier: known.supplier.clone(),
        licences: terms.licences.clone(),
        copyright: terms.copyright.clone(),
        summary: known.summary.clone(),
        homepage: known.homepage.clone(),
        download: locked.map(|package| package.url.clone()),
        sha256: Some(package.digest),
        purl: String::new(),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    };
    component.purl = distribution_purl(&component, distribution);
    component
}

/// Whose licences and notices are the package's: its own, or those of another of its source where it only points to that
/// one's documentation.
fn terms<'a>(
    package: &UnpackedPackage,
    known: &'a PackageEvidence,
    image: &'a OwnImage<'_>,
) -> &'a PackageEvidence {
    if known.licences.declared.is_some() {
        return known;
    }
    let of_source = image.rootfs.packages.iter().filter(|other| other.source == package.source);
    let mut others = of_source.filter_map(|other| image.evidence.get(&other.name));
    others.find(|other| other.licences.declared.is_some()).unwrap_or(known)
}

/// The package URL of a distribution's package, with the qualifiers by which scanners find its advisories.
#[must_use]
pub fn distribution_purl(component: &Component, distribution: Option<&Distribution>) -> String {
    let namespace = distribution.map_or("", |distribution| distribution.id.as_str());
    let release = distribution.and_then(|distribution| {
        distribution.version.as_deref().or(distribution.codename.as_deref()).filter(|text| !text.is_empty())
    });
    let distro = release.map(|release| format!("{namespace}-{release}")).unwrap_or_default();
    let architecture = component.architecture.as_deref().unwrap_or_default();
    let upstream = component.source.as_ref().map(|source| upstream(component, source)).unwrap_or_default();
    let (epoch, version) = match component.kind {
        // The type's own rule: an RPM's epoch is a qualifier.
        PackageKind::Rpm => component.version.split_once(':').unwrap_or(("", &component.version)),
        _ => ("", component.version.as_str()),
    };
    let qualifiers =
        [("arch", architecture), ("distro", &distro), ("upstream", upstream.as_str()), ("epoch", epoch)];
    purl(component.kind.purl_type(), namespace, &component.name, version, &qualifiers)
}

/// As scanners write it: the source's name, its version where that differs; for RPM the file name of the source package.
fn upstream(component: &Component, source: &SourcePackage) -> String {
    if component.kind == PackageKind::Rpm {
        return format!("{}-{}.src.rpm", source.name, source.version);
    }
    match (source.name == component.name, source.version == component.version) {
        (true, true) => String::new(),
        (_, true) => source.name.clone(),
        (_, false) => format!("{}@{}", source.name, source.version),
    }
}

fn files(
    image: &OwnImage<'_>,
    ids: &BTreeMap<&str, String>,
) -> Result<BTreeMap<String, SbomFile>, SbomError> {
    let hashes: BTreeMap<&Digest, &FileHashes> =
        image.evidence.values().flat_map(|evidence| &evidence.hashes).collect();
    let tree = &image.rootfs.tree;
    let mut files = BTreeMap::new();
    for (path, node) in tree.iter() {
        let content = match &node.kind {
            NodeKind::File(content) => content,
            NodeKind::HardLink(target) => match tree.get(target).map(|node| &node.kind) {
                Some(NodeKind::File(content)) => content,
                _ => continue,
            },
            _ => continue,
        };
        let own;
        let found = match hashes.get(&content.digest) {
            Some(known) => *known,
            // Made for the image: small, and few.
            None => {
                let failed = |source| SbomError::File { path: path.clone(), source };
                let mut reader = image.rootfs.contents.open(&content.digest).map_err(failed)?;
                own = FileHashes::of(&mut reader).map_err(failed)?;
                &own
            }
        };
        let file = SbomFile {
            sha256: content.digest,
            sha512: Some(found.sha512.clone()),
            sha1: Some(found.sha1.clone()),
            size: content.size,
            executable: node.mode & 0o111 != 0,
            owner: owner(path, &node.owner, ids)?,
            layer: image.layers.get(path).copied(),
        };
        files.insert(path.to_string(), file);
    }
    Ok(files)
}

fn owner(path: &TreePath, owner: &Owner, ids: &BTreeMap<&str, String>) -> Result<FileOwner, SbomError> {
    let id = |package: &String| {
        let stranger = || SbomError::Stranger { path: path.clone(), package: package.clone() };
        ids.get(package.as_str()).cloned().ok_or_else(stranger)
    };
    Ok(match owner {
        Owner::Package(package) => FileOwner::Component(id(package)?),
        Owner::Finisher { name, package } => {
            FileOwner::Generated { by: name.clone(), of: package.as_ref().map(id).transpose()? }
        }
        Owner::Definition => FileOwner::Definition,
    })
}

/// Who meets whose needs. A need that nothing in the image meets was left out on purpose (`assumed.yaml`): then the list
/// is known not to be whole.
fn dependencies(image: &OwnImage<'_>, ids: &BTreeMap<&str, String>) -> BTreeMap<String, Dependencies> {
    let mut by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &image.rootfs.packages {
        let Some(id) = ids.get(package.name.as_str()) else { continue };
        by_name.entry(&package.name).or_default().insert(id);
        let provides = image.evidence.get(&package.name).map_or(&[][..], |known| &known.provides);
        for name in provides {
            by_name.entry(name).or_default().insert(id);
        }
    }
    let owner_of = |path: &str| {
        let node = image.rootfs.tree.get(&TreePath::new(path.trim_start_matches('/')).ok()?)?;
        ids.get(node.owner.package()?).map(String::as_str)
    };
    let mut all = BTreeMap::new();
    for package in &image.rootfs.packages {
        let (Some(id), Some(known)) = (ids.get(package.name.as_str()), image.evidence.get(&package.name))
        else {
            continue;
        };
        let mut dependencies = Dependencies { on: BTreeSet::new(), completeness: Completeness::Complete };
        for need in &known.needs {
            let mut met: BTreeSet<&str> =
                need.iter().filter_map(|name| by_name.get(name.as_str())).flatten().copied().collect();
            met.extend(need.iter().filter(|name| name.starts_with('/')).filter_map(|path| owner_of(path)));
            if met.is_empty() {
                dependencies.completeness = Completeness::Incomplete;
            }
            dependencies.on.extend(met.into_iter().filter(|other| other != id).map(str::to_owned));
        }
        all.insert(id.clone(), dependencies);
    }
    all
}
