//! What packages an image has: from the records of dpkg in its tree, or from a bill of materials that is attached to it;
//! and which known flaws, from attached VEX statements.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_composefs::{Content, Kind, Tree};
use calypte_formats::deb822::paragraphs;
use calypte_formats::oci::Descriptor;
use calypte_trust::sigstore::{BUNDLE_LIMIT, Bundle, MEDIA_TYPE_BUNDLE, PublicKeys};
use serde::Deserialize;
use serde_json::Value;

use crate::source::{FoundImage, Source};
use crate::state::Package;
use crate::{HostError, Repository};

/// The predicate types of what is attached in bundles, and the media types of what is attached as it is.
const SPDX: [&str; 3] = ["https://spdx.dev/Document", "application/spdx+json", "text/spdx+json"];
const CYCLONEDX: [&str; 2] = ["https://cyclonedx.org/bom", "application/vnd.cyclonedx+json"];
const OPENVEX: [&str; 3] =
    ["https://openvex.dev/ns", "https://openvex.dev/ns/v0.2.0", "application/vnd.openvex+json"];

/// What is known of an image from what is attached to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Its packages.
    pub packages: Option<Vec<Package>>,
    /// The flaws that it has.
    pub flaws: Option<BTreeSet<String>>,
    /// Whether an accepted key vouches for all of this.
    pub signed: bool,
}

/// Reads what is attached to an image. What cannot be understood is passed over: it decides nothing.
///
/// # Errors
/// When the list cannot be had.
pub fn evidence(source: &Source, image: &FoundImage, keys: &PublicKeys) -> Result<Evidence, HostError> {
    let mut evidence = Evidence { signed: true, ..Evidence::default() };
    let mut subjects = BTreeSet::from([image.descriptor.digest]);
    subjects.insert(image.root.digest);
    for subject in subjects {
        for attached in source.attached(&subject)? {
            let Some(layer) = attached.manifest.layers.first() else { continue };
            let Some((kind, document, signed)) = document(source, &attached.kind, layer, keys) else {
                continue;
            };
            let is = |kinds: &[&str]| kinds.contains(&kind.as_str());
            if is(&SPDX) || is(&CYCLONEDX) {
                let packages = if is(&SPDX) { spdx(document) } else { cyclonedx(document) };
                evidence.signed &= signed;
                evidence.packages = evidence.packages.or(packages);
            } else if is(&OPENVEX) {
                evidence.signed &= signed;
                evidence.flaws = evidence.flaws.or(openvex(document));
            }
        }
    }
    Ok(evidence)
}

fn document(
    source: &Source,
    kind: &str,
    layer: &Descriptor,
    keys: &PublicKeys,
) -> Option<(String, Value, bool)> {
    let known = |kind: &str| SPDX.contains(&kind) || CYCLONEDX.contains(&kind) || OPENVEX.contains(&kind);
    if kind != MEDIA_TYPE_BUNDLE && !known(kind) && !known(&layer.media_type) {
        return None;
    }
    let bytes = source.small("document", layer, BUNDLE_LIMIT).ok()?;
    if kind == MEDIA_TYPE_BUNDLE {
        let (statement, _) = Bundle::parse(&bytes).ok()?.verify(keys).ok()?;
        return Some((statement.predicate_type, statement.predicate, true));
    }
    let kind = if known(kind) { kind } else { layer.media_type.as_str() };
    Some((kind.to_owned(), serde_json::from_slice(&bytes).ok()?, false))
}

/// The packages of an SPDX document: those that have a package URL of a distribution.
fn spdx(document: Value) -> Option<Vec<Package>> {
    #[derive(Deserialize)]
    struct Document {
        packages: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        name: String,
        version_info: Option<String>,
        #[serde(default)]
        external_refs: Vec<Reference>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reference {
        reference_locator: String,
    }
    let document: Document = serde_json::from_value(document).ok()?;
    let package = |entry: Entry| {
        let of_distribution = |reference: &Reference| is_distribution(&reference.reference_locator);
        let version = entry.version_info.filter(|_| entry.external_refs.iter().any(of_distribution))?;
        Some(Package { name: entry.name, version })
    };
    Some(sorted(document.packages.into_iter().filter_map(package)))
}

/// The packages of a CycloneDX document.
fn cyclonedx(document: Value) -> Option<Vec<Package>> {
    #[derive(Deserialize)]
    struct Document {
        components: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        version: Option<String>,
        purl: Option<String>,
    }
    let document: Document = serde_json::from_value(document).ok()?;
    let package = |entry: Entry| {
        let version = entry.version.filter(|_| entry.purl.as_deref().is_some_and(is_distribution))?;
        Some(Package { name: entry.name, version })
    };
    Some(sorted(document.components.into_iter().filter_map(package)))
}

fn is_distribution(purl: &str) -> bool {
    ["pkg:deb/", "pkg:rpm/", "pkg:apk/"].iter().any(|kind| purl.starts_with(kind))
}

/// The flaws that a VEX document says are there, or may be.
fn openvex(document: Value) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Document {
        statements: Vec<Statement>,
    }
    #[derive(Deserialize)]
    struct Statement {
        vulnerability: Vulnerability,
        status: String,
    }
    #[derive(Deserialize)]
    struct Vulnerability {
        name: String,
    }
    let document: Document = serde_json::from_value(document).ok()?;
    let open =
        |statement: &Statement| matches!(statement.status.as_str(), "affected" | "under_investigation");
    Some(document.statements.into_iter().filter(open).map(|statement| statement.vulnerability.name).collect())
}

fn sorted(packages: impl Iterator<Item = Package>) -> Vec<Package> {
    let mut packages: Vec<Package> = packages.collect();
    packages.sort();
    packages.dedup();
    packages
}

/// The packages in dpkg's records of a tree: `status`, or a file for each package in `status.d`. Nothing where it has none.
///
/// # Errors
/// When a record cannot be read from the repository.
pub fn of_tree(tree: &Tree, repository: &Repository) -> Result<Option<Vec<Package>>, HostError> {
    let mut packages = BTreeMap::new();
    for directory in ["var/lib/dpkg", "usr/lib/dpkg/db"] {
        for (path, node) in tree.below(&TreePath::new(directory)?) {
            let name = path.file_name();
            let in_status_d = path.parent().is_some_and(|parent| parent.file_name() == "status.d");
            if !(name == "status" || in_status_d && !name.ends_with(".md5sums")) {
                continue;
            }
            let Kind::File(content) = &node.kind else { continue };
            for paragraph in paragraphs(&bytes(content, repository)?).flatten() {
                if let (Some(name), Some(version)) = (paragraph.get("Package"), paragraph.get("Version")) {
                    packages.insert(name.to_owned(), version.to_owned());
                }
            }
        }
    }
    let packages = sorted(packages.into_iter().map(|(name, version)| Package { name, version }));
    Ok(Some(packages).filter(|packages| !packages.is_empty()))
}

/// The bytes of a file of a tree.
pub(crate) fn bytes(content: &Content, repository: &Repository) -> Result<Vec<u8>, HostError> {
    match content {
        Content::Inline(bytes) => Ok(bytes.clone()),
        Content::Object { digest, .. } => repository.read(digest),
    }
}

/// How the packages of two images differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PackageChanges {
    /// Only in the new one.
    pub added: Vec<Package>,
    /// Only in the old one.
    pub removed: Vec<Package>,
    /// Of another version.
    pub changed: Vec<ChangedPackage>,
}

/// A package of another version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChangedPackage {
    /// Its name.
    pub name: String,
    /// The version that is here.
    pub from: String,
    /// The version that comes.
    pub to: String,
}

impl PackageChanges {
    /// What changes from `old` to `new`.
    #[must_use]
    pub fn between(old: &[Package], new: &[Package]) -> Self {
        let by_name = |packages: &[Package]| -> BTreeMap<String, String> {
            packages.iter().map(|package| (package.name.clone(), package.version.clone())).collect()
        };
        let (old, new) = (by_name(old), by_name(new));
        let mut changes = Self::default();
        let package =
            |(name, version): (&String, &String)| Package { name: name.clone(), version: version.clone() };
        changes.added = new.iter().filter(|(name, _)| !old.contains_key(*name)).map(package).collect();
        changes.removed = old.iter().filter(|(name, _)| !new.contains_key(*name)).map(package).collect();
        for (name, to) in &new {
            if let Some(from) = old.get(name).filter(|from| *from != to) {
                changes.changed.push(ChangedPackage {
                    name: name.clone(),
                    from: from.clone(),
                    to: to.clone(),
                });
            }
        }
        changes
    }
}
