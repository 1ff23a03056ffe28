//! Each rule of matching by a case of its own; versions are such as the real rules tell apart.

mod deb;
mod explain;
mod language;
mod merge;
mod pure;
mod range;
mod rpm;

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use calypte_formats::changelog::NamedFix;
use calypte_sbom::{
    Component, Distribution, FileOwner, Licences, PackageKind, Sbom, SbomFile, SourcePackage, Subject,
    SubjectKind,
};

use super::*;
use crate::database::{CHANGELOG, Source};
use crate::feeds::FeedError;
use crate::finding::{Finding, FixState};
use crate::model::{Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Status};

pub const NOW: Epoch = Epoch(1_800_000_000);

/// An image, its distribution, the sources and what they say.
pub struct Case {
    pub sbom: Sbom,
    pub fixes: Fixes,
    pub sources: Vec<(Source, Epoch, Vec<Advisory>)>,
}

pub fn os(id: &str, version: Option<&str>, codename: Option<&str>) -> Distribution {
    Distribution {
        id: id.to_owned(),
        version: version.map(str::to_owned),
        codename: codename.map(str::to_owned),
        ..Distribution::default()
    }
}

pub fn component(kind: PackageKind, name: &str, version: &str) -> Component {
    Component {
        id: format!("{kind}/{name}@{version}"),
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
        purl: format!("pkg:{kind}/{name}@{version}"),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    }
}

/// A binary package of a source package.
pub fn built(kind: PackageKind, name: &str, version: &str, source: (&str, &str)) -> Component {
    let source = Some(SourcePackage { name: source.0.to_owned(), version: source.1.to_owned() });
    Component { source, ..component(kind, name, version) }
}

pub fn affected(ecosystem: Ecosystem, package: &str, role: PackageRole, events: Vec<Event>) -> Affected {
    let ranges =
        if events.is_empty() { Vec::new() } else { vec![Range { kind: RangeKind::Ecosystem, events }] };
    Affected {
        ecosystem,
        package: package.to_owned(),
        role,
        ranges,
        versions: BTreeSet::new(),
        status: Status::Affected,
        architectures: BTreeSet::new(),
        module: None,
        severities: Vec::new(),
        imports: BTreeSet::new(),
    }
}

pub fn introduced(version: &str) -> Event {
    Event::Introduced(version.to_owned())
}

pub fn fixed(version: &str) -> Event {
    Event::Fixed(version.to_owned())
}

pub fn last(version: &str) -> Event {
    Event::LastAffected(version.to_owned())
}

pub fn before(version: &str) -> Vec<Event> {
    vec![introduced("0"), fixed(version)]
}

pub fn advisory(id: &str, aliases: &[&str], affected: Vec<Affected>) -> Advisory {
    Advisory {
        id: id.to_owned(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        published: None,
        modified: None,
        withdrawn: None,
        summary: String::new(),
        severities: Vec::new(),
        affected,
        references: Vec::new(),
    }
}

pub fn debian(release: &str) -> Ecosystem {
    Ecosystem::Debian(Some(release.to_owned()))
}

/// What has happened to a flaw in a source package of a release of Debian.
pub fn tracked(id: &str, release: &str, package: &str, events: Vec<Event>) -> Advisory {
    advisory(id, &[], vec![affected(debian(release), package, PackageRole::Source, events)])
}

impl Case {
    pub fn new(distribution: Option<Distribution>, components: Vec<Component>) -> Self {
        let sbom = Sbom {
            subject: Subject {
                kind: SubjectKind::Container,
                name: "image".to_owned(),
                version: None,
                digest: None,
                architecture: None,
                supplier: None,
            },
            created: Epoch(0),
            distribution,
            components: components.into_iter().map(|component| (component.id.clone(), component)).collect(),
            files: BTreeMap::new(),
            dependencies: BTreeMap::new(),
        };
        Self { sbom, fixes: Fixes::new(), sources: Vec::new() }
    }

    pub fn source(mut self, name: &str, covers: &[&str], mut advisories: Vec<Advisory>) -> Self {
        // None that covers anything is empty.
        if advisories.is_empty() {
            advisories.push(tracked("CVE-1999-0001", "trixie", "another", before("1")));
        }
        let source = Source {
            name: name.to_owned(),
            feed: if name.starts_with("changelog-") { CHANGELOG } else { "osv" }.to_owned(),
            url: String::new(),
            digest: Digest::of(b""),
            covers: covers.iter().map(|cover| (*cover).to_owned()).collect(),
            max_age_days: 3,
        };
        self.sources.push((source, NOW, advisories));
        self
    }

    pub fn fixed_by_changelog(mut self, component: &str, flaw: &str, version: &str) -> Self {
        let fix = NamedFix { version: version.to_owned(), date: None };
        self.fixes.entry(component.to_owned()).or_default().insert(flaw.to_owned(), fix);
        self
    }

    pub fn database(&self) -> Database {
        let mut database = Database::in_memory().unwrap();
        for (source, when, advisories) in &self.sources {
            database
                .import(source, *when, |sink| {
                    for advisory in advisories {
                        let error = |source| FeedError::Sink { document: "test".to_owned(), source };
                        sink.advisory(advisory.clone()).map_err(error)?;
                    }
                    Ok(())
                })
                .unwrap();
        }
        database
    }

    pub fn scan(&self) -> Scan {
        scan(&self.sbom, &self.fixes, &self.database(), &Options::new(NOW)).unwrap()
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.scan().findings
    }

    /// The findings as `component name: flaw`.
    pub fn found(&self) -> Vec<String> {
        let text = |finding: Finding| format!("{}: {}", finding.name, finding.vulnerability);
        self.findings().into_iter().map(text).collect()
    }

    /// By which rules the advisories about a flaw count or not.
    pub fn rules(&self, flaw: &str) -> Vec<Rule> {
        let explained = explain(&self.sbom, &self.fixes, &self.database(), flaw).unwrap();
        explained.into_iter().map(|explained| explained.rule).collect()
    }
}

pub fn fixed_in(version: &str) -> FixState {
    FixState::Fixed(BTreeSet::from([version.to_owned()]))
}

pub fn trixie() -> Option<Distribution> {
    Some(os("debian", Some("13"), Some("trixie")))
}

pub fn file(owner: &str, layer: &[u8]) -> SbomFile {
    SbomFile {
        sha256: Digest::of(b"x"),
        sha512: None,
        sha1: None,
        size: 1,
        executable: false,
        owner: FileOwner::Component(owner.to_owned()),
        layer: Some(Digest::of(layer)),
    }
}

#[test]
fn what_no_fresh_source_tells_about_is_unknown_and_never_clean() {
    let case = || Case::new(trixie(), vec![component(PackageKind::Deb, "a", "1")]);
    let scan = case().scan();
    assert_eq!(scan.verdict(), Verdict::Unknown);
    assert_eq!(scan.unknown, ["deb packages: no source tells about debian:trixie (1 package)"]);
    assert_eq!(case().source("one", &["debian:sid"], vec![]).scan().verdict(), Verdict::Unknown);
    let clean = case().source("one", &["debian:trixie"], vec![]).scan();
    assert_eq!((clean.verdict(), clean.feeds.len()), (Verdict::Clean, 1));
    assert_eq!(case().source("one", &["debian"], vec![]).scan().verdict(), Verdict::Clean);
    // Too old, even beside one that is not.
    let mut case = case().source("fresh", &["debian"], vec![]).source("old", &["debian"], vec![]);
    case.sources[1].1 = Epoch(NOW.0 - 4 * 86_400);
    let scan = case.scan();
    assert_eq!(scan.verdict(), Verdict::Unknown);
    assert_eq!(
        scan.unknown,
        [
            "deb packages: what tells about debian:trixie is too old: old is 4 days old, and 3 are the most (1 package)"
        ]
    );
    assert_eq!(scan.feeds.iter().map(|feed| feed.stale).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_release_of_which_a_feed_says_nothing_is_unknown_and_never_clean() {
    let case = Case::new(
        Some(os("debian", Some("10"), Some("buster"))),
        vec![component(PackageKind::Deb, "a", "1")],
    );
    let scan = case.source("one", &["debian"], vec![]).scan();
    assert_eq!(scan.verdict(), Verdict::Unknown);
    assert_eq!(scan.unknown, ["deb packages: one says nothing of debian:buster (1 package)"]);
}

#[test]
fn a_distribution_that_is_not_known_is_unknown_and_never_clean() {
    for distribution in [
        None,
        Some(os("acme", Some("3"), None)),
        Some(Distribution { like: vec!["debian".to_owned()], ..os("acme", Some("3"), Some("acme")) }),
        Some(os("ubuntu", None, None)),
    ] {
        let case = Case::new(distribution.clone(), vec![component(PackageKind::Deb, "a", "1")]);
        let scan = case.source("one", &["debian", "ubuntu"], vec![]).scan();
        assert_eq!(scan.verdict(), Verdict::Unknown, "{distribution:?}");
        assert_eq!(scan.unknown.len(), 1);
    }
    let derived = Distribution { like: vec!["debian".to_owned()], ..os("acme", Some("3"), Some("trixie")) };
    let case = Case::new(Some(derived), vec![component(PackageKind::Deb, "a", "1")]);
    let case = case.source("one", &["debian"], vec![tracked("CVE-2024-0001", "trixie", "a", before("2"))]);
    assert_eq!(case.found(), ["a: CVE-2024-0001"]);
}

#[test]
fn files_of_no_package_at_all_are_unknown_and_never_clean() {
    let mut case = Case::new(None, vec![]);
    assert_eq!(case.scan().verdict(), Verdict::Clean);
    case.sbom.files.insert("/bin/x".to_owned(), file("nothing", b"1"));
    assert_eq!(case.scan().verdict(), Verdict::Unknown);
}

#[test]
fn a_finding_that_is_suppressed_does_not_count() {
    let case = Case::new(trixie(), vec![component(PackageKind::Deb, "a", "1")]);
    let mut scan =
        case.source("one", &["debian"], vec![tracked("CVE-2024-0001", "trixie", "a", vec![])]).scan();
    assert_eq!(scan.verdict(), Verdict::Found);
    scan.findings[0].suppressed = Some(crate::finding::Suppressed {
        by: "vex".to_owned(),
        reason: String::new(),
        evidence: String::new(),
        until: None,
    });
    assert_eq!(scan.verdict(), Verdict::Clean);
}
