//! Findings as SARIF 2.1.0, which code hosts and editors show: a rule for each flaw, a result for each component that has it.

use std::collections::BTreeMap;

use calypte_advisory::{Finding, FixState};
use serde_json::{Value, json};

/// The form's own schema (section 3.13.3 of the standard).
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The document for what was scanned; `complete` where nothing stood in the way of the scan.
pub fn document(subject: &str, findings: &[Finding], complete: bool) -> Value {
    let mut flaws: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in findings {
        let worst = flaws.entry(&finding.vulnerability).or_insert(finding);
        if finding.risk > worst.risk {
            *worst = finding;
        }
    }
    let rules: Vec<Value> = flaws.values().map(|finding| rule(finding)).collect();
    let places: BTreeMap<&str, usize> =
        flaws.keys().enumerate().map(|(place, flaw)| (*flaw, place)).collect();
    let result = |finding: &Finding| {
        let mut result = result(subject, finding);
        result["ruleIndex"] = json!(places.get(finding.vulnerability.as_str()));
        result
    };
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "calypte",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{"executionSuccessful": complete}],
            "results": findings.iter().map(result).collect::<Vec<_>>(),
            "columnKind": "unicodeCodePoints",
        }],
    })
}

fn rule(finding: &Finding) -> Value {
    let score = finding.scores.iter().map(|score| score.score).fold(0.0, f64::max);
    let mut rule = json!({
        "id": finding.vulnerability,
        "shortDescription": {"text": format!("{} ({})", finding.vulnerability, finding.severity)},
        "defaultConfiguration": {"level": level(&finding.severity)},
        "properties": {"tags": ["security", "vulnerability", finding.severity]},
    });
    if let Some(url) = finding.references.first() {
        rule["helpUri"] = json!(url);
    }
    // By this number, as text, GitHub sorts.
    if score > 0.0 {
        rule["properties"]["security-severity"] = json!(format!("{score:.1}"));
    }
    rule
}

fn result(subject: &str, finding: &Finding) -> Value {
    let file = finding.files.first().map_or("", |path| path.trim_start_matches('/'));
    let mut result = json!({
        "ruleId": finding.vulnerability,
        "level": level(&finding.severity),
        "message": {"text": message(subject, finding)},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": if file.is_empty() { subject } else { file }}},
            "logicalLocations": [{"fullyQualifiedName": finding.purl, "kind": "module"}],
        }],
        "partialFingerprints": {"flawAndPackage/v1": format!("{} {}", finding.vulnerability, finding.component)},
    });
    if let Some(suppressed) = &finding.suppressed {
        result["suppressions"] = json!([{"kind": "external", "justification": suppressed.reason}]);
    }
    result
}

fn message(subject: &str, finding: &Finding) -> String {
    let fix = match &finding.state {
        FixState::Fixed(versions) => {
            format!("fixed in {}", versions.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        FixState::NotFixed => "not fixed yet".to_owned(),
        FixState::WontFix => "will not be fixed".to_owned(),
        FixState::Deferred => "its fix was put off".to_owned(),
        FixState::EndOfLife => "past its end of life".to_owned(),
        FixState::Unknown => "nobody says whether it is fixed".to_owned(),
    };
    format!(
        "{} {} in {subject} has {} ({}): {fix}. {} of {} says so, for {} {}",
        finding.name,
        finding.version,
        finding.vulnerability,
        finding.severity,
        finding.advisory,
        finding.source,
        finding.matched,
        finding.range
    )
}

/// The standard knows three grades (section 3.27.10).
fn level(severity: &str) -> &'static str {
    match severity {
        "critical" | "high" => "error",
        "medium" | "unknown" => "warning",
        _ => "note",
    }
}
