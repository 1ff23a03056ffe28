//! Chainguard's advisories, version 2: one package a YAML document, for each flaw the events of its history → advisories.
//!
//! What was found, fixed or found to be false is an event with a time; the latest one is what holds.

use std::collections::BTreeSet;
use std::io::Read;

use calypte_base::Epoch;
use serde::Deserialize;

use super::{FeedError, Sink, whole};
use crate::model::{Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Status};

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "schema-version")]
    version: String,
    package: Package,
    #[serde(default, deserialize_with = "whole::or_default")]
    advisories: Vec<Entry>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default, deserialize_with = "whole::or_default")]
    aliases: BTreeSet<String>,
    #[serde(default, deserialize_with = "whole::or_default")]
    events: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    timestamp: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, deserialize_with = "whole::or_default")]
    data: Data,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Detection,
    TruePositiveDetermination,
    FalsePositiveDetermination,
    Fixed,
    FixNotPlanned,
    AnalysisNotPlanned,
    PendingUpstreamFix,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(rename = "fixed-version")]
    fixed: Option<String>,
    // Of what kind it is, or that kind's own data: a mapping in detections, and nobody reads either.
    note: Option<String>,
}

/// Reads a package's document.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let bytes = whole::bytes(document, reader, whole::WHOLE_LIMIT)?;
    let parsed: Document = whole::yaml(document, &bytes)?;
    if parsed.version != "2" && !parsed.version.starts_with("2.") {
        let reason = format!("version `{}` of the form is not 2", parsed.version);
        return Err(FeedError::malformed(document, "schema-version", reason));
    }
    whole::name(document, "package.name", &parsed.package.name)?;
    for (number, entry) in parsed.advisories.into_iter().enumerate() {
        let advisory = advisory(document, &format!("advisories[{number}]"), &parsed.package.name, entry)?;
        if let Some(modified) = advisory.modified {
            sink.dated(modified);
        }
        sink.advisory(advisory).map_err(|error| FeedError::sink(document, error))?;
    }
    Ok(())
}

fn advisory(document: &str, place: &str, package: &str, entry: Entry) -> Result<Advisory, FeedError> {
    whole::name(document, format!("{place}.id"), &entry.id)?;
    let mut steps: Vec<(Epoch, &Step)> = Vec::with_capacity(entry.events.len());
    for (number, step) in entry.events.iter().enumerate() {
        let place = format!("{place}.events[{number}].timestamp");
        let time = whole::time(document, &place, Some(&step.timestamp))?.unwrap_or_default();
        steps.push((time, step));
    }
    // Of two at the same time, the one that was written below the other is the later.
    let latest = steps.iter().max_by_key(|(time, _)| *time);
    let affected = match latest {
        None => Vec::new(),
        Some((_, step)) => vec![
            affected(package, step)
                .map_err(|reason| FeedError::malformed(document, format!("{place}.events"), reason))?,
        ],
    };
    Ok(Advisory {
        published: steps.iter().map(|(time, _)| *time).min(),
        modified: latest.map(|(time, _)| *time),
        withdrawn: None,
        summary: whole::summary([latest.and_then(|(_, step)| step.data.note.as_deref())]),
        severities: Vec::new(),
        affected,
        references: Vec::new(),
        aliases: entry.aliases,
        id: entry.id,
    })
}

/// What a package's versions are known for since an event.
fn affected(package: &str, step: &Step) -> Result<Affected, String> {
    let (status, fixed) = match step.kind {
        Kind::FalsePositiveDetermination => (Status::NotAffected, None),
        Kind::Detection => (Status::UnderInvestigation, None),
        Kind::TruePositiveDetermination | Kind::PendingUpstreamFix => (Status::Affected, None),
        Kind::FixNotPlanned | Kind::AnalysisNotPlanned => (Status::WontFix, None),
        Kind::Fixed => match step.data.fixed.as_deref().map(str::trim) {
            None | Some("") => return Err("fixed, but no `fixed-version` says in what".to_owned()),
            // The version before every version, as in the older form of these advisories.
            Some("0") => (Status::NotAffected, None),
            Some(version) => (Status::Affected, Some(Event::Fixed(version.to_owned()))),
        },
    };
    let events = std::iter::once(Event::Introduced("0".to_owned())).chain(fixed).collect();
    Ok(Affected {
        ecosystem: Ecosystem::Wolfi,
        package: package.to_owned(),
        // Packages that one recipe is split into have no documents of their own.
        role: PackageRole::Source,
        ranges: match status {
            Status::NotAffected => Vec::new(),
            _ => vec![Range { kind: RangeKind::Ecosystem, events }],
        },
        versions: BTreeSet::new(),
        status,
        architectures: BTreeSet::new(),
        module: None,
        severities: Vec::new(),
        imports: BTreeSet::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::Feed;
    use crate::feeds::tests::{kept, refused};

    /// An advisory of package `pear` with these events: (time, type, data).
    fn with(events: &[(&str, &str, &str)]) -> String {
        let mut text = "schema-version: 2.0.2\npackage: {name: pear}\nadvisories:\n- id: CGA-1\n  aliases: [CVE-2026-1111]\n  \
                        events:\n"
            .to_owned();
        for (time, kind, data) in events {
            text.push_str(&format!("  - {{timestamp: {time}, type: {kind}, data: {data}}}\n"));
        }
        text
    }

    #[test]
    fn the_latest_event_holds() {
        let kept = kept(
            Feed::Chainguard,
            with(&[
                ("2026-01-01T00:00:00Z", "detection", "{type: scan/v1, data: {componentVersion: 1.0}}"),
                ("2026-03-01T00:00:00Z", "fixed", "{fixed-version: 1.10}"),
                ("2026-02-01T00:00:00Z", "pending-upstream-fix", "{note: They know.}"),
            ]),
        );
        let [advisory] = kept.advisories.as_slice() else { panic!("one advisory") };
        assert_eq!((advisory.id.as_str(), advisory.aliases.len()), ("CGA-1", 1));
        assert_eq!(advisory.published.unwrap().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(advisory.modified.unwrap().to_string(), "2026-03-01T00:00:00Z");
        let affected = &advisory.affected[0];
        let events = [Event::Introduced("0".to_owned()), Event::Fixed("1.10".to_owned())];
        assert_eq!(affected.ranges[0].events, events);
        assert_eq!((&affected.ecosystem, affected.status), (&Ecosystem::Wolfi, Status::Affected));
    }

    #[test]
    fn what_each_event_means() {
        for (kind, data, expected) in [
            ("detection", "", Status::UnderInvestigation),
            ("true-positive-determination", "{note: x}", Status::Affected),
            ("false-positive-determination", "{type: manual}", Status::NotAffected),
            ("fix-not-planned", "{}", Status::WontFix),
            ("analysis-not-planned", "{}", Status::WontFix),
            ("pending-upstream-fix", "{}", Status::Affected),
            ("fixed", "{fixed-version: \"0\"}", Status::NotAffected),
        ] {
            let kept = kept(Feed::Chainguard, with(&[("2026-01-01T00:00:00Z", kind, data)]));
            assert_eq!(kept.advisories[0].affected[0].status, expected, "{kind}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let event = |kind: &str, data: &str| with(&[("2026-01-01T00:00:00Z", kind, data)]);
        for (text, expected) in [
            (event("fixed", "{}"), "advisories[0].events: fixed, but no"),
            (event("mended", "{}"), "line 7, column 45: unknown variant `mended`"),
            (with(&[("soon", "detection", "")]), "advisories[0].events[0].timestamp: `soon` is no time"),
            ("schema-version: 1.0\npackage: {name: a}\n".to_owned(), "schema-version: version `1.0`"),
            ("schema-version: 2.0\npackage: {name: \"\"}\n".to_owned(), "package.name"),
            ("package: {name: a}\n".to_owned(), "missing field `schema-version`"),
        ] {
            let error = refused(Feed::Chainguard, &text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
