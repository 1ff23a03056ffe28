//! Ignore rules: findings that are not to count for a while. Each needs a reason and a day on which it ends; one that is past
//! its day does nothing, and is reported. They are written as YAML (`docs/reference/scan.md`).

use std::fmt;

use calypte_base::Epoch;
use serde::Deserialize;
use serde::de::Error as _;

use crate::finding::{Finding, Suppressed};

/// A file of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreRules {
    /// The rules, in the order of the file.
    pub rules: Vec<IgnoreRule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreRule {
    /// The flaw, by its number or any other of its names.
    #[serde(deserialize_with = "words")]
    pub flaw: String,
    /// Only in this package, by its own name or that of its source; in all where none is named.
    pub package: Option<String>,
    /// Only in this image or family (`python:3.14`, `python`); in all where none is named.
    pub image: Option<String>,
    /// Why.
    #[serde(deserialize_with = "words")]
    pub reason: String,
    /// The first day on which it counts again, at its beginning in UTC.
    #[serde(deserialize_with = "day")]
    pub until: Epoch,
}

fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("it is empty"));
    }
    Ok(text)
}

fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Epoch, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let parsed = is_day.then(|| format!("{text}T00:00:00Z").parse().ok()).flatten();
    parsed.ok_or_else(|| D::Error::custom(format!("`{text}` is no day; write it as \"2027-01-31\"")))
}

impl fmt::Display for IgnoreRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.flaw)?;
        if let Some(package) = &self.package {
            write!(formatter, " in {package}")?;
        }
        if let Some(image) = &self.image {
            write!(formatter, " of {image}")?;
        }
        write!(formatter, ", until {}: {}", self.until, self.reason)
    }
}

impl IgnoreRule {
    fn fits(&self, finding: &Finding, image: &str) -> bool {
        let is_flaw = |name: &String| name.eq_ignore_ascii_case(&self.flaw);
        let flaw = is_flaw(&finding.vulnerability) || finding.aliases.iter().any(is_flaw);
        let is_package = |name: &String| *name == finding.name || *name == finding.matched;
        let family = image.split(':').next().unwrap_or(image);
        flaw && self.package.as_ref().is_none_or(is_package)
            && self.image.as_deref().is_none_or(|name| name == image || name == family)
    }
}

/// Takes away the findings that a rule fits and that nothing else takes away; the rules that would have fitted and are past
/// their day.
pub fn apply<'r>(
    findings: &mut [Finding],
    rules: &'r [IgnoreRule],
    image: &str,
    now: Epoch,
) -> Vec<&'r IgnoreRule> {
    let mut expired = Vec::new();
    for rule in rules {
        for finding in findings.iter_mut() {
            if finding.suppressed.is_some() || !rule.fits(finding, image) {
                continue;
            }
            if rule.until <= now {
                if !expired.contains(&rule) {
                    expired.push(rule);
                }
                continue;
            }
            finding.suppressed = Some(Suppressed {
                by: "ignore".to_owned(),
                reason: rule.reason.clone(),
                evidence: "ignore rule".to_owned(),
                until: Some(rule.until),
            });
        }
    }
    expired
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use calypte_definition::yaml;

    use super::*;
    use crate::{FixState, SourceName};

    fn finding(flaw: &str, name: &str) -> Finding {
        Finding {
            vulnerability: flaw.into(),
            aliases: BTreeSet::from(["GHSA-1".to_owned()]),
            component: format!("deb/{name}"),
            name: name.into(),
            version: "1".into(),
            purl: String::new(),
            source: SourceName("s".into()),
            advisory: flaw.into(),
            matched: "openssl".into(),
            matched_version: "1".into(),
            range: String::new(),
            state: FixState::NotFixed,
            severity: "high".into(),
            scores: Vec::new(),
            epss: None,
            exploited: None,
            risk: 0.0,
            published: None,
            fix_since: None,
            files: Vec::new(),
            layers: BTreeSet::new(),
            references: Vec::new(),
            suppressed: None,
        }
    }

    fn rules(text: &str) -> Result<Vec<IgnoreRule>, String> {
        yaml::from_str::<IgnoreRules>("i.yaml", text).map(|it| it.rules).map_err(|error| error.to_string())
    }

    /// What the rule leaves of three findings of `python:3.14`, by name, and how many rules were past their day.
    fn left(text: &str) -> (Vec<String>, usize) {
        let rules = rules(text).unwrap();
        let mut findings = vec![
            finding("CVE-2026-0001", "libssl3"),
            finding("CVE-2026-0001", "zlib1g"),
            finding("CVE-2026-0002", "libssl3"),
        ];
        let now = "2026-11-29T00:00:00Z".parse().unwrap();
        let expired = apply(&mut findings, &rules, "python:3.14", now).len();
        let left = findings.iter().filter(|finding| finding.suppressed.is_none());
        (left.map(|finding| format!("{} {}", finding.vulnerability, finding.name)).collect(), expired)
    }

    #[test]
    fn a_rule_takes_away_what_it_names_until_its_day() {
        let rule = |more: &str, until: &str| {
            format!(
                "rules:\n  - flaw: cve-2026-0001\n{more}    reason: Looked into.\n    until: \"{until}\"\n"
            )
        };
        assert_eq!(left(&rule("", "2026-11-30")).0, ["CVE-2026-0002 libssl3"]);
        assert_eq!(left(&rule("    package: zlib1g\n", "2026-11-30")).0.len(), 2);
        assert_eq!(left(&rule("    package: openssl\n", "2026-11-30")).0, ["CVE-2026-0002 libssl3"]);
        assert_eq!(left(&rule("    image: python\n", "2026-11-30")).0.len(), 1);
        assert_eq!(left(&rule("    image: nginx\n", "2026-11-30")), (left("rules: []\n").0, 0));
        assert_eq!(left(&rule("", "2026-11-29")), (left("rules: []\n").0, 1));
        assert_eq!(left(&rule("", "2026-11-30").replace("cve-2026-0001", "ghsa-1")).0.len(), 0);
    }

    #[test]
    fn a_rule_without_reason_or_end_is_none() {
        for (text, expected) in [
            ("rules:\n  - flaw: CVE-1\n    until: \"2027-01-01\"\n", "reason"),
            ("rules:\n  - flaw: CVE-1\n    reason: \" \"\n    until: \"2027-01-01\"\n", "it is empty"),
            ("rules:\n  - flaw: CVE-1\n    reason: x\n", "until"),
            ("rules:\n  - flaw: CVE-1\n    reason: x\n    until: forever\n", "`forever` is no day"),
            ("rules:\n  - flaw: CVE-1\n    reason: x\n    until: \"2027-02-30\"\n", "`2027-02-30` is no day"),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
