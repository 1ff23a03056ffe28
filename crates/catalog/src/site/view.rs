//! What pages and the API both show, out of the registry and of what was given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use calypte_advisory::{Finding, FixState};
use calypte_base::{Digest, Epoch};
use serde::Serialize;

use super::given::{Given, Known};
use super::shelf::{Image, Platform, Repository, Tagged};

/// Severities, the worst first.
pub(super) const SEVERITIES: [&str; 6] = ["critical", "high", "medium", "low", "negligible", "unknown"];

/// How many flaws of each severity count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// By severity; those of which there are none are left out.
    pub by_severity: BTreeMap<String, usize>,
    /// All together.
    pub all: usize,
    /// Those for which there is a fix.
    pub fixable: usize,
    /// Those that do not count, by VEX or by a rule.
    pub suppressed: usize,
}

impl Counts {
    /// Counts findings.
    pub(super) fn of(findings: &[Finding]) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            if finding.suppressed.is_some() {
                counts.suppressed += 1;
                continue;
            }
            counts.all += 1;
            counts.fixable += usize::from(matches!(finding.state, FixState::Fixed(_)));
            *counts.by_severity.entry(finding.severity.clone()).or_default() += 1;
        }
        counts
    }
}

/// A repository in a list.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Its name.
    pub name: String,
    /// What it is, as its makers write it.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// The shelf; none where the catalog does not define it.
    pub category: Option<String>,
    /// The architectures of its main image.
    pub architectures: BTreeSet<String>,
    /// How many images it has, and how many tags.
    pub images: usize,
    /// How many tags.
    pub tags: usize,
    /// The version of its main image, as that says.
    pub version: Option<String>,
    /// Bytes to download of its main image, for its first machine.
    pub size: Option<u64>,
    /// The flaws of its main image, for its first machine; none where it was not scanned.
    pub flaws: Option<Counts>,
    /// When the newest tag was moved.
    pub moved: Option<Epoch>,
    /// Whether its makers support none of its streams any more.
    pub ended: bool,
}

impl Summary {
    /// What a list tells of a repository.
    pub(super) fn of(repository: &Repository, given: &Given) -> Self {
        let family = given.families.get(&repository.name);
        let main = repository.images.first();
        let first = main.and_then(|tagged| tagged.image.platforms.first());
        let annotation = |name: &str| main.and_then(|tagged| annotation(tagged, name));
        let title = family.map(|family| family.title.clone()).or_else(|| annotation("title"));
        let description =
            family.map(|family| family.description.clone()).or_else(|| annotation("description"));
        Self {
            name: repository.name.clone(),
            title: title.unwrap_or_else(|| repository.name.clone()),
            description: description.unwrap_or_default().trim().to_owned(),
            category: family.map(|family| family.category.clone()),
            architectures: main.into_iter().flat_map(architectures).collect(),
            images: repository.images.len(),
            tags: repository.images.iter().map(|tagged| tagged.tags.len()).sum(),
            version: annotation("version"),
            size: first.map(|platform| platform.size),
            flaws: first.and_then(|platform| counts(platform, given)),
            moved: repository.images.iter().filter_map(|tagged| tagged.moved).max(),
            ended: family.is_some_and(|family| {
                !family.streams.is_empty() && family.streams.iter().all(|stream| stream.ended)
            }),
        }
    }

    /// Whether a word of a search is in it.
    fn has(&self, word: &str) -> bool {
        [&self.name, &self.title, &self.description].iter().any(|text| text.to_lowercase().contains(word))
    }
}

/// An annotation of OCI, by the last part of its name.
pub(super) fn annotation(tagged: &Tagged, name: &str) -> Option<String> {
    tagged.image.annotations.get(&format!("org.opencontainers.image.{name}")).cloned()
}

/// The architectures of an image.
pub(super) fn architectures(tagged: &Tagged) -> impl Iterator<Item = String> {
    let platforms = tagged.image.platforms.iter();
    platforms.map(|platform| platform.platform.rsplit('/').next().unwrap_or_default().to_owned())
}

/// The flaws of one machine's image, if it was scanned.
pub(super) fn counts(platform: &Platform, given: &Given) -> Option<Counts> {
    let scan = given.manifests.get(&platform.digest)?.scan.as_ref()?;
    Some(Counts::of(&scan.findings))
}

/// What a list is narrowed by.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// The search as it was typed.
    pub text: String,
    /// One shelf.
    pub category: String,
    /// One architecture.
    pub architecture: String,
    /// `none`: no flaw counts; `some`: one does; `fixable`: one with a fix does.
    pub flaws: String,
}

impl Filter {
    /// Reads the parameters of a query.
    pub(super) fn read(parameter: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let text: String = parameter(name).unwrap_or_default().chars().take(200).collect();
            text.trim().to_owned()
        };
        Self {
            text: value("q"),
            category: value("category"),
            architecture: value("architecture"),
            flaws: value("flaws"),
        }
    }

    /// Whether it narrows anything.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a repository passes.
    pub(super) fn passes(&self, summary: &Summary) -> bool {
        let count = summary.flaws.as_ref();
        let flaws = match self.flaws.as_str() {
            "none" => count.is_some_and(|count| count.all == 0),
            "some" => count.is_some_and(|count| count.all > 0),
            "fixable" => count.is_some_and(|count| count.fixable > 0),
            _ => true,
        };
        let words = self.text.to_lowercase();
        flaws
            && words.split_whitespace().all(|word| summary.has(word))
            && (self.category.is_empty() || summary.category.as_deref() == Some(&self.category))
            && (self.architecture.is_empty() || summary.architectures.contains(&self.architecture))
    }
}

/// What the factory knows of an image: of the first of its machines that it knows.
pub(super) fn known<'a>(image: &Image, given: &'a Given) -> Option<&'a Known> {
    image.platforms.iter().find_map(|platform| given.manifests.get(&platform.digest)).map(Arc::as_ref)
}

/// A flaw, and where it is.
#[derive(Debug, Serialize)]
pub(super) struct Flaw {
    /// Its name.
    pub name: String,
    /// Its other names.
    pub aliases: BTreeSet<String>,
    /// The worst that a finding says of it.
    pub severity: String,
    /// The probability that it is exploited in the next 30 days.
    pub epss: Option<f64>,
    /// Whether it is known to be exploited.
    pub exploited: bool,
    /// Whether there is a fix for something that has it.
    pub fixable: bool,
    /// When it was disclosed.
    pub published: Option<Epoch>,
    /// Where more is said.
    pub references: BTreeSet<String>,
    /// The images, those in which it counts first.
    pub places: Vec<Place>,
}

impl Flaw {
    /// How many of the images it counts in.
    pub(super) fn counting(&self) -> usize {
        self.places.iter().filter(|place| place.suppressed.is_none()).count()
    }

    /// In order: those that count first, then the worst, then by name.
    pub(super) fn rank(&self) -> (bool, bool, usize, String) {
        let severity = SEVERITIES.iter().position(|word| *word == self.severity).unwrap_or(SEVERITIES.len());
        (self.counting() == 0, !self.exploited, severity, self.name.clone())
    }
}

/// A package of an image that has a flaw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Place {
    /// Why it does not count; none where it does.
    pub suppressed: Option<String>,
    /// The repository.
    pub repository: String,
    /// A tag of the image.
    pub tag: String,
    /// The machine.
    pub platform: String,
    /// Digest of that machine's manifest.
    pub digest: Digest,
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The version with a fix, or why there is none.
    pub fix: String,
}

/// What can be done, in words.
pub(super) fn fix(state: &FixState) -> String {
    match state {
        FixState::Fixed(versions) => versions.iter().cloned().collect::<Vec<_>>().join(", "),
        FixState::NotFixed => "no fix yet".to_owned(),
        FixState::WontFix => "will not be fixed".to_owned(),
        FixState::Deferred => "put off".to_owned(),
        FixState::EndOfLife => "end of life".to_owned(),
        FixState::Unknown => "not known".to_owned(),
    }
}

/// The flaws of all images that have a tag, by name.
pub(super) fn flaws(repositories: &[Repository], given: &Given) -> BTreeMap<String, Flaw> {
    let mut all = BTreeMap::new();
    for repository in repositories {
        for tagged in &repository.images {
            for platform in &tagged.image.platforms {
                let known = given.manifests.get(&platform.digest);
                for finding in known.into_iter().flat_map(findings) {
                    let place = place(finding, &repository.name, tagged, platform);
                    add(&mut all, finding, place);
                }
            }
        }
    }
    for flaw in all.values_mut() {
        flaw.places.sort();
        flaw.places.dedup();
    }
    all
}

fn findings(known: &Arc<Known>) -> &[Finding] {
    known.scan.as_ref().map_or(&[], |scan| &scan.findings)
}

fn place(finding: &Finding, repository: &str, tagged: &Tagged, platform: &Platform) -> Place {
    Place {
        suppressed: finding.suppressed.as_ref().map(|suppressed| suppressed.reason.clone()),
        repository: repository.to_owned(),
        tag: tagged.tags.first().cloned().unwrap_or_default(),
        platform: platform.platform.clone(),
        digest: platform.digest,
        package: finding.name.clone(),
        version: finding.version.clone(),
        fix: fix(&finding.state),
    }
}

fn add(all: &mut BTreeMap<String, Flaw>, finding: &Finding, place: Place) {
    let flaw = all.entry(finding.vulnerability.clone()).or_insert_with(|| Flaw {
        name: finding.vulnerability.clone(),
        aliases: BTreeSet::new(),
        severity: finding.severity.clone(),
        epss: None,
        exploited: false,
        fixable: false,
        published: finding.published,
        references: BTreeSet::new(),
        places: Vec::new(),
    });
    let rank = |word: &str| SEVERITIES.iter().position(|known| *known == word).unwrap_or(SEVERITIES.len());
    if rank(&finding.severity) < rank(&flaw.severity) {
        flaw.severity.clone_from(&finding.severity);
    }
    flaw.aliases.extend(finding.aliases.iter().cloned());
    flaw.references.extend(finding.references.iter().cloned());
    flaw.epss = flaw.epss.or(finding.epss.map(|(probability, _)| probability));
    flaw.exploited |= finding.exploited.is_some();
    flaw.fixable |= matches!(finding.state, FixState::Fixed(_));
    flaw.places.push(place);
}
