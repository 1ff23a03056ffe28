//! Findings for eyes: the answer, a table, what does not count, and the age of each feed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use calypte_advisory::matching::Verdict;
use calypte_advisory::{Finding, FixState};
use calypte_pipeline::scan::ScanReport;

use crate::commands::advisories::days;
use crate::output::{self, Table};

/// How many gaps are named, and how many reasons for an unknown answer.
const MOST_GAPS: usize = 10;

/// What is printed.
pub fn text(report: &ScanReport, all: bool) -> String {
    let mut text = format!("{}: {}\n", report.subject, answer(report));
    let mut line = |what: &str| {
        text.push_str(what);
        text.push('\n');
    };
    for reason in report.unknown.iter().take(MOST_GAPS) {
        line(&format!("  unknown: {}", output::printable(reason)));
    }
    if report.unknown.len() > MOST_GAPS {
        line(&format!("  unknown: {} more (--format json has all)", report.unknown.len() - MOST_GAPS));
    }
    let counting: Vec<&Finding> = report.counting().collect();
    if !counting.is_empty() {
        line("");
        line(findings(&counting).trim_end());
    }
    let suppressed: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.suppressed.is_some()).collect();
    if !suppressed.is_empty() {
        line(&format!(
            "\n{} do not count{}",
            suppressed.len(),
            if all { ":" } else { " (--all shows them)" }
        ));
        if all {
            line(taken_away(&suppressed).trim_end());
        }
    }
    for gap in report.gaps.iter().take(MOST_GAPS) {
        line(&format!("not compared: {}: {}", gap.component, output::printable(&gap.reason)));
    }
    if report.gaps.len() > MOST_GAPS {
        line(&format!("not compared: {} more", report.gaps.len() - MOST_GAPS));
    }
    for rule in &report.expired {
        line(&format!("expired, and so without effect: {}", output::printable(rule)));
    }
    line(&format!("\nfeeds: {}", feeds(report)));
    text
}

/// `17 findings: 2 critical, 5 high, 10 low`
fn answer(report: &ScanReport) -> String {
    let mut counts: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
    for finding in report.counting() {
        let word = finding.severity.as_str();
        counts.entry(place(word)).or_insert((word, 0)).1 += 1;
    }
    let count: usize = counts.values().map(|(_, count)| count).sum();
    let of = format!("in {} packages", report.packages);
    match report.verdict {
        Verdict::Clean => format!("clean: no known flaws {of}"),
        Verdict::Unknown => format!("UNKNOWN: nothing was found {of}, but not all could be looked up"),
        Verdict::Found => {
            let grades: Vec<String> =
                counts.values().map(|(word, count)| format!("{count} {word}")).collect();
            let fixable =
                report.counting().filter(|finding| matches!(finding.state, FixState::Fixed(_))).count();
            let word = if count == 1 { "finding" } else { "findings" };
            format!("{count} {word} {of}: {}; {fixable} can be fixed", grades.join(", "))
        }
    }
}

fn place(word: &str) -> usize {
    ["critical", "high", "medium", "low", "negligible"].iter().position(|known| *known == word).unwrap_or(9)
}

fn findings(findings: &[&Finding]) -> String {
    let mut table =
        Table::new(&["FLAW", "PACKAGE", "VERSION", "FIXED IN", "SEVERITY", "EPSS", "RISK", "FEED"], &[5, 6]);
    for finding in findings {
        let exploited = if finding.exploited.is_some() { " EXPLOITED" } else { "" };
        table.row(vec![
            output::printable(&finding.vulnerability),
            output::printable(&finding.name),
            output::printable(&finding.version),
            state(&finding.state),
            format!("{}{exploited}", finding.severity),
            finding.epss.map_or_else(|| "-".to_owned(), |(score, _)| format!("{:.1} %", score * 100.0)),
            format!("{:.1}", finding.risk),
            finding.source.to_string(),
        ]);
    }
    table.render()
}

/// What can be done, in a word or a version.
pub fn state(state: &FixState) -> String {
    match state {
        FixState::Fixed(versions) => {
            output::printable(&versions.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        FixState::NotFixed => "no fix yet".to_owned(),
        FixState::WontFix => "will not be".to_owned(),
        FixState::Deferred => "put off".to_owned(),
        FixState::EndOfLife => "end of life".to_owned(),
        FixState::Unknown => "-".to_owned(),
    }
}

fn taken_away(findings: &[&Finding]) -> String {
    let mut table = Table::new(&["FLAW", "PACKAGE", "BY", "UNTIL", "REASON", "EVIDENCE"], &[]);
    for finding in findings {
        let Some(suppressed) = &finding.suppressed else { continue };
        table.row(vec![
            output::printable(&finding.vulnerability),
            output::printable(&finding.name),
            suppressed.by.clone(),
            suppressed.until.map_or_else(|| "-".to_owned(), |until| until.to_string()),
            output::printable(&suppressed.reason.replace('\n', " ")),
            output::printable(&suppressed.evidence),
        ]);
    }
    table.render()
}

/// `debian-tracker 0 days, epss 12 days (too old)`
fn feeds(report: &ScanReport) -> String {
    if report.feeds.is_empty() {
        return "none tells about what is in it".to_owned();
    }
    let mut text = String::new();
    for (number, feed) in report.feeds.iter().enumerate() {
        let old = if feed.stale { " (too old)" } else { "" };
        let comma = if number == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{} {}{old}", feed.source, days(feed.age_days));
    }
    text
}
