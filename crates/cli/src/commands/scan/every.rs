//! `calypte scan --every-image`: what is known against each image of a universe, counted.

use anyhow::Result;
use calypte_advisory::database::Database;
use calypte_advisory::matching::Verdict as Answer;
use calypte_pipeline::scan::{Knowledge, is_fixable, scan};
use serde::Serialize;

use super::{Arguments, refuses};
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// One image.
#[derive(Debug, Serialize)]
struct Row {
    image: String,
    packages: usize,
    verdict: Answer,
    /// Findings that count.
    findings: usize,
    /// Those of them that a newer version of the package fixes.
    fixable: usize,
    /// The flaws that nothing fixes yet, each once.
    without_fix: Vec<String>,
    unknown: usize,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    universe: &'a str,
    images: &'a [Row],
    findings: usize,
    fixable: usize,
}

/// Scans all and prints the table.
///
/// # Errors
/// When an image cannot be built, or the database cannot be read.
pub(super) fn run(
    session: &Session,
    arguments: &Arguments,
    database: &Database,
    knowledge: &Knowledge,
) -> Result<Verdict> {
    let factory = session.factory()?;
    let universe = &arguments.subject.universe;
    let architecture = arguments.subject.arch.unwrap_or_else(super::super::native_architecture);
    let mut rows = Vec::new();
    let mut verdict = Verdict::Yes;
    for family in factory.families(&[], universe)? {
        for image in factory.images_of(&family, universe) {
            let bill = factory.bill(&image, universe, architecture)?;
            let mut report = scan(&bill, database, knowledge, session.now())?;
            if arguments.only_fixed {
                report.keep(is_fixable);
            }
            if arguments.fail_on.is_some_and(|grade| refuses(&report, grade)) {
                verdict = Verdict::No;
            }
            let open = report.counting().filter(|finding| !is_fixable(finding));
            let mut without_fix: Vec<String> = open.map(|finding| finding.vulnerability.clone()).collect();
            without_fix.sort();
            without_fix.dedup();
            rows.push(Row {
                image: image.to_string(),
                packages: report.packages,
                verdict: report.verdict,
                findings: report.counting().count(),
                fixable: report.counting().filter(|finding| is_fixable(finding)).count(),
                without_fix,
                unknown: report.unknown.len(),
            });
        }
    }
    let (findings, fixable) = rows.iter().fold((0, 0), |(all, fixable), row| (all + row.findings, fixable + row.fixable));
    if session.is_json() {
        output::json("calypte.scan-every/1", &Report { universe, images: &rows, findings, fixable })?;
    } else {
        output::print(&text(&rows, findings, fixable))?;
    }
    Ok(verdict)
}

fn text(rows: &[Row], findings: usize, fixable: usize) -> String {
    let titles = ["IMAGE", "PACKAGES", "ANSWER", "FINDINGS", "WITH A FIX", "WITHOUT"];
    let mut table = Table::new(&titles, &[1, 3, 4]);
    for row in rows {
        let answer = match row.verdict {
            Answer::Clean => "clean",
            Answer::Found => "found",
            Answer::Unknown => "unknown",
        };
        table.row(vec![
            row.image.clone(),
            row.packages.to_string(),
            answer.into(),
            row.findings.to_string(),
            row.fixable.to_string(),
            shortened(&row.without_fix),
        ]);
    }
    format!("{}\n{} images: {findings} findings, {fixable} of them with a fix\n", table.render(), rows.len())
}

/// The first few names; JSON has them all.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown}, and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_counts() {
        let row = |image: &str, verdict, fixable, without: &[&str]| Row {
            image: image.into(),
            packages: 12,
            verdict,
            findings: fixable + without.len(),
            fixable,
            without_fix: without.iter().map(|name| (*name).to_owned()).collect(),
            unknown: 0,
        };
        let rows = [
            row("base", Answer::Clean, 0, &[]),
            row("nginx", Answer::Found, 1, &["CVE-2026-1", "CVE-2026-2", "CVE-2026-3", "CVE-2026-4", "CVE-2026-5"]),
            row("ruby", Answer::Unknown, 0, &["CVE-2026-1"]),
        ];
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(&rows, 7, 1)).to_string());
    }
}
