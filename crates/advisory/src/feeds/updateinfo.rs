//! `updateinfo.xml` of RPM repositories → advisories: which packages a security update brings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};

use calypte_formats::rpm_repository::RepositoryError;
use calypte_formats::rpm_repository::updateinfo::{self, Update, UpdatePackage};

use super::{FeedError, Sink, SinkError, whole};
use crate::model::{
    Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Reference, Severity, Status,
};

/// The largest document, which is never in memory as a whole; Fedora's has some 100 MB.
const DOCUMENT_LIMIT: u64 = 1 << 30;

/// Reads the updates; all but those for security are passed over.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    // One byte more than allowed, to tell the end from too much.
    let mut limited = reader.take(DOCUMENT_LIMIT + 1);
    let result = updateinfo::read(BufReader::with_capacity(64 * 1024, &mut limited), &mut |update| {
        if update.kind != "security" {
            return Ok(());
        }
        if let Some(issued) = update.issued {
            sink.dated(issued);
        }
        sink.advisory(advisory(update)).map_err(Stop::Sink)
    });
    match result {
        _ if limited.limit() == 0 => {
            Err(FeedError::TooLarge { document: document.to_owned(), limit: DOCUMENT_LIMIT })
        }
        Ok(()) => Ok(()),
        Err(Stop::Sink(source)) => Err(FeedError::sink(document, source)),
        Err(Stop::Form(RepositoryError::Io(source))) => Err(FeedError::io(document, source)),
        Err(Stop::Form(error)) => {
            let text = error.to_string();
            let (place, reason) = match text.split_once(": ") {
                Some((place, reason)) if place.starts_with("byte ") => (place, reason),
                _ => ("the whole", text.as_str()),
            };
            Err(FeedError::malformed(document, place, reason))
        }
    }
}

enum Stop {
    Form(RepositoryError),
    Sink(SinkError),
}

impl From<RepositoryError> for Stop {
    fn from(error: RepositoryError) -> Self {
        Self::Form(error)
    }
}

fn advisory(update: &Update) -> Advisory {
    // One entry for a package in a version: it is listed once for each architecture, and a repository of one
    // architecture tells nothing of the others, whose packages are built from the same source.
    let entries: BTreeMap<_, _> = update
        .packages
        .iter()
        .map(|package| {
            let role = if matches!(package.arch.as_str(), "src" | "nosrc") {
                PackageRole::Source
            } else {
                PackageRole::Binary
            };
            ((package.name.as_str(), role, version(package)), ecosystem(&update.id, package))
        })
        .collect();
    let severity = update.severity.as_deref().filter(|word| *word != "None");
    Advisory {
        id: update.id.clone(),
        aliases: flaws(update),
        published: update.issued,
        modified: update.issued,
        withdrawn: None,
        summary: whole::summary([Some(update.title.as_str())]),
        severities: severity.map(|word| Severity::Word(word.to_owned())).into_iter().collect(),
        affected: entries
            .into_iter()
            .map(|((name, role, version), ecosystem)| Affected {
                ecosystem,
                package: name.to_owned(),
                role,
                ranges: vec![Range {
                    kind: RangeKind::Ecosystem,
                    events: vec![Event::Introduced("0".to_owned()), Event::Fixed(version)],
                }],
                versions: BTreeSet::new(),
                status: Status::Affected,
                architectures: BTreeSet::new(),
                module: None,
                severities: Vec::new(),
                imports: BTreeSet::new(),
            })
            .collect(),
        references: references(update),
    }
}

fn version(package: &UpdatePackage) -> String {
    match package.epoch {
        0 => format!("{}-{}", package.version, package.release),
        epoch => format!("{epoch}:{}-{}", package.version, package.release),
    }
}

/// The distribution, which an update names only in its packages' releases: `2.fc44`, `1.el9_6.alma.1`, `1.hum1`.
fn ecosystem(id: &str, package: &UpdatePackage) -> Ecosystem {
    let numbered = |tag: &str| {
        package.release.split(['.', '+']).rev().find_map(|part| {
            // AlmaLinux's modules: `2.module_el8.9.0+1+abc`.
            let digits = part.strip_prefix("module_").unwrap_or(part).strip_prefix(tag)?;
            let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
            digits.get(..end).filter(|number| !number.is_empty()).map(str::to_owned)
        })
    };
    if let Some(release) = numbered("fc") {
        return Ecosystem::Fedora(Some(release));
    }
    if numbered("hum").is_some() {
        return Ecosystem::Hummingbird;
    }
    match numbered("el") {
        Some(release) if id.starts_with("AL") => Ecosystem::AlmaLinux(Some(release)),
        Some(release) if id.starts_with("FEDORA-EPEL-") => Ecosystem::Other(format!("EPEL:{release}")),
        Some(release) if id.starts_with("RH") => {
            Ecosystem::RedHat(format!("cpe:/o:redhat:enterprise_linux:{release}"))
        }
        Some(release) => Ecosystem::Other(format!("el{release}")),
        None => Ecosystem::Other(String::new()),
    }
}

/// The flaws that an update names: in references of their own, or in the titles of bugs, as Fedora does. What only its
/// description mentions counts where nothing else names any: a description may tell of other updates.
fn flaws(update: &Update) -> BTreeSet<String> {
    let references = update.references.iter().flat_map(|reference| [&reference.id, &reference.title]);
    let named: BTreeSet<String> = references.chain([&update.title]).flat_map(|text| cves(text)).collect();
    if named.is_empty() { cves(&update.description).collect() } else { named }
}

fn cves(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.filter(|word| crate::cve::is_cve(word)).map(str::to_owned)
}

fn references(update: &Update) -> Vec<Reference> {
    let addressed = update.references.iter().filter(|reference| !reference.href.is_empty());
    let reference = |reference: &updateinfo::Reference| Reference {
        kind: if reference.kind == "self" { "ADVISORY" } else { "WEB" }.to_owned(),
        url: reference.href.clone(),
    };
    addressed.map(reference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::Feed;
    use crate::feeds::tests::{kept, refused};

    const UPDATES: &str = r#"<updates>
  <update type="security"><id>FEDORA-2026-0a1b</id><title>pear-2.0-1.fc44</title><issued date="2026-10-30 08:08:01"/>
    <severity>Important</severity><description>Fixes CVE-2026-9999.</description>
    <references><reference href="https://example.com/1" id="1" type="bugzilla" title="CVE-2026-1111 pear: a hole (fc44)"/>
      <reference id="CVE-2026-2222" type="cve"/></references>
    <pkglist><collection>
      <package name="pear" version="2.0" release="1.fc44" epoch="3" arch="x86_64"/>
      <package name="pear" version="2.0" release="1.fc44" epoch="3" arch="i686"/>
      <package name="pear" version="2.0" release="1.fc44" epoch="3" arch="src"/>
      <package name="pear-libs" version="2.0" release="1.fc44" epoch="0" arch="x86_64"/>
    </collection></pkglist></update>
  <update type="bugfix"><id>FEDORA-2026-0a1c</id></update>
  <update type="security"><id>FEDORA-2026-0a1d</id><severity>None</severity><description>See CVE-2026-3333.</description></update>
</updates>"#;

    #[test]
    fn updates_for_security_alone() {
        let kept = kept(Feed::Updateinfo, UPDATES);
        let [first, second] = kept.advisories.as_slice() else { panic!("two updates") };
        assert_eq!(first.aliases, ["CVE-2026-1111".to_owned(), "CVE-2026-2222".to_owned()].into());
        assert_eq!(first.severities, [Severity::Word("Important".to_owned())]);
        assert_eq!(first.published.unwrap().to_string(), "2026-10-30T08:08:01Z");
        assert_eq!(first.references.len(), 1);
        let entries: Vec<_> = first
            .affected
            .iter()
            .map(|entry| (entry.package.as_str(), entry.role, entry.ranges[0].events[1].clone()))
            .collect();
        assert_eq!(
            entries,
            [
                ("pear", PackageRole::Source, Event::Fixed("3:2.0-1.fc44".to_owned())),
                ("pear", PackageRole::Binary, Event::Fixed("3:2.0-1.fc44".to_owned())),
                ("pear-libs", PackageRole::Binary, Event::Fixed("2.0-1.fc44".to_owned())),
            ]
        );
        assert!(
            first.affected.iter().all(|entry| entry.ecosystem == Ecosystem::Fedora(Some("44".to_owned())))
        );
        assert_eq!(second.aliases, ["CVE-2026-3333".to_owned()].into());
        assert!(second.severities.is_empty());
    }

    #[test]
    fn the_distribution_by_the_release() {
        let of = |id: &str, release: &str| {
            let package = UpdatePackage {
                name: "pear".to_owned(),
                epoch: 0,
                version: "1".to_owned(),
                release: release.to_owned(),
                arch: "noarch".to_owned(),
            };
            ecosystem(id, &package)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("FEDORA-2026-1", "1.20260101git.fc44.1"), Ecosystem::Fedora(some("44")));
        assert_eq!(of("ALSA-2026:1", "2.el9_6.alma.1"), Ecosystem::AlmaLinux(some("9")));
        assert_eq!(of("ALSA-2026:1", "2.module_el8.9.0+1+abc"), Ecosystem::AlmaLinux(some("8")));
        assert_eq!(of("X", "1.hum1"), Ecosystem::Hummingbird);
        assert_eq!(of("FEDORA-EPEL-2026-1", "1.el9"), Ecosystem::Other("EPEL:9".to_owned()));
        assert_eq!(of("X", "1.felt"), Ecosystem::Other(String::new()));
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        for (text, expected) in [
            ("<updates><update>", "document: byte 17: "),
            ("<metadata/>", "document: the whole: the outermost element is `metadata`"),
            ("<updates><update type='security'><title/></update></updates>", "document: byte "),
        ] {
            let error = refused(Feed::Updateinfo, text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
