//! What tests and scans came to, in the forms that policy engines read.

use serde_json::{Value, json};

/// One test of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// Its name.
    pub name: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// Why it was not run.
    pub skipped: Option<String>,
}

/// The predicate of in-toto's test-result, version 0.1. A test that was not run is told as a warning: it is neither
/// passed nor failed.
#[must_use]
pub fn test_result(runs: &[TestRun]) -> Value {
    let names = |wanted: &dyn Fn(&TestRun) -> bool| -> Vec<&str> {
        runs.iter().filter(|run| wanted(run)).map(|run| run.name.as_str()).collect()
    };
    let failed = names(&|run| run.failure.is_some());
    let skipped = names(&|run| run.failure.is_none() && run.skipped.is_some());
    let result = match (failed.is_empty(), skipped.is_empty()) {
        (false, _) => "FAILED",
        (true, false) => "WARNED",
        (true, true) => "PASSED",
    };
    json!({
        "result": result,
        "configuration": [],
        "passedTests": names(&|run| run.failure.is_none() && run.skipped.is_none()),
        "warnedTests": skipped,
        "failedTests": failed,
    })
}

/// A flaw that a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name: `CVE-2026-1`.
    pub id: String,
    /// How bad it is: `high`.
    pub severity: String,
    /// In what: the package's URL.
    pub package: String,
    /// The version that has a fix, where there is one.
    pub fixed: Option<String>,
}

/// The predicate of in-toto's vulns, version 0.2. `database` says which state of the advisories was looked at, `at` when it
/// was made, in RFC 3339.
#[must_use]
pub fn vulnerabilities(version: &str, database: &str, at: &str, findings: &[Finding]) -> Value {
    let result: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "id": finding.id,
                "severity": [{ "method": "calypte", "score": finding.severity }],
                "annotations": [{ "package": finding.package, "fixed": finding.fixed }],
            })
        })
        .collect();
    json!({
        "scanner": {
            "uri": "urn:calypte:scan",
            "version": version,
            "db": { "uri": "urn:calypte:advisories", "version": database, "lastUpdate": at },
            "result": result,
        },
        "metadata": { "scanStartedOn": at, "scanFinishedOn": at },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_was_not_run_is_no_pass() {
        let run = |name: &str, failure: Option<&str>, skipped: Option<&str>| TestRun {
            name: name.into(),
            failure: failure.map(Into::into),
            skipped: skipped.map(Into::into),
        };
        let result = |runs: &[TestRun]| test_result(runs)["result"].clone();
        assert_eq!(result(&[run("a", None, None)]), "PASSED");
        assert_eq!(result(&[run("a", None, None), run("b", None, Some("emulated"))]), "WARNED");
        assert_eq!(result(&[run("a", Some("no"), None), run("b", None, Some("x"))]), "FAILED");
        let told = test_result(&[run("a", None, None), run("b", None, Some("x"))]);
        assert_eq!((&told["passedTests"][0], &told["warnedTests"][0]), (&json!("a"), &json!("b")));
    }
}
