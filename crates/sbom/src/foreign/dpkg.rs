//! dpkg's records → packages and whose each file is: `/var/lib/dpkg/status` with `info/*.list`, and the form of distroless
//! images, `status.d/NAME` with `NAME.md5sums`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read as _;

use calypte_base::TreePath;
use calypte_formats::changelog::{self, NamedFix};
use calypte_formats::compression::{self, Compression};
use calypte_formats::deb822::{self, Paragraph};

use super::bill::{Found, component};
use super::relations::Package;
use super::tree::{Resolver, Tree};
use crate::evidence::{deb_relations, first_line};
use crate::licences::{self, Copyright};
use crate::model::{Component, Licences, PackageKind, SourcePackage};

/// Most bytes of a changelog that are read, unpacked.
const CHANGELOG: u64 = 32 * 1024 * 1024;

/// Most bytes of all changelogs together, unpacked: those of 5,000 packages have 1 GB.
const CHANGELOGS: u64 = 4 << 30;

/// Most packages: three times what Debian has.
const MOST_PACKAGES: usize = 200_000;

/// Most fixes that all changelogs together name: a Debian desktop has 100,000.
const FIXES: usize = 1_000_000;

/// Most bytes of all terms together; those of 5,000 packages have 200 MB.
const TERMS: usize = 1 << 30;

/// Reads what there is of dpkg's records.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    let mut reader = Reader::new(tree);
    let mut packages = BTreeMap::new();
    if let Some(status) = tree.text("var/lib/dpkg/status") {
        reader.status("/var/lib/dpkg/status", status, None, &mut packages, found);
    }
    for (path, _) in tree.below("var/lib/dpkg/status.d") {
        let Some(text) = tree.text(path.as_str()).filter(|_| !path.as_str().ends_with(".md5sums")) else {
            continue;
        };
        reader.status(&path.to_string(), text, Some(path), &mut packages, found);
    }
    let mut packages: Vec<Package> = packages.into_values().collect();
    share_terms(&mut packages, reader.terms);
    found.packages.append(&mut packages);
}

struct Reader<'t> {
    tree: &'t Tree,
    resolver: Resolver<'t>,
    diversions: BTreeMap<String, Diversion>,
    /// Bytes of changelogs that may still be read.
    changelogs: u64,
    /// Fixes that may still be kept.
    fixes: usize,
    /// Bytes of terms that may still be kept.
    terms: usize,
    /// What was read of each copyright file, since packages of one source share theirs by links.
    copyrights: BTreeMap<TreePath, Copyright>,
}

/// Where a file lies that another package has pushed aside (dpkg-divert(1)).
#[derive(Debug)]
struct Diversion {
    to: String,
    by: String,
}

fn diversions(tree: &Tree) -> BTreeMap<String, Diversion> {
    let text = String::from_utf8_lossy(tree.text("var/lib/dpkg/diversions").unwrap_or_default());
    let lines: Vec<&str> = text.lines().collect();
    let triple = |lines: &[&str]| match lines {
        [from, to, by] => {
            Some(((*from).to_owned(), Diversion { to: (*to).to_owned(), by: (*by).to_owned() }))
        }
        _ => None,
    };
    lines.chunks(3).filter_map(triple).collect()
}

impl<'t> Reader<'t> {
    fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            resolver: Resolver::new(tree),
            diversions: diversions(tree),
            changelogs: CHANGELOGS,
            fixes: FIXES,
            terms: TERMS,
            copyrights: BTreeMap::new(),
        }
    }

    /// Reads paragraphs; `single` is the file of one package.
    fn status(
        &mut self,
        name: &str,
        text: &[u8],
        single: Option<&TreePath>,
        packages: &mut BTreeMap<String, Package>,
        found: &mut Found,
    ) {
        let text = String::from_utf8_lossy(text);
        for paragraph in deb822::paragraphs(text.as_bytes()) {
            let paragraph = match paragraph {
                Ok(paragraph) => paragraph,
                Err(error) => return found.gaps.push(format!("{name} cannot be read to its end: {error}")),
            };
            match state(&paragraph) {
                State::There => {}
                State::Gone => continue,
                State::Partly => {
                    let package = paragraph.get("Package").unwrap_or_default();
                    found.gaps.push(format!("{name}: {package} is installed in part; nothing is said of it"));
                    continue;
                }
            }
            let Some(mut package) = package(&paragraph, found) else {
                let line = paragraph.line();
                found.gaps.push(format!("{name}: the package at line {line} has no name or version"));
                continue;
            };
            if packages.len() == MOST_PACKAGES {
                return found
                    .gaps
                    .push(format!("{name} cannot be read to its end: there are too many packages"));
            }
            self.own(&package.component, &paragraph, single, found);
            self.document(&mut package, found);
            packages.entry(package.component.id.clone()).or_insert(package);
        }
    }

    /// Notes whose the files are that a package lists.
    fn own(
        &mut self,
        component: &Component,
        paragraph: &Paragraph<'_>,
        single: Option<&TreePath>,
        found: &mut Found,
    ) {
        let name = &component.name;
        let architecture = component.architecture.as_deref().unwrap_or_default();
        let lists = match single {
            Some(path) => vec![format!("{}.md5sums", path.as_str())],
            None => vec![
                format!("var/lib/dpkg/info/{name}:{architecture}.list"),
                format!("var/lib/dpkg/info/{name}.list"),
            ],
        };
        let list = lists.iter().find_map(|list| Some((list, self.tree.text(list)?)));
        let text = list.map(|(_, text)| String::from_utf8_lossy(text)).unwrap_or_default();
        let mut names: Vec<&str> = match single {
            // Sum, two blanks, path.
            Some(_) => text.lines().filter_map(|line| line.get(34..)).collect(),
            None => text.lines().collect(),
        };
        let conffiles = paragraph.get("Conffiles").unwrap_or_default();
        names.extend(conffiles.lines().filter_map(|line| line.split_whitespace().next()));
        for file in names {
            let diverted = self.diversions.get(file).filter(|diversion| diversion.by != *name);
            let file = diverted.map_or(file, |diversion| diversion.to.as_str());
            if let Some(path) = self.resolver.file(file) {
                found.own(path, &component.id);
            }
        }
        if let Some((list, _)) = list
            && let Some(path) = self.resolver.file(list)
        {
            found.own(path, &component.id);
        }
        if let Some(path) = single {
            found.own(path, &component.id);
        }
    }

    /// Reads a package's documentation: its terms, and what its changelogs name.
    fn document(&mut self, package: &mut Package, found: &mut Found) {
        let component = &mut package.component;
        let directory = format!("usr/share/doc/{}", component.name);
        // One package's documentation may be a link to that of another.
        let Some(directory) = self.resolver.directory(&directory) else { return };
        if let Some(path) = self.resolver.file(&format!("{directory}/copyright"))
            && let Some(text) = self.tree.text(path.as_str())
        {
            let known = self.copyrights.entry(path.clone());
            let copyright = known.or_insert_with(|| licences::debian(&component.name, text));
            if let Some(left) = self.terms.checked_sub(weight(&copyright.licences, &copyright.notices)) {
                self.terms = left;
                component.licences = copyright.licences.clone();
                component.copyright.clone_from(&copyright.notices);
            }
        }
        let architecture = component.architecture.as_deref().unwrap_or_default();
        let rebuild = format!("{directory}/changelog.Debian.{architecture}.gz");
        let names = ["changelog.Debian.gz", "changelog.Debian", "changelog.gz", "changelog"];
        let names = names.map(|name| format!("{directory}/{name}"));
        let own = names.iter().find(|name| self.tree.text(name).is_some());
        for name in own.into_iter().chain([&rebuild]) {
            for (flaw, fix) in self.fixes(name) {
                let Entry::Vacant(place) = package.fixes.entry(flaw) else { continue };
                let Some(left) = self.fixes.checked_sub(1) else {
                    // Those of further packages are not even read.
                    self.changelogs = 0;
                    let gap = "/usr/share/doc cannot be read to its end: changelogs name too many flaws";
                    return found.gaps.push(gap.to_owned());
                };
                self.fixes = left;
                place.insert(fix);
            }
        }
    }

    fn fixes(&mut self, path: &str) -> BTreeMap<String, NamedFix> {
        let mut text = Vec::new();
        if let Some(bytes) = self.tree.text(path)
            && let Ok(decoder) = compression::decoder(Compression::detect(bytes), bytes, u64::MAX)
        {
            // What is damaged counts up to there: it names fewer fixes then, never more.
            drop(decoder.take(CHANGELOG.min(self.changelogs)).read_to_end(&mut text));
        }
        self.changelogs = self.changelogs.saturating_sub(text.len() as u64);
        changelog::deb_fixes(&text)
    }
}

/// Whether the files of a package are there.
enum State {
    There,
    Gone,
    Partly,
}

/// Beside what is installed, all that dpkg has unpacked counts: a flaw is there whether or not a script ran.
fn state(paragraph: &Paragraph<'_>) -> State {
    // Distroless records have no status, or dpkg's own.
    let Some(status) = paragraph.get("Status") else { return State::There };
    match status.split_whitespace().nth(2) {
        Some("installed" | "unpacked" | "half-configured" | "triggers-awaited" | "triggers-pending") => {
            State::There
        }
        Some("half-installed") => State::Partly,
        _ => State::Gone,
    }
}

fn package(paragraph: &Paragraph<'_>, found: &Found) -> Option<Package> {
    let field = |name: &str| paragraph.get(name).map(first_line).filter(|text| !text.is_empty());
    let (name, version) = (field("Package")?, field("Version")?);
    let architecture = field("Architecture").unwrap_or("all");
    let source = field("Source").map_or_else(
        || SourcePackage { name: name.to_owned(), version: version.to_owned() },
        |source| {
            let (name, rest) = source.split_once('(').unwrap_or((source, ""));
            let named = rest.trim_end().trim_end_matches(')').trim();
            let version = if named.is_empty() { version } else { named };
            SourcePackage { name: name.trim().to_owned(), version: version.to_owned() }
        },
    );
    let relations = |name: &str| paragraph.get(name).map(deb_relations).unwrap_or_default();
    let mut component = component(PackageKind::Deb, name, version);
    component.id = format!("deb/{name}@{version}.{architecture}");
    component.architecture = Some(architecture.to_owned());
    component.source = Some(source);
    component.supplier = field("Maintainer").map(str::to_owned);
    component.summary = field("Description").map(str::to_owned);
    component.homepage = field("Homepage").map(str::to_owned);
    component.purl = crate::own::distribution_purl(&component, found.distribution.as_ref());
    Some(Package {
        component,
        needs: [relations("Pre-Depends"), relations("Depends")].concat(),
        provides: relations("Provides").concat(),
        fixes: BTreeMap::new(),
    })
}

/// How many bytes terms take.
fn weight(licences: &Licences, notices: &[String]) -> usize {
    licences.texts.values().chain(notices).map(String::len).sum::<usize>()
        + licences.declared.as_ref().map_or(0, String::len)
}

/// A package without documentation has the terms of another of its source, as long as there are bytes left for them.
fn share_terms(packages: &mut [Package], mut left: usize) {
    let mut by_source = BTreeMap::new();
    for (number, Package { component, .. }) in packages.iter().enumerate() {
        if component.licences.declared.is_some() {
            by_source.entry(component.source.clone()).or_insert(number);
        }
    }
    for number in 0..packages.len() {
        let Some(Package { component, .. }) = packages.get(number) else { continue };
        if component.licences.declared.is_some() {
            continue;
        }
        let other = by_source.get(&component.source).and_then(|other| packages.get(*other));
        let Some(Package { component: other, .. }) = other else { continue };
        let Some(rest) = left.checked_sub(weight(&other.licences, &other.copyright)) else { return };
        left = rest;
        let (licences, copyright) = (other.licences.clone(), other.copyright.clone());
        if let Some(Package { component, .. }) = packages.get_mut(number) {
            (component.licences, component.copyright) = (licences, copyright);
        }
    }
}

#[cfg(test)]
mod tests {
    use calypte_base::Digest;

    use super::super::Options;
    use super::super::collect::{Collector, Kept};
    use super::super::tree::TreeFile;
    use super::*;

    /// Two packages, each with a changelog that names three flaws.
    fn tree() -> Tree {
        let mut collected = Collector::new(Options::default());
        let mut files = BTreeMap::new();
        let mut status = String::new();
        for name in ["a", "b"] {
            status += &format!("Package: {name}\nVersion: 1\nArchitecture: amd64\n\n");
            let text = format!(
                "{name} (1) unstable; urgency=low\n\n  * CVE-2026-0001 CVE-2026-0002 CVE-2026-0003\n\n \
                 -- A <a@example.org>  Fri, 02 Jan 2026 03:04:05 +0000\n"
            );
            keep(&format!("usr/share/doc/{name}/changelog"), text, &mut files, &mut collected);
        }
        keep("var/lib/dpkg/status", status, &mut files, &mut collected);
        Tree::new(files, BTreeMap::new(), collected, Vec::new())
    }

    fn keep(path: &str, text: String, files: &mut BTreeMap<TreePath, TreeFile>, collected: &mut Collector) {
        let path = TreePath::new(path).unwrap();
        let digest = Digest::of(text.as_bytes());
        let size = text.len() as u64;
        let file = TreeFile { digest, size, executable: false, layer: None, hard_link: None };
        files.insert(path.clone(), file);
        collected.kept.insert(path, Kept { digest, bytes: text.into_bytes() });
    }

    #[test]
    fn fixes_are_counted_while_they_are_read() {
        let tree = tree();
        let status = tree.text("var/lib/dpkg/status").unwrap();
        for (budget, expected, gaps) in [(6, [3, 3], 0), (4, [3, 1], 1), (2, [2, 0], 1)] {
            let mut reader = Reader { fixes: budget, ..Reader::new(&tree) };
            let (mut packages, mut found) = (BTreeMap::new(), Found::default());
            reader.status("/var/lib/dpkg/status", status, None, &mut packages, &mut found);
            let fixes: Vec<usize> = packages.values().map(|package: &Package| package.fixes.len()).collect();
            assert_eq!(fixes, expected, "{budget}");
            assert_eq!(found.gaps.len(), gaps, "{:?}", found.gaps);
        }
    }
}
