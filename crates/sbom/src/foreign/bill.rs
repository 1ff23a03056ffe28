//! A [`Tree`] → the bill: cataloguers are asked one after the other, then files get their owners, and packages of
//! languages the packages of the distribution that they are part of.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Epoch, TreePath};
use calypte_formats::changelog::NamedFix;

use super::relations::{MOST_RELATIONS, Package, Providers};
use super::tree::Tree;
use super::{ForeignBill, apk, dpkg, java, npm, programs, python, rpm, unread};
use crate::model::{
    Component, Dependencies, Distribution, FileOwner, Licences, PackageKind, Sbom, SbomFile, Subject,
};
use crate::os_release;

/// Most fixes of all components together: a Debian desktop has 100,000.
const MOST_FIXES: usize = 5_000_000;

/// Most gaps that are listed one by one.
const MOST_GAPS: usize = 1_000;

/// What the cataloguers found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) distribution: Option<Distribution>,
    /// Of the distribution's package managers.
    pub(super) packages: Vec<Package>,
    /// Whose each file is, by [`Component::id`]: of several, the first.
    pub(super) owners: BTreeMap<TreePath, String>,
    /// Of languages.
    pub(super) language: Vec<Component>,
    /// Whose a file is when no distribution's package has it.
    pub(super) language_owners: BTreeMap<TreePath, String>,
    /// What packages of languages need, as far as they say.
    pub(super) language_needs: BTreeMap<String, Dependencies>,
    /// What is there and could not be read.
    pub(super) gaps: Vec<String>,
}

impl Found {
    /// Notes whose a file is.
    pub(super) fn own(&mut self, path: &TreePath, id: &str) {
        if !self.owners.contains_key(path) {
            self.owners.insert(path.clone(), id.to_owned());
        }
    }

    /// Notes whose a file is where no package of the distribution has it.
    pub(super) fn own_as_language(&mut self, path: &TreePath, id: &str) {
        if !self.language_owners.contains_key(path) {
            self.language_owners.insert(path.clone(), id.to_owned());
        }
    }
}

/// A component of which only this is known yet.
pub(super) fn component(kind: PackageKind, name: &str, version: &str) -> Component {
    Component {
        id: String::new(),
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        source: None,
        module: None,
        supplier: None,
        licences: Licences::default(),
        copyright: Vec::new(),
        summary: None,
        homepage: None,
        download: None,
        sha256: None,
        purl: String::new(),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    }
}

/// Makes the bill.
pub(super) fn make(mut tree: Tree, subject: Subject, created: Epoch) -> ForeignBill {
    let mut found = Found { gaps: std::mem::take(&mut tree.gaps), ..Found::default() };
    found.distribution = distribution(&tree);
    dpkg::catalogue(&tree, &mut found);
    rpm::catalogue(&tree, &mut found);
    apk::catalogue(&tree, &mut found);
    python::catalogue(&tree, &mut found);
    npm::catalogue(&tree, &mut found);
    programs::catalogue(&tree, &mut found);
    java::catalogue(&tree, &mut found);
    unread::note(&tree, &mut found);
    // Where something else says already that packages are missing, that is reason enough.
    let nothing = found.packages.is_empty() && found.gaps.is_empty();
    if let Some(distribution) = found.distribution.as_ref().filter(|_| nothing) {
        let title = distribution.title.as_ref().unwrap_or(&distribution.id);
        found.gaps.push(format!("the os-release says {title}, and no record of its packages was found"));
    }
    if found.distribution.is_none() && !found.packages.is_empty() {
        found
            .gaps
            .push("there is no os-release: of which distribution the packages are is not known".to_owned());
    }
    let fixes = fixes(&found.packages);
    let dependencies = dependencies(&found);
    let files = files(&tree, &found);
    let Found { distribution, packages, owners, language, gaps, .. } = found;
    let mut components: BTreeMap<_, _> =
        packages.into_iter().map(|package| (package.component.id.clone(), package.component)).collect();
    for mut component in language {
        let part_of = component.found_in.iter().find_map(|path| owner_of(path, &owners));
        component.part_of = part_of.cloned();
        components.insert(component.id.clone(), component);
    }
    let sbom = Sbom { subject, created, distribution, components, files, dependencies };
    ForeignBill { sbom, fixes, gaps: listed(gaps) }
}

/// Each gap once, and no more than anybody reads.
fn listed(gaps: Vec<String>) -> Vec<String> {
    let gaps: BTreeSet<String> = gaps.into_iter().collect();
    let more = gaps.len().saturating_sub(MOST_GAPS);
    let mut listed: Vec<String> = gaps.into_iter().take(MOST_GAPS).collect();
    if more > 0 {
        listed.push(format!("{more} more could not be read"));
    }
    listed
}

/// The distribution's package that has the file that a place lies in; a place within an archive is behind a `!`.
fn owner_of<'f>(place: &str, owners: &'f BTreeMap<TreePath, String>) -> Option<&'f String> {
    let path = place.split("!/").next().unwrap_or_default();
    owners.get(path.trim_start_matches('/'))
}

fn distribution(tree: &Tree) -> Option<Distribution> {
    let text = tree.text("etc/os-release").or_else(|| tree.text("usr/lib/os-release"))?;
    Some(os_release::parse(&String::from_utf8_lossy(text)))
}

/// What the changelogs of each component's source package name: one package of a source may have that of all.
fn fixes(packages: &[Package]) -> BTreeMap<String, BTreeMap<String, NamedFix>> {
    let key = |component: &Component| {
        let source = component.source.as_ref();
        let own = || (component.name.clone(), component.version.clone());
        (component.kind, source.map_or_else(own, |source| (source.name.clone(), source.version.clone())))
    };
    let mut by_source: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for package in packages.iter().filter(|package| !package.fixes.is_empty()) {
        let of_source = by_source.entry(key(&package.component)).or_default();
        for (flaw, fix) in &package.fixes {
            of_source.entry(flaw.clone()).or_insert_with(|| fix.clone());
        }
    }
    let mut left = MOST_FIXES;
    let fixes = packages.iter().filter_map(|Package { component, .. }| {
        let of_source = by_source.get(&key(component))?;
        // Without them flaws are found that are fixed, never the other way round.
        left = left.checked_sub(of_source.len())?;
        Some((component.id.clone(), of_source.clone()))
    });
    fixes.collect()
}

fn dependencies(found: &Found) -> BTreeMap<String, Dependencies> {
    let providers = Providers::new(&found.packages, &found.owners);
    let mut left = MOST_RELATIONS;
    let mut all = BTreeMap::new();
    for package in &found.packages {
        let dependencies = providers.dependencies(package);
        let Some(rest) = left.checked_sub(dependencies.on.len()) else { break };
        left = rest;
        all.insert(package.component.id.clone(), dependencies);
    }
    all.extend(found.language_needs.clone());
    all
}

fn files(tree: &Tree, found: &Found) -> BTreeMap<String, SbomFile> {
    let one = |(path, file): (&TreePath, &super::tree::TreeFile)| {
        let hashes = tree.hashes(&file.digest);
        let owner = found.owners.get(path).or_else(|| found.language_owners.get(path));
        let file = SbomFile {
            sha256: file.digest,
            sha512: hashes.sha512,
            sha1: hashes.sha1,
            size: file.size,
            executable: file.executable,
            owner: owner.map_or(FileOwner::Nobody, |id| FileOwner::Component(id.clone())),
            layer: file.layer,
        };
        (path.to_string(), file)
    };
    tree.files.iter().map(one).collect()
}
