//! Findings and statements → the findings, each with why it does not count where that is so.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Digest;
use calypte_sbom::{Component, Sbom};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::flaws::{Flaws, only_cve};
use super::merge::{Decided, for_image};
use super::model::{ImageId, Product, Statement, Whole};
use super::purl::Purl;
use crate::cve::is_cve;
use crate::finding::{Finding, Suppressed};

/// What was scanned, as statements name it.
#[derive(Debug)]
pub struct Scanned<'a> {
    bill: &'a Sbom,
    names: BTreeSet<String>,
    digests: BTreeSet<Digest>,
    repository: Option<String>,
    components: Vec<(Purl, &'a Component)>,
    /// Where in [`Self::components`] those of a name are: their own or that of their source package.
    by_name: BTreeMap<&'a str, BTreeSet<usize>>,
}

impl<'a> Scanned<'a> {
    /// What this bill of materials is of. Components whose package URL cannot be read are none that a statement names.
    #[must_use]
    pub fn new(bill: &'a Sbom) -> Self {
        let mut components = Vec::new();
        let mut by_name: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for component in bill.components.values() {
            let Ok(purl) = component.purl.parse::<Purl>() else { continue };
            let source = component.source.as_ref().map(|source| source.name.as_str());
            // Maven's names are in two parts here and in the package URL: the URL's is what statements have.
            let last = component.name.rsplit(['/', ':']).next().unwrap_or(&component.name);
            for name in [Some(component.name.as_str()), Some(last), source].into_iter().flatten() {
                by_name.entry(name).or_default().insert(components.len());
            }
            components.push((purl, component));
        }
        Self {
            bill,
            names: BTreeSet::from([bill.subject.name.clone()]),
            digests: bill.subject.digest.into_iter().collect(),
            repository: None,
            components,
            by_name,
        }
    }

    /// It was read out of this repository (`ghcr.io/a/nginx`), which is where its package URL says it is.
    #[must_use]
    pub fn in_repository(mut self, repository: impl Into<String>) -> Self {
        let repository = repository.into();
        self.names.insert(repository.clone());
        self.repository = Some(repository);
        self
    }

    /// It also has this name: the reference by which it was asked for.
    #[must_use]
    pub fn also_named(mut self, name: impl Into<String>) -> Self {
        self.names.insert(name.into());
        self
    }

    /// It also has this digest: that of the index which it was chosen out of.
    #[must_use]
    pub fn also_of(mut self, digest: Digest) -> Self {
        self.digests.insert(digest);
        self
    }

    /// The bill of materials.
    #[must_use]
    pub const fn bill(&self) -> &'a Sbom {
        self.bill
    }

    /// What tells it in statements.
    #[must_use]
    pub fn image(&self) -> ImageId {
        let subject = &self.bill.subject;
        ImageId {
            name: subject.name.clone(),
            digest: subject.digest,
            repository: self.repository.clone(),
            architecture: subject.architecture.clone(),
        }
    }

    /// A component with its package URL, by its id.
    pub(super) fn component(&self, id: &str) -> Option<(&Purl, &'a Component)> {
        // They are in the order of their ids, as the bill has them.
        let place = self.components.binary_search_by(|(_, known)| known.id.as_str().cmp(id)).ok()?;
        self.components.get(place).map(|(purl, component)| (purl, *component))
    }

    /// The components, each with its package URL.
    pub(super) fn components(&self) -> impl Iterator<Item = (&Purl, &'a Component)> {
        self.components.iter().map(|(purl, component)| (purl, *component))
    }

    /// The components that a package URL names.
    pub(super) fn named(&self, purl: &Purl) -> Vec<(&Purl, &'a Component)> {
        let name = purl.name.rsplit('/').next().unwrap_or(&purl.name);
        let places = [self.by_name.get(name), self.by_name.get(purl.name.as_str())];
        let places: BTreeSet<usize> = places.into_iter().flatten().flatten().copied().collect();
        let known = places.into_iter().filter_map(|place| self.components.get(place));
        known
            .filter(|(own, component)| names(purl, own, component))
            .map(|(own, component)| (own, *component))
            .collect()
    }

    /// The packages that a product is here; none among them for all of the image.
    pub(super) fn packages(&self, product: &Product) -> Vec<Option<Purl>> {
        let is_here = match &product.whole {
            Whole::Image(image) => self.is(image),
            Whole::Name(name) => self.is_called(name),
            Whole::Cpe(cpe) => self.has_cpe(cpe),
            Whole::Package(purl) => return self.packages_of_package(purl, product.part.as_ref()),
        };
        match &product.part {
            _ if !is_here => Vec::new(),
            None if matches!(product.whole, Whole::Cpe(_)) => self.packages_of_distribution(),
            None => vec![None],
            Some(part) => self.named(part).into_iter().map(|(purl, _)| Some(purl.clone())).collect(),
        }
    }

    /// What a distribution says of itself it says of its own packages, and of nothing else that somebody put into the image.
    fn packages_of_distribution(&self) -> Vec<Option<Purl>> {
        // Where there is nothing else, that is all of the image.
        if self.bill.components.values().all(|component| component.kind.is_distribution()) {
            return vec![None];
        }
        let own = self.components().filter(|(_, component)| component.kind.is_distribution());
        own.map(|(purl, _)| Some(purl.clone())).collect()
    }

    /// A package, or what is part of one: found in one of its files, or among what it depends on.
    fn packages_of_package(&self, whole: &Purl, part: Option<&Purl>) -> Vec<Option<Purl>> {
        let wholes = self.named(whole);
        let Some(part) = part else {
            return wholes.into_iter().map(|(purl, _)| Some(purl.clone())).collect();
        };
        let parts = self.named(part);
        let belongs = |component: &Component| {
            wholes.iter().any(|(_, whole)| {
                let needs = self.bill.dependencies.get(&whole.id);
                !whole.found_in.is_disjoint(&component.found_in)
                    || component.part_of.as_ref() == Some(&whole.id)
                    || needs.is_some_and(|needs| needs.on.contains(&component.id))
            })
        };
        parts.into_iter().filter(|(_, part)| belongs(part)).map(|(purl, _)| Some(purl.clone())).collect()
    }

    fn is(&self, image: &ImageId) -> bool {
        let fits = |wanted: &Option<String>, own: &Option<String>| wanted.is_none() || wanted == own;
        let digest = image.digest.is_none_or(|digest| self.digests.contains(&digest));
        let repository = image.repository.as_ref().is_none_or(|repository| self.names.contains(repository));
        // A digest or a repository tells it; the name alone is asked where there is neither.
        let name = image.digest.is_some()
            || image.repository.is_some()
            || self.names.iter().any(|own| is_name_of(&image.name, own));
        digest && repository && name && fits(&image.architecture, &self.bill.subject.architecture)
    }

    /// As users write images: a reference, `repository@digest`, or a digest alone.
    fn is_called(&self, name: &str) -> bool {
        let (repository, digest) = name.rsplit_once('@').unwrap_or(("", name));
        let has_digest = digest.parse().is_ok_and(|digest| self.digests.contains(&digest));
        self.names.contains(name)
            || (has_digest && (repository.is_empty() || self.names.contains(repository)))
    }

    /// Whether the distribution is this product.
    fn has_cpe(&self, cpe: &str) -> bool {
        let own = self.bill.distribution.as_ref().and_then(|distribution| distribution.cpe.as_deref());
        own.is_some_and(|own| is_product(cpe, own))
    }

    /// Whether the image has one of the files that a statement is about; also where it is about no files, and where nothing
    /// is known of the image's files.
    pub(super) fn has_paths(&self, statement: &Statement) -> bool {
        if statement.paths.is_empty() {
            return true;
        }
        let Some(paths) = globs(&statement.paths) else { return true };
        self.bill.files.is_empty() || self.bill.files.keys().any(|path| paths.is_match(path))
    }
}

/// Whether a package URL names a component: its own package, or the source package that it was built from.
fn names(purl: &Purl, own: &Purl, component: &Component) -> bool {
    if !purl.is_source() {
        return purl.covers(own);
    }
    let (name, version) = match &component.source {
        Some(source) => (source.name.as_str(), source.version.as_str()),
        None => (own.name.as_str(), component.version.as_str()),
    };
    purl.kind == own.kind
        && purl.vendor() == own.vendor()
        && purl.name == name
        && purl.version.as_deref().is_none_or(|wanted| wanted == version)
}

/// Whether one CPE (2.2 or 2.3) names the product that another does, whichever repository of it (`::appstream`) is meant: same
/// vendor and product, and the same version where the first has one.
fn is_product(cpe: &str, own: &str) -> bool {
    let parts = |cpe: &str| -> Option<Vec<String>> {
        let rest = cpe.strip_prefix("cpe:/").or_else(|| cpe.strip_prefix("cpe:2.3:"))?;
        let mut parts: Vec<String> = rest.split(':').skip(1).take(3).map(str::to_owned).collect();
        parts.retain(|part| !part.is_empty() && part != "*");
        Some(parts)
    };
    match (parts(cpe), parts(own)) {
        (Some(wanted), Some(own)) => wanted.len() >= 2 && own.starts_with(&wanted),
        _ => false,
    }
}

/// Whether an image may be meant by a name: it is its whole name, the family's (`python` of `python:3.14`), or the end of its
/// repository.
fn is_name_of(name: &str, own: &str) -> bool {
    let family = own.split(':').next().unwrap_or(own);
    own == name || family == name || own.strip_suffix(name).is_some_and(|rest| rest.ends_with('/'))
}

/// Globs of paths, `*` within one part of a path, `**` over several; none when one of them is no glob.
pub(super) fn globs(paths: &BTreeSet<String>) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for path in paths {
        set.add(GlobBuilder::new(path).literal_separator(true).build().ok()?);
    }
    set.build().ok()
}

/// Tells of each finding, that nothing takes away yet, which statement does. Only *not affected* and *fixed* do.
pub fn apply(findings: &mut [Finding], statements: &[Statement], scanned: &Scanned<'_>) {
    let flaws = Flaws::of(statements);
    let decided: BTreeMap<(String, Option<Purl>), Decided> = for_image(statements, scanned)
        .into_iter()
        .map(|decided| ((decided.statement.flaw.clone(), decided.package.clone()), decided))
        .collect();
    if decided.is_empty() {
        return;
    }
    for finding in findings.iter_mut().filter(|finding| finding.suppressed.is_none()) {
        let purl = scanned.component(&finding.component).map(|(purl, _)| purl.clone());
        let fitting = finding_names(finding, &flaws).into_iter().find_map(|flaw| {
            let own = purl.is_some().then(|| decided.get(&(flaw.clone(), purl.clone()))).flatten();
            own.or_else(|| decided.get(&(flaw, None)))
        });
        finding.suppressed = fitting.and_then(|decided| suppressed(&decided.statement));
    }
}

/// The names under which a statement may be about a finding: the one that counts first. Of a bulletin about several CVE
/// numbers the bulletin's own name alone: a statement about one of them says nothing of the others.
fn finding_names(finding: &Finding, flaws: &Flaws) -> Vec<String> {
    let aliases = || finding.aliases.iter().map(String::as_str);
    let own = flaws.name(&finding.vulnerability, aliases());
    let several = only_cve(aliases()).is_none() && aliases().any(is_cve);
    let others = aliases()
        .filter(|alias| !several && !is_cve(alias))
        .map(|alias| flaws.name(alias, std::iter::empty()));
    // An alias may stand for a CVE number that is not the finding's.
    let others: Vec<String> = others.filter(|name| !is_cve(&own) || !is_cve(name)).collect();
    std::iter::once(own).chain(others).collect()
}

fn suppressed(statement: &Statement) -> Option<Suppressed> {
    if !statement.status.suppresses() {
        return None;
    }
    let why = [statement.justification.map(|word| word.to_string()), statement.impact.clone()];
    let mut reason = statement.status.to_string();
    for part in why.into_iter().flatten().chain(statement.notes.clone()) {
        reason.push_str(": ");
        reason.push_str(&part);
    }
    let evidence = match &statement.evidence {
        Some(evidence) => format!("{}: {evidence}", statement.origin),
        None => statement.origin.to_string(),
    };
    Some(Suppressed { by: "vex".to_owned(), reason, evidence, until: None })
}

#[cfg(test)]
pub(super) mod tests;
