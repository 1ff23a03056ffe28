use crate::feeds::tests::{Kept, advisory, kept, refused};
use crate::feeds::{Feed, read};
use crate::model::{Advisory, Affected, Ecosystem, Event, PackageRole, Severity, Status};

/// A document with these packages (id and URL) in `rhel`, and this flaw or these.
fn document(packages: &[(&str, &str)], flaws: &str) -> String {
    let branches: Vec<String> = packages
        .iter()
        .map(|(id, purl)| {
            format!(
                r#"{{"category": "product_version", "name": "x", "product": {{"name": "x", "product_id": "{id}",
                    "product_identification_helper": {{"purl": "{purl}"}}}}}}"#
            )
        })
        .collect();
    let relation = |id: &str, whole: &str| {
        format!(
            r#"{{"category": "default_component_of", "product_reference": "{id}", "relates_to_product_reference": "{whole}",
                "full_product_name": {{"name": "x", "product_id": "{whole}:{id}"}}}}"#
        )
    };
    let relations: Vec<String> =
        packages.iter().map(|(id, _)| relation(id, "rhel")).chain([relation("lost", "rhel")]).collect();
    format!(
        r#"{{"document": {{"category": "csaf_vex", "csaf_version": "2.0", "title": "A title",
              "aggregate_severity": {{"text": "Low"}},
              "tracking": {{"id": "CVE-2026-1111", "initial_release_date": "2026-01-01T00:00:00+00:00",
                           "current_release_date": "2026-02-01T00:00:00+00:00"}}}},
            "product_tree": {{"branches": [{{"category": "vendor", "name": "Red Hat", "branches": [
                {{"category": "product_name", "name": "R", "product": {{"name": "R", "product_id": "rhel",
                  "product_identification_helper": {{"cpe": "cpe:/o:redhat:enterprise_linux:9::baseos"}}}}}},
                {}]}}], "relationships": [{}],
              "product_groups": [{{"group_id": "all", "product_ids": ["rhel:pear"]}}]}},
            "vulnerabilities": [{flaws}]}}"#,
        branches.join(","),
        relations.join(",")
    )
}

const FIXED: (&str, &str) = ("pear-1:2.0-1.el9.x86_64", "pkg:rpm/redhat/pear@2.0-1.el9?arch=x86_64&epoch=1");
const FIXED_TOO: (&str, &str) =
    ("pear-1:2.0-1.el9.s390x", "pkg:rpm/redhat/pear@2.0-1.el9?arch=s390x&epoch=1");
const SOURCE: (&str, &str) = ("pear-1:2.0-1.el9.src", "pkg:rpm/redhat/pear@2.0-1.el9?arch=src&epoch=1");
const UNFIXED: (&str, &str) = ("pear", "pkg:rpm/redhat/pear?arch=src");

fn one(packages: &[(&str, &str)], flaw: &str) -> Advisory {
    advisory(Feed::Csaf, document(packages, flaw))
}

/// What is known of `pear`, which is affected, given these further members of the flaw.
fn affected(package: (&str, &str), more: &str) -> Affected {
    let flaw = format!(
        r#"{{"cve": "CVE-2026-1111", "product_status": {{"known_affected": ["rhel:{}"]}}{more}}}"#,
        package.0
    );
    one(&[package], &flaw).affected.remove(0)
}

#[test]
fn fixed_packages_by_their_architectures() {
    let advisory = one(
        &[FIXED, FIXED_TOO, SOURCE],
        r#"{"cve": "CVE-2026-1111", "title": "pear: a hole", "release_date": "2026-01-15T00:00:00Z",
            "notes": [{"category": "description", "text": "A hole."}],
            "references": [{"category": "self", "summary": "x", "url": "https://example.com/1"}],
            "product_status": {"fixed": ["rhel:pear-1:2.0-1.el9.x86_64", "rhel:pear-1:2.0-1.el9.s390x",
                                         "rhel:pear-1:2.0-1.el9.src", "rhel:lost", "rhel:nowhere"]},
            "scores": [{"cvss_v3": {"vectorString": "CVSS:3.1/AV:N", "baseScore": 9.8}, "products": ["rhel:pear-1:2.0-1.el9.src"]}],
            "threats": [{"category": "impact", "details": "Moderate"}, {"category": "exploit_status", "details": "x"}]}"#,
    );
    assert_eq!((advisory.id.as_str(), advisory.aliases.len()), ("CVE-2026-1111", 0));
    assert_eq!(advisory.summary, "pear: a hole");
    assert_eq!(advisory.published.unwrap().to_string(), "2026-01-15T00:00:00Z");
    assert_eq!(advisory.modified.unwrap().to_string(), "2026-02-01T00:00:00Z");
    let severities = [Severity::Cvss("CVSS:3.1/AV:N".to_owned()), Severity::Word("Moderate".to_owned())];
    assert_eq!(advisory.severities, severities);
    let [source, binary] = advisory.affected.as_slice() else { panic!("two entries") };
    assert_eq!((source.role, binary.role), (PackageRole::Source, PackageRole::Binary));
    assert_eq!(source.ecosystem, Ecosystem::RedHat("cpe:/o:redhat:enterprise_linux:9::baseos".to_owned()));
    let events = [Event::Introduced("0".to_owned()), Event::Fixed("1:2.0-1.el9".to_owned())];
    assert_eq!(source.ranges[0].events, events);
    assert_eq!(binary.ranges[0].events, events);
    assert_eq!(binary.architectures, ["s390x".to_owned(), "x86_64".to_owned()].into());
    assert!(source.architectures.is_empty());
}

#[test]
fn what_is_to_become_of_unfixed_packages() {
    let remedy = |category: &str, details: &str| {
        format!(
            r#", "remediations": [{{"category": "{category}", "details": "{details}", "product_ids": ["rhel:pear"]}}]"#
        )
    };
    for (category, details, expected) in [
        ("none_available", "Affected", Status::Affected),
        ("none_available", "Fix deferred", Status::Deferred),
        ("no_fix_planned", "Fix deferred", Status::Deferred),
        ("no_fix_planned", "Will not fix", Status::WontFix),
        ("no_fix_planned", "Out of support scope", Status::EndOfLife),
        ("no_fix_planned", "For reasons", Status::WontFix),
        ("workaround", "Will not fix", Status::Affected),
    ] {
        let known = affected(UNFIXED, &remedy(category, details));
        assert_eq!((known.status, known.role), (expected, PackageRole::Source), "{category} {details}");
        assert_eq!(known.ranges[0].events, [Event::Introduced("0".to_owned())]);
    }
    let group = r#", "remediations": [{"category": "no_fix_planned", "details": "Will not fix", "group_ids": ["all"]}]"#;
    assert_eq!(affected(UNFIXED, group).status, Status::WontFix);
}

#[test]
fn not_affected_of_a_build_and_of_all() {
    let advisory = one(
        &[FIXED, UNFIXED],
        r#"{"cve": "CVE-2026-1111", "product_status": {
            "known_not_affected": ["rhel:pear-1:2.0-1.el9.x86_64"], "under_investigation": ["rhel:pear"]}}"#,
    );
    let [source, binary] = advisory.affected.as_slice() else { panic!("two entries") };
    assert_eq!((binary.status, binary.ranges.len()), (Status::NotAffected, 0));
    assert_eq!(binary.versions, ["1:2.0-1.el9".to_owned()].into());
    assert_eq!((source.status, source.ranges.len()), (Status::UnderInvestigation, 1));
    let advisory = one(
        &[UNFIXED],
        r#"{"cve": "CVE-2026-1111", "product_status": {"known_not_affected": ["rhel:pear"]}}"#,
    );
    let entry = &advisory.affected[0];
    assert!(entry.ranges.is_empty() && entry.versions.is_empty() && entry.status == Status::NotAffected);
    assert_eq!(advisory.severities, [Severity::Word("Low".to_owned())], "of the document as a whole");
}

#[test]
fn modules_in_their_three_spellings() {
    for (purl, version) in [
        ("pkg:rpm/redhat/pear?arch=src&rpmmod=fruit:18:8090020240301110609:a75119d5", None),
        ("pkg:rpm/redhat/pear@18?arch=src&rpmmod=fruit:18", None),
        ("pkg:rpmmod/redhat/fruit:18/pear", None),
        ("pkg:rpm/redhat/pear@2-1.module%2Bel8?arch=src&rpmmod=fruit%3A18", Some("2-1.module+el8")),
    ] {
        let known = affected(("pear", purl), "");
        assert_eq!((known.package.as_str(), known.module.as_deref()), ("pear", Some("fruit:18")), "{purl}");
        assert_eq!((known.versions.first().map(String::as_str), known.role), (version, PackageRole::Source));
    }
    // By a relationship: the package of the module of the release. And a circle, which has no end.
    let text = document(
        &[FIXED, ("fruit:18:80:a", "pkg:rpmmod/redhat/fruit@18:80:a")],
        r#"{"cve": "CVE-2026-1111", "product_status": {"fixed": ["deep", "circle"]}}"#,
    );
    let deep = |id: &str, part: &str, whole: &str| {
        format!(
            r#"{{"product_reference": "{part}", "relates_to_product_reference": "{whole}",
                "full_product_name": {{"name": "x", "product_id": "{id}"}}}},"#
        )
    };
    let more = deep("deep", FIXED.0, "rhel:fruit:18:80:a") + &deep("circle", FIXED.0, "circle");
    let known =
        advisory(Feed::Csaf, text.replace("\"relationships\": [", &format!("\"relationships\": [{more}")));
    let [entry] = known.affected.as_slice() else { panic!("one entry") };
    assert_eq!(entry.module.as_deref(), Some("fruit:18"));
}

#[test]
fn severities_that_differ_between_packages() {
    let advisory = one(
        &[SOURCE, UNFIXED],
        r#"{"cve": "CVE-2026-1111", "product_status": {"fixed": ["rhel:pear-1:2.0-1.el9.src"], "known_affected": ["rhel:pear"]},
            "threats": [{"category": "impact", "details": "Important", "product_ids": ["rhel:pear-1:2.0-1.el9.src"]},
                        {"category": "impact", "details": "Low", "group_ids": ["all"]}]}"#,
    );
    let words: Vec<_> = advisory.affected.iter().map(|entry| entry.severities.as_slice()).collect();
    let word = |word: &str| [Severity::Word(word.to_owned())];
    assert_eq!(words, [&word("Low")[..], &word("Important")[..]]);
}

#[test]
fn an_update_fixes_several_flaws() {
    let kept = kept(
        Feed::Csaf,
        document(
            &[SOURCE],
            r#"{"cve": "CVE-2026-2222"}, {"ids": [{"system_name": "x", "text": "X-1"}]}, {}"#,
        )
        .replace("cpe:/o:redhat:enterprise_linux:9::baseos", "cpe:/a:redhat:hummingbird:1")
        .replace("\"id\": \"CVE-2026-1111\"", "\"id\": \"RHSA-2026:1\""),
    );
    let ids: Vec<_> = kept.advisories.iter().map(|advisory| advisory.id.as_str()).collect();
    assert_eq!(ids, ["RHSA-2026:1/CVE-2026-2222", "RHSA-2026:1/X-1", "RHSA-2026:1/3"]);
    assert_eq!(kept.advisories[0].aliases, ["CVE-2026-2222".to_owned()].into());
    assert_eq!(kept.dated.unwrap().to_string(), "2026-02-01T00:00:00Z");
}

#[test]
fn the_products_of_hummingbird_are_one_ecosystem() {
    let text = document(&[SOURCE], r#"{"product_status": {"fixed": ["rhel:pear-1:2.0-1.el9.src"]}}"#);
    let text = text.replace("cpe:/o:redhat:enterprise_linux:9::baseos", "cpe:/a:redhat:hummingbird:1");
    assert_eq!(advisory(Feed::Csaf, text).affected[0].ecosystem, Ecosystem::Hummingbird);
}

#[test]
fn deleted_and_rejected_are_withdrawn() {
    let rows = "\"2026/cve-2026-1111.json\",\"2026-03-01T00:00:00+00:00\"\n\n\"2026/rhsa-2026_2705.json\",\"2026-03-02\"\n";
    let mut kept = Kept::default();
    read(Feed::Csaf, "vex/deletions.csv", &mut rows.as_bytes(), &mut kept).unwrap();
    read(Feed::Csaf, "vex/changes.csv", &mut rows.as_bytes(), &mut kept).unwrap();
    let ids: Vec<_> = kept.advisories.iter().map(|advisory| advisory.id.as_str()).collect();
    assert_eq!(ids, ["CVE-2026-1111", "RHSA-2026:2705"]);
    assert_eq!(kept.advisories[0].withdrawn.unwrap().to_string(), "2026-03-01T00:00:00Z");
    for (rows, expected) in [
        ("\"a.json\"\n", "vex/deletions.csv: row 1: a row has a path and a time"),
        ("\"a.txt\",\"2026-03-02\"", "row 1: `a.txt` is no path of a document"),
        ("\n\"a.json\",\"soon\"", "row 2: `soon` is no time"),
    ] {
        let error = read(Feed::Csaf, "vex/deletions.csv", &mut rows.as_bytes(), &mut kept).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let rejected = r#"{"cve": "CVE-2026-1111", "title": "x",
        "notes": [{"category": "description", "text": "** REJECT ** No hole."}]}"#;
    assert!(one(&[SOURCE], rejected).withdrawn.is_some());
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let whole = document(&[SOURCE], "{}");
    for (text, expected) in [
        ("{}".to_owned(), "line 1, column 2: missing field `document`"),
        (whole.replace("\"2.0\"", "\"1.2\""), "document.csaf_version: version `1.2` of CSAF is not 2"),
        (whole.replace("\"id\": \"CVE-2026-1111\"", "\"id\": \"\""), "document.tracking.id"),
        (
            whole.replace("2026-02-01T00", "2026-02-99T00"),
            "document.tracking.current_release_date: `2026-02-99",
        ),
        (
            document(&[SOURCE], r#"{"release_date": "soon"}"#),
            "vulnerabilities[0].release_date: `soon` is no time",
        ),
        (document(&[SOURCE], r#"{"product_status": 1}"#), "invalid type: integer `1`, expected struct Lists"),
        (document(&[SOURCE], r#"{"cve": 1}"#), "expected a string"),
    ] {
        let error = refused(Feed::Csaf, &text);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
