use crate::feeds::Feed;
use crate::feeds::tests::{advisory, kept, refused};
use crate::model::{Advisory, Ecosystem, Event, PackageRole, RangeKind, Severity, Status};

fn read(text: &str) -> Advisory {
    advisory(Feed::Osv, text)
}

/// An advisory with this one entry in `affected`.
fn with(affected: &str) -> String {
    format!(r#"{{"id": "X-1", "affected": [{affected}]}}"#)
}

#[test]
fn a_distribution_names_what_it_fixes_under_related() {
    let advisory = read(
        r#"{"id": "ALSA-2026:0001", "summary": "Important: pear security update",
            "related": ["CVE-2026-1111", "CVE-2026-2222", "RHSA-2026:9"],
            "published": "2026-02-01T00:00:00Z", "modified": "2026-02-03T10:00:00Z",
            "affected": [{"package": {"ecosystem": "AlmaLinux:9", "name": "pear-libs"},
                          "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2:1.0-3.el9"}]}]}],
            "references": [{"type": "ADVISORY", "url": "https://example.com/1"}, {"type": "WEB"}]}"#,
    );
    assert_eq!(advisory.aliases, ["CVE-2026-1111".to_owned(), "CVE-2026-2222".to_owned()].into());
    assert_eq!(advisory.severities, [Severity::Word("Important".to_owned())]);
    assert_eq!(advisory.modified.unwrap().to_string(), "2026-02-03T10:00:00Z");
    assert_eq!(advisory.references.len(), 1);
    let [affected] = advisory.affected.as_slice() else { panic!("one entry") };
    assert_eq!(affected.ecosystem, Ecosystem::AlmaLinux(Some("9".to_owned())));
    assert_eq!((affected.role, affected.status), (PackageRole::Binary, Status::Affected));
    let events = [Event::Introduced("0".to_owned()), Event::Fixed("2:1.0-3.el9".to_owned())];
    assert_eq!(affected.ranges[0].events, events);
}

#[test]
fn related_flaws_of_a_language_are_other_flaws() {
    let advisory = read(
        r#"{"id": "GO-2026-1", "related": ["CVE-2026-1111"], "aliases": ["GHSA-x"], "upstream": ["CVE-2026-3333"],
            "published": "0001-01-01T00:00:00Z",
            "affected": [{"package": {"ecosystem": "Go", "name": "stdlib"},
              "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.20.1"}, {"introduced": "1.21.0-0"}]}],
              "ecosystem_specific": {"imports": [{"path": "net/http", "symbols": ["Get"]}, {"path": "net/url"}]}}]}"#,
    );
    assert_eq!(advisory.aliases, ["CVE-2026-3333".to_owned(), "GHSA-x".to_owned()].into());
    assert_eq!(advisory.published, None, "the year 1 is no year");
    let affected = &advisory.affected[0];
    assert_eq!((&affected.ecosystem, affected.package.as_str()), (&Ecosystem::Go, "stdlib"));
    assert_eq!(affected.imports, ["net/http".to_owned(), "net/url".to_owned()].into());
    assert_eq!((affected.ranges[0].kind, affected.ranges[0].events.len()), (RangeKind::Semver, 3));
}

#[test]
fn yaml_is_the_same_and_its_versions_stay_text() {
    let advisory = read(
        "id: PYSEC-1\nmodified: 2026-01-02T03:04:05.678Z\nwithdrawn: 2026-01-03\naliases: [CVE-2026-1111]\n\
         details: |\n  A first\n  paragraph.\n\n  A second.\nseverity:\naffected:\n- package: {ecosystem: PyPI, name: pear}\n  \
         ranges:\n  - type: GIT\n    repo: https://example.com\n    events: [{introduced: 0}, {fixed: abc}]\n  - type: ECOSYSTEM\n    \
         events:\n    - introduced: 0\n    - last_affected: 1.10\n  versions: [1.0, 1.10]\n",
    );
    assert_eq!(advisory.summary, "A first paragraph.");
    assert!(advisory.withdrawn.is_some());
    let affected = &advisory.affected[0];
    assert_eq!(affected.versions, ["1.0".to_owned(), "1.10".to_owned()].into());
    let events = [Event::Introduced("0".to_owned()), Event::LastAffected("1.10".to_owned())];
    assert_eq!((affected.ranges.len(), affected.ranges[0].events.as_slice()), (1, &events[..]));
}

#[test]
fn severities_of_the_whole_and_of_one_package() {
    let advisory = read(
        r#"{"id": "GHSA-1", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"},
              {"type": "Ubuntu", "score": "medium"}, {"type": "CVSS_V2", "score": ""}],
            "database_specific": {"severity": "HIGH"},
            "affected": [{"package": {"ecosystem": "Debian:13", "name": "pear"}, "versions": ["1"],
                          "ecosystem_specific": {"urgency": "low**"}},
                         {"package": {"ecosystem": "Debian:11", "name": "pear"}, "versions": ["1"],
                          "ecosystem_specific": {"urgency": "end-of-life"}},
                         {"package": {"ecosystem": "npm", "name": "pear"}, "versions": ["1"],
                          "severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}], "database_specific": {"severity": [1]}}]}"#,
    );
    let word = |word: &str| Severity::Word(word.to_owned());
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N";
    assert_eq!(advisory.severities, [Severity::Cvss(vector.to_owned()), word("medium"), word("HIGH")]);
    assert_eq!(advisory.affected[0].severities, [word("low")]);
    assert_eq!(advisory.affected[0].role, PackageRole::Source);
    assert_eq!(advisory.affected[1].status, Status::EndOfLife);
    assert_eq!(advisory.affected[2].severities, [Severity::Cvss("CVSS:4.0/AV:N".to_owned())]);
}

#[test]
fn what_no_version_is_said_of_matches_nothing() {
    for entry in [
        r#"{"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}"#,
        r#"{"package": {"ecosystem": "npm", "name": "pear"}}"#,
        r#"{"package": {"ecosystem": "npm", "name": "pear"}, "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}"#,
        r#"{"package": {"ecosystem": "npm", "name": "pear"}, "ranges": [{"type": "SEMVER", "events": []}], "versions": null}"#,
    ] {
        assert!(read(&with(entry)).affected.is_empty(), "{entry}");
    }
}

#[test]
fn a_limit_ends_a_range() {
    let range = |events: &str| {
        with(&format!(
            r#"{{"package": {{"ecosystem": "npm", "name": "pear"}}, "ranges": [{{"type": "SEMVER", "events": {events}}}]}}"#
        ))
    };
    let events = |text: &str| read(&range(text)).affected[0].ranges[0].events.clone();
    let introduced = Event::Introduced("1.0.0".to_owned());
    assert_eq!(
        events(r#"[{"introduced": "1.0.0"}, {"limit": "2.0.0"}]"#),
        [introduced.clone(), Event::Fixed("2.0.0".to_owned())]
    );
    assert_eq!(events(r#"[{"introduced": "1.0.0"}, {"limit": "*"}]"#), [introduced]);
    for (bad, expected) in [
        (
            r#"[{"introduced": "1"}, {"limit": "2"}, {"limit": "3"}]"#,
            "ranges[0].events: a range has at most one limit",
        ),
        (r#"[{"fixed": "2"}]"#, "ranges[0].events: nothing is ever introduced"),
        (r#"[{"introduced": "1", "fixed": "2"}]"#, "ranges[0].events[0]: an event is one of"),
        (r"[{}]", "ranges[0].events[0]: an event is one of"),
        (r#"[{"introduced": " "}]"#, "ranges[0].events[0]: an event without a version"),
    ] {
        let error = refused(Feed::Osv, range(bad));
        assert!(error.starts_with("document: affected[0].") && error.contains(expected), "{error}");
    }
}

#[test]
fn the_newest_change_dates_the_feed() {
    let kept = kept(Feed::Osv, r#"{"id": "X", "modified": "2026-02-03"}"#);
    assert_eq!(kept.dated.unwrap().to_string(), "2026-02-03T00:00:00Z");
}
