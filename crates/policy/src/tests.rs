//! Each rule with an image that it lets pass and one that it refuses, and what exceptions do.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest, Epoch};

use crate::*;

const NOW: Epoch = Epoch(1_800_000_000);
const DAY: i64 = 86_400;

/// An image that all shipped rules let pass.
fn good() -> Subject {
    let predicates = [
        "https://slsa.dev/provenance/v1",
        "https://spdx.dev/Document",
        "https://cyclonedx.org/bom",
        "https://openvex.dev/ns",
        "https://in-toto.io/attestation/test-result/v0.1",
        "https://in-toto.io/attestation/vulns/v0.2",
    ];
    let digest = Digest::of(b"manifest");
    let finding = Finding {
        id: "CVE-2026-1".into(),
        severity: "high".into(),
        name: "zlib1g".into(),
        version: "1".into(),
        fixed: Vec::new(),
        fix_since: None,
        exploited: false,
    };
    let passed = Test { name: "runs".into(), outcome: "passed", reason: String::new(), excused: false };
    let excused = Test { outcome: "skipped", excused: true, ..passed.clone() };
    Subject {
        image: "nginx".into(),
        universe: "debian-sid".into(),
        digest: Digest::of(b"index"),
        signer: Some("key".into()),
        now: NOW,
        repositories: vec![Repository { name: "main".into(), date: Epoch(NOW.0 - DAY), stale: false }],
        lifecycle: Lifecycle::default(),
        images: vec![Built {
            architecture: Architecture::Amd64,
            digest,
            size: 50_000_000,
            size_before: Some(49_000_000),
            attested: Attested {
                predicates: predicates.map(str::to_owned).to_vec(),
                materials: 5,
                packages: 2,
                components: 2,
                unexplained_files: 0,
            },
            unknown_scripts: Vec::new(),
            tests: Some(Tests { all: vec![passed, excused] }),
            scan: Some(Scan { unknown: Vec::new(), findings: vec![finding] }),
            rebuilt: Some(Rebuilt { digest }),
            licences: vec![
                LicenceOf { name: "zlib1g".into(), licences: vec!["Zlib".into()] },
                LicenceOf { name: "odd".into(), licences: Vec::new() },
            ],
        }],
    }
}

fn policy(settings: &Settings, exceptions: Vec<Exception>) -> Policy {
    Policy::new(&BTreeMap::new(), settings, exceptions).unwrap()
}

fn verdict(change: impl FnOnce(&mut Subject)) -> Verdict {
    let mut subject = good();
    change(&mut subject);
    policy(&Settings::default(), Vec::new()).judge(&subject).unwrap()
}

/// The rules that refuse a changed image.
fn refused(change: impl FnOnce(&mut Subject)) -> Vec<String> {
    let verdict = verdict(change);
    assert_eq!(verdict.passed, verdict.refusals.is_empty());
    for refusal in &verdict.refusals {
        assert!(!refusal.message.is_empty() && !refusal.cure.is_empty(), "{refusal:?}");
        assert_eq!(refusal.image, "nginx");
    }
    verdict.refusals.into_iter().map(|refusal| refusal.rule).collect()
}

#[test]
fn a_good_image_passes_every_rule() {
    let verdict = verdict(|_| {});
    assert_eq!(verdict.refusals, []);
    assert!(verdict.passed && verdict.packages.len() == 11, "{:?}", verdict.packages);
}

#[test]
fn evidence_is_signed_and_complete() {
    assert_eq!(refused(|it| it.signer = None), ["builtin.image.signature_check"]);
    assert_eq!(refused(|it| it.images.clear()), ["builtin.image.signature_check"]);
    let lost = |kind: &'static str| {
        refused(move |it| it.images[0].attested.predicates.retain(|other| !other.contains(kind)))
    };
    assert_eq!(lost("vulns"), ["builtin.attestation.signature_check"]);
    let provenance = "slsa_provenance_available.attestation_predicate_type_accepted";
    assert_eq!(lost("slsa"), ["builtin.attestation.signature_check", provenance]);
    let materials = refused(|it| it.images[0].attested.materials = 1);
    assert_eq!(materials, ["slsa_provenance_available.materials_complete"]);
    assert_eq!(refused(|it| it.images[0].attested.components = 1), ["sbom.found"]);
    assert_eq!(refused(|it| it.images[0].attested.unexplained_files = 1), ["sbom.files_explained"]);
}

#[test]
fn a_flaw_with_a_fix_is_refused() {
    let fixed = |it: &mut Subject, days: Option<i64>| {
        let finding = &mut it.images[0].scan.as_mut().unwrap().findings[0];
        finding.fixed = vec!["2".into()];
        finding.fix_since = days.map(|days| Epoch(NOW.0 - days * DAY));
    };
    let verdict = verdict(|it| fixed(it, None));
    let [refusal] = verdict.refusals.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((refusal.rule.as_str(), refusal.term.as_deref()), ("cve.cve_blockers", Some("CVE-2026-1")));
    assert_eq!(refusal.architecture, Some(Architecture::Amd64));
    assert_eq!(refusal.message, "CVE-2026-1 (high) is in zlib1g 1, and 2 fixes it");
    let leeway = policy(&Settings { cve_leeway_days: 3, ..Settings::default() }, Vec::new());
    for (days, passes) in [(Some(2), true), (Some(4), false), (None, false)] {
        let mut subject = good();
        fixed(&mut subject, days);
        assert_eq!(leeway.judge(&subject).unwrap().passed, passes, "{days:?}");
    }
    assert_eq!(refused(|it| it.images[0].scan = None), ["cve.cve_results_found"]);
    let unknown = |it: &mut Subject| it.images[0].scan.as_mut().unwrap().unknown = vec!["old feed".into()];
    assert_eq!(refused(unknown), ["cve.cve_results_found"]);
}

#[test]
fn a_stale_universe_is_refused() {
    assert_eq!(refused(|it| it.repositories[0].stale = true), ["freshness.no_stale_universe"]);
    assert_eq!(refused(|it| it.repositories[0].date = Epoch(NOW.0 - 15 * DAY)), ["freshness.universe_age"]);
    assert_eq!(refused(|it| it.repositories.clear()), ["freshness.universe_found"]);
}

#[test]
fn tests_are_run_pass_and_are_not_skipped() {
    assert_eq!(refused(|it| it.images[0].tests = None), ["test.test_data_found"]);
    let outcome = |outcome: &'static str| {
        refused(move |it| {
            let test = &mut it.images[0].tests.as_mut().unwrap().all[0];
            test.outcome = outcome;
            test.reason = "no".into();
        })
    };
    assert_eq!(outcome("failed"), ["test.no_failed_tests"]);
    assert_eq!(outcome("skipped"), ["test.no_skipped_tests"]);
}

#[test]
fn scripts_builds_sizes_licences_and_ends() {
    let script = |it: &mut Subject| it.images[0].unknown_scripts = vec!["postinst of a 1".into()];
    assert_eq!(refused(script), ["scripts.reviewed"]);
    assert_eq!(refused(|it| it.images[0].rebuilt = None), ["reproducible.second_build_found"]);
    let other = Rebuilt { digest: Digest::of(b"other") };
    assert_eq!(refused(|it| it.images[0].rebuilt = Some(other)), ["reproducible.same_digest"]);
    assert_eq!(refused(|it| it.images[0].size_before = Some(39_000_000)), ["size.growth"]);
    assert_eq!(refused(|it| it.images[0].size_before = None), [""; 0]);
    // A small image may double.
    let small = |it: &mut Subject| (it.images[0].size, it.images[0].size_before) = (900_000, Some(400_000));
    assert_eq!(refused(small), [""; 0]);
    let denied = |it: &mut Subject| it.images[0].licences[0].licences.push("SSPL-1.0".into());
    assert_eq!(refused(denied), ["licences.denied"]);
    let strict = policy(&Settings { refuse_unknown_licences: true, ..Settings::default() }, Vec::new());
    assert_eq!(strict.judge(&good()).unwrap().refusals[0].rule, "licences.known");
    let ended = |it: &mut Subject| it.lifecycle.ended = vec!["packages: END OF LIFE since 2026-01-01".into()];
    assert_eq!(refused(ended), ["lifecycle.end_of_life"]);
}

#[test]
fn an_exception_counts_until_its_day_for_its_image() {
    let text = "exceptions:\n  - rule: scripts.reviewed\n    image: nginx\n    reason: read by two of us, table follows\n    until: 2027-01-31\n";
    let judged = |text: &str, image: &str, now: &str| {
        let policy = policy(&Settings::default(), exceptions("e.yaml", text).unwrap());
        let mut subject = good();
        subject.image = image.into();
        subject.now = now.parse().unwrap();
        subject.repositories[0].date = subject.now;
        subject.images[0].unknown_scripts = vec!["postinst of a 1".into()];
        policy.judge(&subject).unwrap()
    };
    let passed = judged(text, "nginx", "2027-01-30T23:59:59Z");
    assert!(passed.passed && passed.excepted[0].reason.contains("two of us"), "{passed:?}");
    assert_eq!(passed.excepted[0].until, "2027-01-31");
    assert!(!judged(text, "redis", "2027-01-01T00:00:00Z").passed);
    let over = judged(text, "nginx", "2027-01-31T00:00:00Z");
    assert!(!over.passed && over.expired[0].contains("ended on 2027-01-31"), "{over:?}");
    // For one thing alone that the rule refuses.
    let one = text.replace("scripts.reviewed", "\"scripts.reviewed:postinst of a 1\"");
    assert!(judged(&one, "nginx", "2027-01-01T00:00:00Z").passed);
    let other = text.replace("scripts.reviewed", "\"scripts.reviewed:postinst of b 1\"");
    assert!(!judged(&other, "nginx", "2027-01-01T00:00:00Z").passed);
}

#[test]
fn an_exception_needs_a_reason_and_a_day() {
    let wrong = |from: &str, to: &str| {
        let text =
            "exceptions:\n  - rule: a.b\n    reason: because\n    until: 2027-01-31\n".replace(from, to);
        exceptions("e.yaml", &text).unwrap_err().to_string()
    };
    assert!(wrong("    reason: because\n", "").contains("reason"));
    assert!(wrong("because", "\" \"").contains("empty"));
    assert!(wrong("    until: 2027-01-31\n", "").contains("until"));
    assert!(wrong("2027-01-31", "2027-02-31").contains("is no day"));
}

#[test]
fn rules_of_one_s_own_stand_beside_the_shipped_ones_or_in_their_place() {
    let own = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), text.to_owned())]);
    let rule = "package ours\n\nimport rego.v1\n\ndeny contains {\"rule\": \"no_nginx\", \"message\": \"m\", \"cure\": \"c\"} if {\n\tinput.image == \"nginx\"\n}\n";
    let judged = |files| Policy::new(&files, &Settings::default(), Vec::new()).unwrap().judge(&good());
    assert_eq!(judged(own("ours.rego", rule)).unwrap().refusals[0].rule, "ours.no_nginx");
    let instead = judged(own("cve.rego", rule)).unwrap();
    assert!(!instead.packages.contains(&"cve".to_owned()) && !instead.passed);

    let broken =
        Policy::new(&own("b.rego", "package b\n\ndeny contains {"), &Settings::default(), Vec::new());
    assert!(broken.unwrap_err().to_string().starts_with("b.rego is no file of rules"));
    // A file that would refuse nothing by mistake is an error, not a pass.
    let error = judged(own("b.rego", "package b\n\nimport rego.v1\n\nallow := true\n")).unwrap_err();
    assert!(error.to_string().contains("package `data.b`") && error.hint().is_some(), "{error}");
    let error = judged(own("b.rego", "package b\n\nimport rego.v1\n\ndeny contains \"no\"\n")).unwrap_err();
    assert!(error.to_string().contains("no refusal"), "{error}");
}

#[test]
fn what_was_asked_is_told_by_its_digest() {
    let digest = |settings: &Settings| policy(settings, Vec::new()).digest();
    let changed = Settings { index_days: 3, ..Settings::default() };
    assert_eq!(digest(&Settings::default()), digest(&Settings::default()));
    assert_ne!(digest(&Settings::default()), digest(&changed));
}

/// The blocks of this language in the guide.
fn blocks(language: &str) -> Vec<&'static str> {
    let guide = include_str!("../../../docs/guides/pipeline.md");
    let fence = format!("```{language}\n");
    guide.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_guide_s_files_are_what_it_says() {
    let [rule] = blocks("rego")[..] else { panic!("one rule") };
    let yaml = blocks("yaml");
    let settings: Settings = calypte_definition::yaml::from_str("settings.yaml", yaml[0]).unwrap();
    assert_eq!(settings, Settings::default());
    let exceptions = exceptions("exceptions.yaml", yaml[1]).unwrap();
    assert_eq!(exceptions.len(), 2);
    let files = BTreeMap::from([("ours.rego".to_owned(), rule.to_owned())]);
    let policy = Policy::new(&files, &settings, exceptions).unwrap();
    assert!(policy.judge(&good()).unwrap().passed);
    let mut heavy = good();
    (heavy.images[0].size, heavy.images[0].size_before) = (100_000_001, None);
    assert_eq!(policy.judge(&heavy).unwrap().refusals[0].rule, "ours.small");
    // The guide names every package.
    let guide = include_str!("../../../docs/guides/pipeline.md");
    for package in policy.judge(&good()).unwrap().packages.iter().filter(|name| *name != "ours") {
        assert!(guide.contains(&format!("`{package}.")), "{package}");
    }
}
