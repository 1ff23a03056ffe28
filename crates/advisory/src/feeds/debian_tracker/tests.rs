use super::{FLAW_LIMIT, read_within};
use crate::feeds::Feed;
use crate::feeds::tests::{Kept, kept, refused};
use crate::model::{Affected, Ecosystem, Event, PackageRole, Severity, Status};

/// What is known of package `pear` in `trixie` when the tracker says this.
fn trixie(release: &str) -> Affected {
    let text = format!(r#"{{"pear": {{"CVE-2026-1111": {{"releases": {{"trixie": {release}}}}}}}}}"#);
    kept(Feed::DebianTracker, text).advisories.remove(0).affected.remove(0)
}

#[test]
fn each_flaw_of_each_package_is_an_advisory() {
    let kept = kept(
        Feed::DebianTracker,
        r#"{"pear": {"CVE-2026-1111": {"scope": "remote", "debianbug": 1, "description": "A hole.",
              "releases": {"sid": {"status": "resolved", "repositories": {"sid": "2-1"}, "fixed_version": "1.5-1", "urgency": "high**"},
                           "bookworm": {"status": "open", "repositories": {"bookworm": "1-1"}, "urgency": "not yet assigned"}}},
             "TEMP-0000000-ABCDEF": {"releases": []}},
            "plum": {"CVE-2026-1111": {"releases": {}}}}"#,
    );
    let ids: Vec<_> = kept.advisories.iter().map(|advisory| advisory.id.as_str()).collect();
    assert_eq!(ids, ["CVE-2026-1111/pear", "TEMP-0000000-ABCDEF/pear", "CVE-2026-1111/plum"]);
    let first = &kept.advisories[0];
    assert_eq!(first.aliases, ["CVE-2026-1111".to_owned()].into());
    assert_eq!(first.summary, "A hole.");
    let sid = &first.affected[0];
    assert_eq!(sid.ecosystem, Ecosystem::Debian(Some("sid".to_owned())));
    assert_eq!((sid.package.as_str(), sid.role), ("pear", PackageRole::Source));
    let events = [Event::Introduced("0".to_owned()), Event::Fixed("1.5-1".to_owned())];
    assert_eq!(sid.ranges[0].events, events);
    assert_eq!(sid.severities, [Severity::Word("high".to_owned())]);
    let bookworm = &first.affected[1];
    assert_eq!((bookworm.status, bookworm.severities.len()), (Status::Affected, 0));
    assert_eq!(bookworm.ranges[0].events, [Event::Introduced("0".to_owned())]);
}

#[test]
fn what_the_words_of_a_release_mean() {
    for (release, expected, ranges) in [
        (r#"{"status": "resolved", "fixed_version": "0", "urgency": "unimportant"}"#, Status::NotAffected, 0),
        (r#"{"status": "resolved", "fixed_version": "1-1"}"#, Status::Affected, 1),
        (r#"{"status": "resolved"}"#, Status::UnderInvestigation, 1),
        (r#"{"status": "undetermined", "urgency": "low"}"#, Status::UnderInvestigation, 1),
        (r#"{"status": "open", "nodsa": "Minor issue", "nodsa_reason": ""}"#, Status::Affected, 1),
        (r#"{"status": "open", "nodsa": "Minor issue", "nodsa_reason": "ignored"}"#, Status::WontFix, 1),
        (r#"{"status": "open", "nodsa": "Later", "nodsa_reason": "postponed"}"#, Status::Deferred, 1),
        (r#"{"status": "open", "nodsa_reason": "ignored", "urgency": "end-of-life"}"#, Status::EndOfLife, 1),
    ] {
        let affected = trixie(release);
        assert_eq!((affected.status, affected.ranges.len()), (expected, ranges), "{release}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (text, expected) in [
        (r"[]", "line 1, column 1: invalid type: sequence, expected an object with the packages"),
        (r#"{"pear": []}"#, "an object with the flaws of pear"),
        (r#"{"pear": {"CVE-1": {"releases": [1]}}}"#, "releases are an object, not a list"),
        (r#"{"pear": {"CVE-1": {"releases": {"sid": {"status": "maybe"}}}}}"#, "unknown variant `maybe`"),
        (r#"{"pear": {"CVE-1": {"releases": {"sid": {}}}}}"#, "missing field `status`"),
        ("{\"pear\": {\"CVE-1\": {},\n\"CVE-1\": {}}}", "line 2, column 8: `CVE-1` is given twice"),
        (r#"{"pear": {}, "pear": {}}"#, "`pear` is given twice"),
        (r#"{"": {}}"#, "a name that is empty"),
        (
            r#"{"pear": {"CVE-1": {"releases": {"sid": {"status": "resolved", "fixed_version": ""}}}}}"#,
            "an empty fixed_version of pear in sid",
        ),
        (r#"{"pear": {"CVE-1": {"#, "EOF while parsing"),
        (r"{} {}", "trailing characters"),
    ] {
        let error = refused(Feed::DebianTracker, text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_flaw_and_the_document_have_their_limits() {
    let long = "x".repeat(usize::try_from(FLAW_LIMIT).unwrap());
    let error =
        refused(Feed::DebianTracker, format!(r#"{{"pear": {{"CVE-1": {{"description": "{long}"}}}}}}"#));
    assert!(error.contains("more than 1048576 bytes about one flaw"), "{error}");

    // As many flaws as it takes, each of them small.
    let flaw = |number: u32| format!(r#""CVE-{number}": {{"description": "{}"}}"#, "x".repeat(60_000));
    let flaws: Vec<String> = (0..40).map(flaw).collect();
    let text = format!(r#"{{"pear": {{{}}}}}"#, flaws.join(","));
    let within = |limit: usize| {
        let mut kept = Kept::default();
        read_within(limit as u64, "tracker", &mut text.as_bytes(), &mut kept).map(|()| kept.advisories.len())
    };
    assert_eq!(within(text.len()).unwrap(), 40);
    let error = within(text.len() - 1).unwrap_err().to_string();
    let expected =
        format!("tracker is larger than {} bytes, which no document of this form is", text.len() - 1);
    assert_eq!(error, expected);
}
